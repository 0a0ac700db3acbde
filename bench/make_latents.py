#!/usr/bin/env python3
"""Writes synthetic latents of any size: layout A of data/FORMAT.md, contiguous, in about 64 MiB of memory.

A frame is a linear image of a few slow coordinates plus white noise. The coordinates are damped rotations
(complex AR(1)) about the centre of a hidden state that changes now and then: k-means finds states, PCA finds
the coordinates, and where the recent frames lie says something about the next change. Speakers differ by an
offset.

The same arguments and library versions give the same file.
"""

import argparse
from pathlib import Path

import h5py
import numpy as np

FRAME_RATE_HZ = 12.5
COORDINATES = 8  # complex
STATES = 48
STATE_CHANGE = 0.03  # chance per frame: a state lasts 33 frames on average
DAMPING = 0.95
INNOVATION = 0.2
MAX_DIM = 65536  # keeps what has a row of this length small
NOISE = 0.1  # of a value, where the coordinates give a standard deviation of about 1
BLOCK_VALUES = 1 << 19  # values expanded at a time: 2 MiB as float32
BATCH_FRAMES = 1 << 14  # frames whose coordinates are held at a time


def utterance_lengths(n_frames, mean_length, rng):
    """Lengths between half and one and a half times the mean that add up to n_frames."""
    low, high = max(1, mean_length // 2), mean_length + mean_length // 2
    n_enough = n_frames // low + 1
    ends = np.cumsum(rng.integers(low, high + 1, size=min(n_enough, 2 * n_frames // mean_length + 64)))
    ends = ends[: np.searchsorted(ends, n_frames)]
    return np.diff(np.concatenate([[0], ends, [n_frames]]))


class Model:
    """What is common to all utterances."""

    def __init__(self, dim, n_speakers, rng):
        periods = np.geomspace(8.0, 60.0, COORDINATES)
        self.step = (DAMPING * np.exp(2j * np.pi / periods)).astype(np.complex64)
        self.centres = 0.7 * complex_normal(rng, (STATES, COORDINATES))
        self.successors = rng.integers(STATES, size=(STATES, 3))
        self.speaker_offset = 0.3 * rng.standard_normal((n_speakers, 2 * COORDINATES), dtype=np.float32)
        # Coordinates fade in size, as principal components of real data do.
        fade = np.tile(np.geomspace(1.5, 0.3, COORDINATES), 2) / np.sqrt(2 * COORDINATES)
        self.image = rng.standard_normal((2 * COORDINATES, dim), dtype=np.float32)
        self.image *= fade[:, None].astype(np.float32)


def complex_normal(rng, shape):
    return rng.standard_normal((*shape, 2), dtype=np.float32).view(np.complex64)[..., 0]


def coordinates(model, lengths, rng):
    """Coordinates of some utterances, one after the other: float32 [sum(lengths), 2 * COORDINATES]."""
    n, longest = len(lengths), int(lengths.max())
    path = np.empty((n, longest, COORDINATES), dtype=np.complex64)
    state = rng.integers(STATES, size=n)
    centre = model.centres[state]
    z = centre + complex_normal(rng, (n, COORDINATES))
    for t in range(longest):
        path[:, t] = z
        change = rng.random(n) < STATE_CHANGE
        state = np.where(change, model.successors[state, rng.integers(3, size=n)], state)
        centre = model.centres[state]
        z = centre + model.step * (z - centre) + INNOVATION * complex_normal(rng, (n, COORDINATES))
    rows = path[np.arange(longest) < lengths[:, None]]
    return np.concatenate([rows.real, rows.imag], axis=1)


def batches(lengths):
    """Yields (first, last) runs of utterances of at most BATCH_FRAMES frames, padded to the longest."""
    first, longest = 0, 0
    for u, length in enumerate(lengths):
        longest = max(longest, int(length))
        if u > first and longest * (u - first + 1) > BATCH_FRAMES:
            yield first, u
            first, longest = u, int(length)
    yield first, len(lengths)


def write_frames(x, energy, model, lengths, speakers, rng):
    dim = x.shape[1]
    block_rows = max(1, BLOCK_VALUES // dim)
    noise = np.empty((block_rows, dim), dtype=np.float32)
    block = np.empty_like(noise)
    row = 0
    for first, last in batches(lengths):
        z = coordinates(model, lengths[first:last], rng)
        energy[row : row + len(z)] = np.log(np.mean(z**2, axis=1) + 1e-6)
        z += np.repeat(model.speaker_offset[speakers[first:last]], lengths[first:last], axis=0)
        for start in range(0, len(z), block_rows):
            part = z[start : start + block_rows]
            n = len(part)
            np.matmul(part, model.image, out=block[:n])
            rng.standard_normal(out=noise[:n], dtype=np.float32)
            noise[:n] *= np.float32(NOISE)
            block[:n] += noise[:n]
            x[row + start : row + start + n] = block[:n].astype(x.dtype, copy=False)
        row += len(z)


def write_latents(path, n_frames, dim, n_speakers, utterance_frames, dtype, seed):
    rng = np.random.default_rng(seed)
    lengths = utterance_lengths(n_frames, utterance_frames, rng)
    n_utterances = len(lengths)
    speakers = np.arange(n_utterances) * n_speakers // n_utterances
    model = Model(dim, n_speakers, rng)
    with h5py.File(path, "w", alignment_threshold=1 << 16, alignment_interval=4096) as file:
        file.attrs.update({"format": "phase0-latents", "version": 1, "frame_rate_hz": FRAME_RATE_HZ})
        text = h5py.string_dtype("utf-8")
        file.create_dataset("utterances/id", data=[f"utt{u:07d}" for u in range(n_utterances)], dtype=text)
        file.create_dataset("utterances/speaker", data=[f"spk{s:04d}" for s in speakers], dtype=text)
        file["utterances/offset"] = np.concatenate([[0], np.cumsum(lengths)]).astype("<i8")
        energy = file.create_dataset("energy", shape=(n_frames,), dtype="<f4")
        x = file.create_dataset("x", shape=(n_frames, dim), dtype={"float32": "<f4", "float16": "<f2"}[dtype])
        write_frames(x, energy, model, lengths, speakers, rng)
    return n_utterances


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--frames", type=int, default=4_500_000)
    parser.add_argument("--dim", type=int, default=512)
    parser.add_argument("--speakers", type=int, default=251)
    parser.add_argument("--utterance-frames", type=int, default=150, help="on average")
    parser.add_argument("--dtype", choices=["float32", "float16"], default="float32")
    parser.add_argument("--seed", type=int, default=42)
    arguments = parser.parse_args()
    if min(arguments.frames, arguments.dim, arguments.speakers) < 1:
        parser.error("--frames, --dim and --speakers must be at least 1")
    if arguments.dim > MAX_DIM:
        parser.error(f"--dim must be at most {MAX_DIM}")
    if not 1 <= arguments.utterance_frames <= BATCH_FRAMES // 2:
        parser.error(f"--utterance-frames must be from 1 to {BATCH_FRAMES // 2}")
    return arguments


def main():
    a = parse_arguments()
    n_utterances = write_latents(a.out, a.frames, a.dim, a.speakers, a.utterance_frames, a.dtype, a.seed)
    size = a.out.stat().st_size
    print(f"{a.out}: {a.frames} frames x {a.dim} {a.dtype}, {n_utterances} utterances, {size} bytes")


if __name__ == "__main__":
    main()
