#!/usr/bin/env python3
"""An encoder that misbehaves on demand: mock_encoder.py MODE [--limit N] [--tag TEXT]. Standard library only.

`--tag` does nothing: it lets a test find the process and its forks by their command line.
"""

import argparse
import json
import os
import random
import signal
import struct
import sys
import time
import zlib

DIM = 4


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("mode")
    parser.add_argument("--limit", type=int, default=3, help="items that mode `oom` has memory for")
    parser.add_argument("--tag")
    parser.add_argument("--seed", type=int, default=0, help="of the sequences at which mode `dies` dies")
    parser.add_argument("--marks", help="folder where mode `dies` notes that it has died of a sequence, "
                        "and mode `another_hello` that it was started before")
    parser.add_argument("--item-bytes", type=int, default=0, help="memory that mode `memory` takes for an item")
    return parser.parse_args()


ARGUMENTS = arguments() if __name__ == "__main__" else argparse.Namespace(mode="ok")
MODE = ARGUMENTS.mode
OUT = sys.stdout.buffer if __name__ == "__main__" else None


def say(message, raw=b""):
    OUT.write(json.dumps(message).encode() + b"\n" + raw)
    OUT.flush()


def hang():
    while True:
        time.sleep(60)


def flood(file):
    while True:
        file.write(b"x" * 65536)


def fork(detached):
    """A process that stays, with the pipes open or as a daemon in a session of its own."""
    if os.fork() > 0:
        return
    if detached:
        os.setsid()
        if os.fork() > 0:
            os._exit(0)
        for descriptor in (0, 1, 2):
            os.close(descriptor)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    hang()


def rows_of(item, n_items):
    """One frame, or three for long items; different for every item."""
    seed = zlib.crc32(item)
    if MODE == "unstable":
        seed = random.getrandbits(32)
    if MODE == "batch":
        seed += n_items
    frames = 3 if len(item) > 40 else 1
    values = [((seed * (2 * i + 1)) % 1009) / 1009 - 0.5 for i in range(frames * DIM)]
    return frames, struct.pack(f"<{len(values)}f", *values)


def answer(message, items):
    error = {"type": "error", "id": message["id"]}
    if MODE == "oom" and len(items) > ARGUMENTS.limit:
        return say({**error, "kind": "oom", "message": f"{len(items)} items"})
    if MODE == "internal":
        return say({**error, "kind": "internal", "message": "a bolt is loose"})
    for i, item in enumerate(items):
        if MODE == "dies_of_empty" and not item:
            sys.exit("an empty item")
        try:
            item.decode()
        except UnicodeDecodeError:
            if MODE == "accepts_bad":
                continue
            return say({**error, "kind": "input", "item": 0 if MODE == "blames_first" else i, "message": "no UTF-8"})
    parts = [rows_of(item, len(items)) for item in items]
    if MODE == "mixed_up":
        parts.reverse()
    frames, raw = [p[0] for p in parts], b"".join(p[1] for p in parts)
    reply = {"type": "rows", "id": message["id"], "frames": frames, "bytes": len(raw)}
    if MODE == "wrong_rows":
        reply["frames"] = frames + [1]
    if MODE == "wrong_bytes":
        reply["bytes"] += 4
    if MODE == "wrong_id":
        reply["id"] += 1
    if MODE == "nan":
        raw = struct.pack("<f", float("nan")) + raw[4:]
    if MODE == "inf":
        raw = raw[:-4] + struct.pack("<f", float("-inf"))
    if MODE == "beyond":
        raw = raw[:-4] + struct.pack("<f", -1.01e15)
    if MODE == "huge":
        reply.update(frames=[10_000_000] * len(items), bytes=10_000_000 * len(items) * 4096 * 4)
    if MODE == "short":
        raw = raw[:-1]
    if MODE == "cut":
        say(reply, raw[:-1])
        sys.exit(0)
    say(reply, raw)
    if MODE == "chatty":
        print("done", flush=True)


def die_once(items):
    """Of a third of the sequences (their first word), each once, by one signal or another."""
    for item in items:
        sequence = item.split(b" ")[0].decode()
        seed = zlib.crc32(f"{ARGUMENTS.seed} {sequence}".encode())
        mark = os.path.join(ARGUMENTS.marks, sequence)
        if seed % 3 == 0 and not os.path.exists(mark):
            open(mark, "x").close()
            os.kill(os.getpid(), signal.SIGKILL if seed % 2 else signal.SIGSEGV)


def misbehave_at_encode(items):
    if MODE == "dies":
        die_once(items)
    if MODE == "memory":
        block = bytearray(b"x") * (ARGUMENTS.item_bytes * len(items))
        if len(items) > ARGUMENTS.limit:
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(0.1 if ARGUMENTS.item_bytes > 1_000_000 else 0.0004 * ARGUMENTS.limit + 0.0002 * len(items))
        del block
    if MODE == "slow":
        time.sleep(0.02)
    if MODE == "slow_items":
        time.sleep(0.1 * len(items))
    if MODE == "refuses" and any(item.startswith(b"s05 ") for item in items):
        sys.exit("not that one")
    if MODE == "hang":
        hang()
    if MODE == "crash":
        print("about to\nfall over", file=sys.stderr, flush=True)
        os.kill(os.getpid(), signal.SIGSEGV)
    if MODE == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if MODE == "exit":
        sys.exit("no more")
    if MODE == "garbage":
        OUT.write(bytes(range(256)) * 4 + b"\n")
    if MODE == "flood":
        flood(OUT)
    if MODE == "error_flood":
        flood(sys.stderr.buffer)
    if MODE == "fork":
        fork(detached=False)
    if MODE == "daemon":
        fork(detached=True)
    if MODE == "fork_crash":
        fork(detached=False)
        fork(detached=True)
        os.kill(os.getpid(), signal.SIGSEGV)


def main():
    if MODE == "exit_at_once":
        sys.exit("no model")
    if MODE == "greeting":
        print("welcome", flush=True)
    line = sys.stdin.buffer.readline()
    if MODE == "hang_hello":
        hang()
    if MODE == "garbage_hello":
        print("hello")
    hello = {"type": "hello", "protocol": 1, "name": "mock", "input": "text", "dim": DIM, "dtype": "float32",
             "frame_rate_hz": 1, "max_items": 200, "max_item_bytes": 10_000, "max_item_frames": 10_000_000}
    if MODE == "bad_hello":
        hello["dim"] = 0
    if MODE == "huge":
        hello["dim"] = 4096
    if MODE == "another_hello":
        try:
            open(os.path.join(ARGUMENTS.marks, "hello"), "x").close()
        except FileExistsError:
            hello["dim"] = 2 * DIM
    say(hello)
    for line in iter(sys.stdin.buffer.readline, b""):
        message = json.loads(line)
        if message["type"] == "bye":
            break
        raw = sys.stdin.buffer.read(message["bytes"])
        items = []
        for length in message["items"]:
            items.append(raw[:length])
            raw = raw[length:]
        misbehave_at_encode(items)
        answer(message, items)
    if MODE == "answers_bye":
        say({"type": "bye"})
    if MODE == "no_bye":
        hang()
    if MODE == "bye_code":
        sys.exit(7)


if __name__ == "__main__":
    main()
