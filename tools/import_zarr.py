#!/usr/bin/env python3
"""Converts a latents.zarr or parquet tables of vectors into a latents file of layout A (data/FORMAT.md).

zarr (formats 2 and 3): a group per utterance with an array x [T, D], optionally energy [T], and the attribute
speaker_id; utterances are stored in byte order of their id. The frame rate is --frame-rate, or the root's attribute
frame_rate_hz.

parquet (a file, or a folder of them in byte order of their names): either a row per frame, with the vector as a list of
floats and the rows of an utterance together, or a row per utterance, with a list of lists.

Values stay float16, float32 or float64, bit for bit. NaN and infinity are refused. The file appears complete or not at
all. With --memory what is read at a time is chosen to fit, Python and its libraries included, and the program ends with
code 4 when it does not. Needs numpy and h5py, and zarr or pyarrow for what it reads (tools/requirements.txt).
"""

import argparse
import os
import re
import sys
from pathlib import Path

import h5py
import numpy as np

BLOCK_BYTES = 8 << 20
LEAST_BYTES = 64 << 10
COPIES = 6  # of a block: as it is stored, decoded, put together, checked and written
MIB = 1 << 20
EXIT_USAGE, EXIT_DATA, EXIT_MEMORY, EXIT_STORAGE = 2, 3, 4, 5


class Failure(Exception):
    def __init__(self, message, code=EXIT_DATA):
        super().__init__(message)
        self.code = code


def parse_size(text):
    found = re.fullmatch(r"(\d+(?:\.\d+)?)(|[KMG]iB)", text)
    if not found:
        raise argparse.ArgumentTypeError(f"a size such as 512MiB was expected, got {text!r}")
    return int(float(found[1]) * 1024 ** ["", "KiB", "MiB", "GiB"].index(found[2]))


class Memory:
    """What --memory leaves for blocks; without it they are of BLOCK_BYTES."""

    def __init__(self, budget):
        self.budget = budget

    def block_bytes(self, least):
        """Of which no more than a block is asked for; `least` is what cannot be read in parts."""
        if self.budget is None:
            return max(BLOCK_BYTES, least)
        least = max(least, LEAST_BYTES)
        with open("/proc/self/statm") as f:
            used = int(f.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        if used + COPIES * least > self.budget:
            self.refuse(used + COPIES * least)
        return max(min(BLOCK_BYTES, (self.budget - used) // COPIES), least)

    def check(self):
        with open("/proc/self/status") as f:  # ru_maxrss begins with what the parent had
            peak = int(re.search(r"VmHWM:\s+(\d+) kB", f.read())[1]) * 1024
        if self.budget is not None and peak > self.budget:
            self.refuse(peak)

    def refuse(self, needed):
        raise Failure(f"--memory of {self.budget / MIB:.1f} MiB is too small; about {-(-needed * 5 // 4 // MIB)} MiB is "
                      "needed", EXIT_MEMORY)


def little_float(dtype, where):
    """The little-endian float type that layout A stores `dtype` as."""
    dtype = np.dtype(dtype)
    if dtype.kind != "f" or dtype.itemsize not in (2, 4, 8):
        raise Failure(f"{where}: holds {dtype}; float16, float32 or float64 was expected")
    return dtype.newbyteorder("<")


class ZarrSource:
    def __init__(self, path, args):
        import zarr
        zarr.config.set({"async.concurrency": 1, "threading.max_workers": 1})  # each chunk in flight takes its size
        self.path, self.memory = path, args.memory
        try:
            self.root = zarr.open_group(str(path), mode="r")
        except (OSError, ValueError, KeyError) as error:
            raise Failure(f"{path}: is not a zarr group: {error}") from error
        self.frame_rate_hz = self.root.attrs.get("frame_rate_hz")
        self.index = []  # (id, speaker, frames)
        groups = dict(self.root.groups())
        for name in sorted(groups, key=str.encode):
            group = groups[name]
            if "x" not in group or group["x"].ndim != 2:
                raise Failure(f"{path}: utterance {name}: has no array x [frames, values]")
            if "speaker_id" not in group.attrs:
                raise Failure(f"{path}: utterance {name}: attribute speaker_id is missing")
            self.index.append((name, str(group.attrs["speaker_id"]), group["x"].shape[0]))
            self.check(name, group)

    def check(self, name, group):
        x, energy = group["x"], group.get("energy")
        kind = (little_float(x.dtype, f"{self.path}: utterance {name}"), x.shape[1], energy is not None)
        if len(self.index) == 1:
            self.kind = kind
        if kind != self.kind:
            raise Failure(f"{self.path}: utterance {name}: {describe(kind)}, but {self.index[0][0]} is "
                          f"{describe(self.kind)}")
        if energy is not None and energy.shape != x.shape[:1]:
            raise Failure(f"{self.path}: utterance {name}: {energy.shape} energies for {x.shape[0]} frames")

    def blocks(self):
        """(x, energy) of rows that follow each other."""
        for name, _, n in self.index:
            x, energy = self.root[f"{name}/x"], self.root[f"{name}/energy"] if self.kind[2] else None
            chunk, row_bytes = max(x.chunks[0], 1), max(x.shape[1], 1) * x.dtype.itemsize
            step = max(self.memory.block_bytes(min(chunk, n) * row_bytes) // row_bytes // chunk, 1) * chunk
            for first in range(0, n, step):
                yield x[first:first + step], None if energy is None else energy[first:first + step]


class ParquetSource:
    frame_rate_hz = None

    def __init__(self, path, args):
        import pyarrow.parquet
        self.pq, self.args = pyarrow.parquet, args
        self.paths = sorted(path.glob("*.parquet"), key=lambda p: p.name.encode()) if path.is_dir() else [path]
        self.index, seen, self.kind = [], set(), None
        for at, batch in self.batches():
            ids, speakers = batch.column(args.id_column).to_pylist(), batch.column(args.speaker_column).to_pylist()
            lengths = self.measure(at, batch)
            for name, speaker, n in zip(ids, speakers, lengths):
                if name is None or speaker is None:
                    raise Failure(f"{at}: utterance {name}: has an empty id or speaker")
                name, speaker = str(name), str(speaker)
                if self.index and self.index[-1][0] == name and not self.nested:
                    if self.index[-1][1] != speaker:
                        raise Failure(f"{at}: utterance {name}: has two speakers")
                    self.index[-1][2] += n
                elif name in seen:
                    raise Failure(f"{at}: utterance {name}: its rows are not together")
                else:
                    seen.add(name)
                    self.index.append([name, speaker, n])

    def batches(self):
        columns = [self.args.id_column, self.args.speaker_column, self.args.vector_column]
        columns += [self.args.energy_column] if self.args.energy_column else []
        for path in self.paths:
            try:
                file = self.pq.ParquetFile(path, pre_buffer=False, buffer_size=MIB)  # not a column of a row group at once
            except (OSError, ValueError) as error:
                raise Failure(f"{path}: is not a parquet file: {error}") from error
            missing = [c for c in columns if c not in file.schema_arrow.names]
            if missing:
                raise Failure(f"{path}: has no column {', '.join(missing)}; there are "
                              f"{', '.join(file.schema_arrow.names)}")
            for batch in file.iter_batches(batch_size=self.batch_rows(file.metadata), columns=columns, use_threads=False):
                self.args.memory.check()
                if batch.num_rows:
                    yield path, batch

    def batch_rows(self, metadata):
        groups = (metadata.row_group(g) for g in range(metadata.num_row_groups))
        row_bytes = max((-(-g.total_byte_size // max(g.num_rows, 1)) for g in groups), default=1) or 1
        return max(min(self.args.batch_rows, self.args.memory.block_bytes(row_bytes) // row_bytes), 1)

    def vectors(self, at, batch):
        """[rows, D] of a batch, and the frames of each of its rows."""
        import pyarrow as pa
        is_list = lambda t: pa.types.is_list(t) or pa.types.is_large_list(t) or pa.types.is_fixed_size_list(t)
        column = batch.column(self.args.vector_column)
        if not is_list(column.type):
            raise Failure(f"{at}: column {self.args.vector_column} is {column.type}; a list of floats was expected")
        self.nested = is_list(column.type.value_type)
        inner = column.flatten() if self.nested else column
        values = inner.flatten()
        if column.null_count or inner.null_count or values.null_count:
            raise Failure(f"{at}: column {self.args.vector_column} holds empty cells")
        widths = np.unique(inner.value_lengths().to_numpy(zero_copy_only=False))
        if len(widths) != 1 or (self.kind and widths[0] != self.kind[1]):
            raise Failure(f"{at}: vectors of {', '.join(map(str, widths))} values"
                          + (f", and of {self.kind[1]} before" if self.kind else ""))
        values = values.to_numpy(zero_copy_only=False)
        kind = (little_float(values.dtype, at), int(widths[0]), self.args.energy_column is not None)
        self.kind = self.kind or kind
        if kind != self.kind:
            raise Failure(f"{at}: is {describe(kind)}, the first is {describe(self.kind)}")
        lengths = column.value_lengths().to_numpy(zero_copy_only=False) if self.nested else np.ones(len(column), int)
        return values.reshape(-1, kind[1]), lengths.tolist()

    def measure(self, at, batch):
        return self.vectors(at, batch)[1]

    def blocks(self):
        for at, batch in self.batches():
            x, _ = self.vectors(at, batch)
            energy = None
            if self.args.energy_column:
                column = batch.column(self.args.energy_column)
                energy = (column.flatten() if self.nested else column).to_numpy(zero_copy_only=False)
                if len(energy) != len(x):
                    raise Failure(f"{at}: {len(energy)} energies for {len(x)} frames")
            yield x, energy


def describe(kind):
    return f"{kind[0]} with {kind[1]} values a frame, {'with' if kind[2] else 'without'} energy"


def check_index(path, index):
    if not index:
        raise Failure(f"{path}: holds no utterance")
    for name, speaker, n in index:
        if n < 1 or not name or not speaker or "\0" in name + speaker:
            raise Failure(f"{path}: utterance {name}: has no frames, or no usable id and speaker")


def check_finite(values, row, index, ends, what):
    good = np.isfinite(values).reshape(len(values), -1).all(axis=1)
    if not good.all():
        row += int(np.argmin(good))
        u = int(np.searchsorted(ends, row, side="right"))
        raise Failure(f"utterance {index[u][0]}, frame {row - (ends[u - 1] if u else 0)}: {what} holds NaN or infinity")


def write(source, out, frame_rate_hz, memory):
    index, (dtype, dim, has_energy) = source.index, source.kind
    ends = np.cumsum([n for _, _, n in index], dtype="<i8")
    with h5py.File(out, "w") as f:
        f.attrs.update({"format": "phase0-latents", "version": 1, "frame_rate_hz": float(frame_rate_hz)})
        f["utterances/id"] = [name for name, _, _ in index]
        f["utterances/speaker"] = [speaker for _, speaker, _ in index]
        f["utterances/offset"] = np.concatenate([np.zeros(1, "<i8"), ends])
        x = f.create_dataset("x", (int(ends[-1]), dim), dtype)
        energies = f.create_dataset("energy", (int(ends[-1]),), "<f4") if has_energy else None
        row = 0
        for block, energy in source.blocks():
            memory.check()
            if row + len(block) > ends[-1]:
                raise Failure("the input was changed while it was in use")
            check_finite(block, row, index, ends, "x")
            x[row:row + len(block)] = block
            if energies is not None:
                check_finite(energy, row, index, ends, "energy")
                energies[row:row + len(block)] = energy.astype("<f4")
            row += len(block)
        if row != ends[-1]:
            raise Failure("the input was changed while it was in use")


def convert(args):
    args.memory = Memory(args.memory)
    if args.output.exists() and not args.force:
        raise Failure(f"{args.output}: is there already; --force replaces it", EXIT_USAGE)
    if not args.input.exists():
        raise Failure(f"{args.input}: is not there", EXIT_STORAGE)
    parquet = args.input.suffix == ".parquet" or (args.input.is_dir() and any(args.input.glob("*.parquet")))
    source = (ParquetSource if parquet else ZarrSource)(args.input, args)
    check_index(args.input, source.index)
    rate = args.frame_rate if args.frame_rate is not None else source.frame_rate_hz
    if not isinstance(rate, (int, float)) or not 0 < rate < float("inf"):
        raise Failure("--frame-rate HZ is needed: the input does not say it", EXIT_USAGE)
    partial = args.output.with_name(args.output.name + ".partial")
    try:
        write(source, partial, rate, args.memory)
        with open(partial, "rb+") as file:
            os.fsync(file.fileno())
        partial.replace(args.output)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    n_frames = sum(n for _, _, n in source.index)
    print(f"{args.output}: {len(source.index)} utterances, {n_frames} frames, {describe(source.kind)}")


def parse(arguments):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("input", type=Path, help="latents.zarr, a .parquet file or a folder of them")
    parser.add_argument("output", type=Path, help="latents file to write")
    parser.add_argument("--frame-rate", type=float, metavar="HZ", help="frames a second")
    parser.add_argument("--memory", type=parse_size, metavar="SIZE", help="memory to stay within: 512MiB, 1GiB")
    parser.add_argument("--force", action="store_true", help="replace an output that exists")
    parser.add_argument("--id-column", default="id", metavar="NAME", help="of parquet (default id)")
    parser.add_argument("--speaker-column", default="speaker", metavar="NAME", help="of parquet (default speaker)")
    parser.add_argument("--vector-column", default="x", metavar="NAME", help="of parquet (default x)")
    parser.add_argument("--energy-column", metavar="NAME", help="of parquet (default: no energies)")
    parser.add_argument("--batch-rows", type=int, default=4096, metavar="N", help="rows of parquet read at a time")
    return parser.parse_args(arguments)


def main(arguments=None):
    try:
        convert(parse(arguments))
    except Failure as failure:
        print(f"import_zarr.py: error: {failure}", file=sys.stderr)
        return failure.code
    except OSError as error:
        print(f"import_zarr.py: error: {error}", file=sys.stderr)
        return EXIT_STORAGE
    return 0


if __name__ == "__main__":
    sys.exit(main())
