"""The answering side of the encoder protocol (data/ENCODER.md), for encoders written in Python.

    def encode(items): ...   # list of bytes -> list of arrays [frames, dim], in the order of the items
    encoder.serve(start)     # start(hello) makes the model and returns (description, encode)
"""

import json
import os
import sys

import numpy as np

TYPES = {"float32": "<f4", "float16": "<f2"}


class InputError(Exception):
    """Item number `item` cannot be encoded."""

    def __init__(self, item, message):
        super().__init__(message)
        self.item = item


class Channel:
    """The standard streams. What libraries print goes to standard error, for it would break the protocol."""

    def __init__(self):
        self.input = sys.stdin.buffer
        self.output = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())

    def receive(self):
        """Returns (message, raw bytes), or (None, b"") at the end of the input."""
        line = self.input.readline()
        if not line:
            return None, b""
        message = json.loads(line)
        raw = self.input.read(message.get("bytes", 0))
        return message, raw

    def send(self, message, raw=b""):
        self.output.write(json.dumps(message).encode() + b"\n")
        self.output.write(raw)
        self.output.flush()


def split(raw, lengths):
    items, start = [], 0
    for length in lengths:
        items.append(raw[start:start + length])
        start += length
    return items


def answer(message, raw, dtype, encode):
    """Returns (message, raw bytes) for an `encode`."""
    failed = {"type": "error", "id": message["id"]}
    try:
        frames = encode(split(raw, message["items"]))
    except InputError as error:
        return {**failed, "kind": "input", "item": error.item, "message": str(error)}, b""
    except MemoryError as error:
        return {**failed, "kind": "oom", "message": str(error) or "no memory"}, b""
    rows = b"".join(np.ascontiguousarray(part, dtype=TYPES[dtype]).tobytes() for part in frames)
    return {"type": "rows", "id": message["id"], "frames": [len(part) for part in frames], "bytes": len(rows)}, rows


def serve(start):
    """Answers until told bye or the input ends. An exception of `start` or `encode` other than the two above
    ends the encoder with its traceback on standard error."""
    channel = Channel()
    hello, _ = channel.receive()
    if hello is None:
        return
    description, encode = start(hello)
    channel.send({"type": "hello", "protocol": 1, **description})
    while True:
        message, raw = channel.receive()
        if message is None or message["type"] == "bye":
            return
        channel.send(*answer(message, raw, description["dtype"], encode))
