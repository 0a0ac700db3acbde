"""Writes the seeds and dictionaries of the fuzz harnesses: tests/fuzz/corpus/HARNESS/* and tests/fuzz/HARNESS.dict.

The files are in the tree; this says where they came from and makes them again (.venv/bin/python tests/fuzz/make_corpus.py).
"""

from __future__ import annotations

import io
import json
import re
import struct
import sys
import tempfile
import zlib
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(HERE.parent / "system"))

import h5py  # noqa: E402
import hdf5plugin  # noqa: E402
import numpy as np  # noqa: E402

import latents  # noqa: E402

DIM, FRAMES = 3, 6


def corpus(n=2, energy=True) -> latents.Corpus:
    rng = np.random.default_rng(8)
    xs = [rng.standard_normal((FRAMES + i, DIM)) for i in range(n)]
    energies = [rng.random(len(x)).astype(np.float32) for x in xs] if energy else None
    return latents.Corpus([f"u{i}" for i in range(n)], [str(7 + i // 2) for i in range(n)], xs, energies)


def edited(path, edit, layout="A", **kwargs):
    latents.write(path, corpus(), layout=layout, **kwargs)
    with h5py.File(path, "r+") as f:
        edit(f)


def replace(name, make):
    def edit(f):
        del f[name]
        make(f)
    return edit


def compact(path):
    """A small file: everything in fixed strings and the newest format, where metadata has checksums."""
    with h5py.File(path, "w", libver="latest") as f:
        f.attrs["format"] = np.bytes_(b"phase0-latents")
        f.attrs["version"] = 1
        f.attrs["frame_rate_hz"] = 12.5
        f["x"] = np.arange(12, dtype="f4").reshape(6, 2)
        f["utterances/id"] = np.array([b"a", b"b"])
        f["utterances/speaker"] = np.array([3, 4])
        f["utterances/offset"] = np.array([0, 2, 6])


def chunked_new(path, maxshape=None):
    """Chunks found through the newer indexes: a fixed array, for a dataset that may grow an extensible one, or a tree."""
    with h5py.File(path, "w", libver=("v110", "v110")) as f:
        f.attrs["format"] = np.bytes_(b"phase0-latents")
        f.attrs["version"] = 1
        f.attrs["frame_rate_hz"] = 12.5
        f.create_dataset("x", data=np.arange(12, dtype="f4").reshape(6, 2), chunks=(2, 1), maxshape=maxshape, compression="gzip")
        f["utterances/id"] = np.array([b"a", b"b"])
        f["utterances/speaker"] = np.array([3, 4])
        f["utterances/offset"] = np.array([0, 2, 6])


def old_fixed(path, **storage):
    """The smallest file that is read in full, of the format without checksums: the mutations of it reach deepest."""
    with h5py.File(path, "w", libver="earliest") as f:
        f.attrs["format"] = np.bytes_(b"phase0-latents")
        f.attrs["version"] = 1
        f.attrs["frame_rate_hz"] = 12.5
        f.create_dataset("x", data=np.arange(12, dtype="f4").reshape(6, 2), **storage)
        f["utterances/id"] = np.array([b"a", b"b"])
        f["utterances/speaker"] = np.array([b"s", b"t"])
        f["utterances/offset"] = np.array([0, 2, 6])


def quantised(path, kind):
    """Codes and their tables; two groups of columns."""
    with h5py.File(path, "w", libver="earliest") as f:
        f.attrs["format"] = np.bytes_(b"phase0-latents")
        f.attrs["version"] = 1
        f.attrs["frame_rate_hz"] = 12.5
        f["x"] = np.arange(18, dtype="i1" if kind == "int8" else "u1").reshape(6, 3)
        f["x"].attrs.update({"quantization": np.bytes_(kind.encode()), "group_size": 2})
        if kind == "int8":
            f["x_quantization/scale"] = np.array([0.5, 0.25], "f4")
            f["x_quantization/offset"] = np.array([1, -2], "f4")
        else:
            f["x"].attrs.update({"dim": 5, "group_size": 3})
            f["x_quantization/palette"] = np.arange(32, dtype="f4").reshape(2, 16)
        f["utterances/id"] = np.array([b"a", b"b"])
        f["utterances/speaker"] = np.array([b"s", b"t"])
        f["utterances/offset"] = np.array([0, 2, 6])


def b_of_one(path):
    with h5py.File(path, "w", libver="earliest") as f:
        f.attrs["frame_rate_hz"] = 12.5
        g = f.create_group("u")
        g.attrs["speaker_id"] = 5
        g["x"] = np.arange(6, dtype="f2").reshape(3, 2)


def own_file(path, kind):
    """A file of the run directory, for inspect."""
    with h5py.File(path, "w", libver="earliest") as f:
        f.attrs["format"] = np.bytes_(f"phase0-{kind}".encode())
        f.attrs["version"] = 1
        if kind == "features":
            for split in ("train", "eval"):
                f[f"{split}/rows/utterance"] = np.arange(3, dtype="i4")
                f[f"{split}/delta"] = np.zeros((3, 2), "f4")
            f["utterances/n"] = np.arange(2)
        elif kind == "assignments":
            for split in ("train", "eval"):
                f[f"lag1/c/{split}/cluster"] = np.arange(3, dtype="i4")
                f[f"lag1/c/{split}/distance"] = np.zeros(3, "f4")
        else:
            f["lag1/norm/mu"] = np.zeros(2)
            f["lag1/c/kmeans/centroids"] = np.zeros((2, 2), "f4")


def dense_members(path, n):
    """Members in a heap and an index with checksums, as HDF5 keeps them from nine on; more than fit a block and a node of either."""
    with h5py.File(path, "w", libver="latest") as f:
        f.attrs["frame_rate_hz"] = 12.5
        for i in range(n):
            g = f.create_group(f"u{i}")
            g.attrs["speaker_id"] = 5
            g["x"] = np.arange(4, dtype="f2").reshape(2, 2)


def dense_links(path):
    with h5py.File(path, "w", libver="latest") as f:
        f.attrs["format"] = np.bytes_(b"phase0-models")
        f.attrs["version"] = 1
        f["lag1/norm/mu"] = np.zeros(2)
        for i in range(60):
            f[f"link{i}"] = f["lag1/norm/mu"]


def cyclic(f):
    f.attrs["format"] = "phase0-models"
    f["round"] = f["/"]


def latents_seeds(out):
    gzip = {"chunks": (4, 2), "compression": "gzip", "shuffle": True, "fletcher32": True}
    compact(out / "compact_new")
    for name, maxshape in (("chunks_fixed", None), ("chunks_extensible", (None, 2)), ("chunks_tree", (None, None))):
        chunked_new(out / name, maxshape)
    dense_members(out / "b_dense", 10)
    dense_links(out / "dense_links")
    old_fixed(out / "a_contiguous")
    for kind in ("int8", "int4"):
        quantised(out / f"a_{kind}", kind)
    old_fixed(out / "a_chunked", chunks=(4, 2))
    old_fixed(out / "a_narrow_chunks", chunks=(4, 1), compression="gzip")
    old_fixed(out / "a_gzip", **gzip)
    old_fixed(out / "a_zstd", chunks=(4, 2), **hdf5plugin.Zstd())
    old_fixed(out / "a_lz4", chunks=(4, 2), **hdf5plugin.LZ4())
    old_fixed(out / "a_bomb", chunks=(6, 2), compression="gzip")
    with h5py.File(out / "a_bomb", "r+") as f:
        del f["utterances/offset"]
        f.create_dataset("utterances/offset", data=np.zeros(1 << 16, "i1"), chunks=(1 << 16,), compression="gzip")
    b_of_one(out / "b_one")
    latents.write_a(out / "a_strings", corpus(), dtype="f8")
    latents.write_b(out / "b_strings", corpus(), dtype="f2", storage="gzip_shuffle")
    edited(out / "soft_link", replace("x", lambda f: f.__setitem__("x", h5py.SoftLink("/energy"))))
    edited(out / "external_link", replace("x", lambda f: f.__setitem__("x", h5py.ExternalLink("o.h5", "/x"))))
    edited(out / "external_raw", replace("x", lambda f: f.create_dataset("x", (13, 3), "f4", external=[("/dev/zero", 0, 156)])))
    for kind in ("features", "assignments", "models"):
        own_file(out / kind, kind)
    old_fixed(out / "cyclic")
    with h5py.File(out / "cyclic", "r+") as f:
        cyclic(f)


def chunk(filters, size, data, skipped=0):
    head = bytes([len(filters)])
    for kind, option in filters:
        head += struct.pack("<BH", kind, option)
    return head + bytes([skipped]) + struct.pack("<I", size - 1)[:3] + data


def zstd(data):
    with tempfile.NamedTemporaryFile(suffix=".h5") as file:
        with h5py.File(file.name, "w") as f:
            f.create_dataset("x", data=np.frombuffer(data, "u1"), chunks=(len(data),), **hdf5plugin.Zstd())
            return f["x"].id.read_direct_chunk((0,))[1]


def fletcher(data):
    with tempfile.NamedTemporaryFile(suffix=".h5") as file:
        with h5py.File(file.name, "w") as f:
            f.create_dataset("x", data=np.frombuffer(data, "u1"), chunks=(len(data),), fletcher32=True)
            return f["x"].id.read_direct_chunk((0,))[1]


def chunks_seeds(out):
    shuffle, check, gzip, zst = range(4)
    raw = np.arange(24, dtype="f4").tobytes()
    shuffled = np.frombuffer(raw, "u1").reshape(-1, 4).T.tobytes()
    seeds = {
        "plain": chunk([], 96, raw),
        "gzip": chunk([(gzip, 4)], 96, zlib.compress(raw)),
        "gzip_shuffle": chunk([(shuffle, 4), (gzip, 4)], 96, zlib.compress(shuffled)),
        "zstd": chunk([(zst, 3)], 96, zstd(raw)),
        "zstd_shuffle_check": chunk([(shuffle, 4), (zst, 3), (check, 0)], 96, fletcher(zstd(shuffled))),
        "gzip_twice": chunk([(gzip, 1), (gzip, 1)], 96, zlib.compress(zlib.compress(raw))),
        "check": chunk([(check, 0)], 96, fletcher(raw)),
        "check_odd": chunk([(check, 0xffff)], 95, fletcher(raw[:95])),
        "skipped": chunk([(gzip, 4)], 96, raw, skipped=1),
        "cut": chunk([(gzip, 4)], 96, zlib.compress(raw)[:-9]),
        "bomb_gzip": chunk([(gzip, 9)], 64, zlib.compress(bytes(1 << 20), 9)),
        "bomb_zstd": chunk([(zst, 9)], 64, zstd(bytes(1 << 20))),
        "shuffle_wide": chunk([(shuffle, 97)], 96, raw),
    }
    for name, data in seeds.items():
        (out / name).write_bytes(data)


def yaml_seeds(out):
    small = (ROOT / "configs/demo.yaml").read_text().split("\n", 1)[1]
    reference = re.sub(r" *#.*", "", (ROOT / "configs/reference.yaml").read_text())
    seeds = {
        "demo": small,
        "reference": reference,
        "overrides": small + "\0clustering.kmeans.n_init=3\0clustering.conditions.1.k=5\0memory.budget=1.5GiB",
        "override_list": small + "\0slices=[{name: all}]\0context.lags=[3, 5]\0vae.any={a: [1]}\0slices.0.filter=pos_frac_0.1_0.9",
        "tabs": small.replace("  ", "\t"),
        "alias": "a: &x [1]\nb: *x\n",
        "documents": "---\nseed: 1\n---\nseed: 2\n",
        "deep": "seed: " + "[" * 40,
        "deep_maps": "a: " + "{b: " * 40,
        "complex_key": "? [a, b]\n: c\n? - d\n",
        "block": "output: {dir: |2-\n   a\n    b\n}\n",
        "folded": "output:\n  dir: >+\n    some\n    folder\n\n",
        "quoted": "data: {latents: \"a\\x41\\u00e9\\t b\", min_duration_sec: 1e-3}\noutput: {dir: 'it''s'}\n",
        "numbers": "seed: 18446744073709551615\ndata: {latents: 010}\nmetrics: {permutations: -0, variance_ratio_threshold: .6}\n",
        "tag": "%YAML 1.2\n%TAG ! tag:x,2000:\n--- !<tag:yaml.org,2002:map>\nseed: !!int 3\n",
        "duplicate": "seed: 1\n\"seed\": 2\n",
        "durations": "1.5h",
        "memory": "37.5 %",
        "null": "~",
        "utf8": "output: {dir: \u00fc\u4e2d\U0001f600}\nslices: null\n",
    }
    for name, text in seeds.items():
        (out / name).write_bytes(text.encode())
    keys = sorted(set(re.findall(r"([a-z_]+):", reference + small)))
    values = sorted(set(re.findall(r": ([a-z_]+[a-z_0-9.]*)", reference + small)))
    words = keys + [v for v in values if v not in keys]
    marks = ["---\\x0a", "...", "%YAML 1.1", "!!", "!<", "&a", "*a", "<<: ", "? ", "- ", "|+2", ">-", "\\x00seed=", "\\\"",
             "\\\\x", "{", "[", "]", "}", "~", "null", ".inf", "1e308", "0x1", "\\xef\\xbb\\xbf"]
    lines = [f'"{word}"' for word in words + marks]
    (HERE / "yaml.dict").write_text("# Keys and words of configs/, and YAML's marks: make_corpus.py\n" + "\n".join(lines) + "\n")


def text(value):
    data = value.encode()
    return struct.pack("<q", len(data)) + data


def numbers(kind, values):
    return struct.pack(f"<q{len(values)}{kind}", len(values), *values)


def unit(contents, name="lag 1: mean", key="0123456789abcdef"):
    head = struct.pack("<Q", 0x3174696E75306870) + text(name) + text(key)
    whole = head + contents + struct.pack("<q", len(contents))
    return whole + struct.pack("<I", zlib.crc32(whole))


def history(n):
    one = text("restart") + struct.pack("<qqqddq", 0, 1, 9, 2.5, 0.1, 0) + text("tol") + b"\1"
    return struct.pack("<q", n) + one * n


def pca():
    return (struct.pack("<qqq", 1, 2, 9) + text("covariance") + numbers("d", [0, 1]) + numbers("d", [1, 0]) +
            numbers("d", [2]) + numbers("d", [0.5]))


def kmeans():
    return (struct.pack("<qq", 2, 2) + numbers("f", [0, 1, 2, 3]) + numbers("q", [4, 5]) +
            struct.pack("<dqqq", 1.5, 3, 9, 0) + history(1))


def lloyd(restart):
    return (struct.pack("<q", restart) + numbers("f", [0, 1, 2, 3]) + numbers("q", [4, 5]) + struct.pack("<dq", 1.5, 3) +
            history(1))


def group_sums(n):
    return struct.pack("<q", n) + struct.pack("<qqddd", 4, 2, 1, 2, 3) * n


def cell_sums():
    one = (group_sums(1) + struct.pack("<q", 1) + struct.pack("<ddq", 1, 2, 3) + numbers("d", [1, 2]) + group_sums(2) +
           struct.pack("<q", 1) + group_sums(1) + struct.pack("<q", 2) + group_sums(1) + group_sums(0))
    return struct.pack("<q", 2) + one * 2


def journal_seeds(out):
    journal = {"stages": [{"stage": "collect", "key": "k1", "files": {"features.h5": 10}},
                          {"stage": "fit", "key": "k2", "files": {"models.h5": 5, "assignments.h5": 6}}]}
    run = {"version": "0.1.0", "input": {"path": "a.h5", "frame_rate_hz": 12.5}, "stages": {
        stage: {"planned_peak_bytes": 5, "peak_rss_bytes": 6, "budget_bytes": 7} for stage in ("collect", "fit")}}
    quartile = struct.pack("<q", 1) + numbers("f", [1, 2, 3])
    sums = struct.pack("<qqdd", 1, 2, 3, 4)
    condition = b"\1" + pca() + b"\1" + kmeans() + b"\1" + sums + b"\1" + quartile + struct.pack("<q", 9)
    progress = struct.pack("<i", 0) + struct.pack("<q", 3) + struct.pack("<q", 2) + lloyd(1) + lloyd(2) + \
        struct.pack("<q", 1) + lloyd(0) + struct.pack("<q", 0) + history(2) + struct.pack("<q", 0)
    last = struct.pack("<iqq", 2, 4, 1) + lloyd(1) + struct.pack("<q", 2) + lloyd(0) + lloyd(2) + struct.pack("<q", 1) + history(0) + struct.pack("<q", 0)
    seeding = struct.pack("<iqqq", 0, 1, 0, 1) + lloyd(0) + struct.pack("<q", 0) + history(1) + \
        struct.pack("<qq", 1, 2) + b"".join(struct.pack("<q4Q", row, 1, 2, 3, 4) for row in (7, 9))
    seeds = {
        "journal": b"\0" + json.dumps(journal).encode(),
        "journal_other": b"\0" + b'{"stages": [{"stage": 1, "files": [], "key": {}}]}',
        "journal_numbers": b"\0" + b'{"stages": [{"stage": "fit", "key": "k", "files": {"a": 1e300, "b": -1, "c": 18446744073709551615}}]}',
        "run": b"\1" + json.dumps(run).encode(),
        "run_deep": b"\1" + b'{"a":' + b"[" * 200 + b"]" * 200 + b"}",
        "run_stages": b"\1" + b'{"stages": {"fit": 3, "collect": {"planned_peak_bytes": 1e99}}}',
        "unit": b"\2" + unit(b"contents"),
        "unit_cut": b"\2" + unit(b"contents")[:-3],
        "unit_long_name": b"\2" + unit(b"", name="n" * 5000),
        "condition": b"\3" + condition,
        "condition_empty": b"\3" + b"\0\0\0\0" + struct.pack("<q", 9),
        "pca": b"\4" + pca(),
        "cell_sums": b"\5" + cell_sums(),
        "progress": b"\6" + progress,
        "progress_last": b"\6" + last,
        "progress_seeding": b"\6" + seeding,
    }
    for name, data in seeds.items():
        (out / name).write_bytes(data)
    words = ["stages", "stage", "key", "files", "collect", "fit", "analyze", "input", "path", "frame_rate_hz",
             "planned_peak_bytes", "peak_rss_bytes", "budget_bytes", "ph0unit1", "restart", "tol", "behind"]
    lines = [f'"{word}"' for word in words] + ['"\\xff\\xff\\xff\\xff\\xff\\xff\\xff\\xff"', '"\\\\u0000"', '"1e999"']
    (HERE / "journal.dict").write_text("# Names in a run directory's files: make_corpus.py\n" + "\n".join(lines) + "\n")


def import_seeds(out):
    """The format in the first byte, as import_fuzz.cpp has it; a text before another file with its length in 2 bytes."""
    x = np.arange(12, dtype="f4").reshape(4, 3)

    def npy(array, version=(1, 0)):
        data = io.BytesIO()
        np.lib.format.write_array(data, array, version=version)
        return data.getvalue()

    def npz(save, **arrays):
        data = io.BytesIO()
        save(data, **arrays)
        return data.getvalue()

    def sized(*sizes):
        return b"".join(b"\4" + struct.pack("<i", size) for size in sizes)

    def compressed(kind, size):
        return b"c " + b"\0B" + kind + b" " + struct.pack("<ffii", -1, 2, 4, 3) + bytes(range(size))

    def pair(text, other):
        return struct.pack("<H", len(text)) + text + other

    ark = b"a \0BFM " + sized(4, 3) + x.tobytes()
    seeds = {
        "npy": b"\0" + npy(x), "npy_fortran": b"\0" + npy(np.asfortranarray(x.astype(">f8"))),
        "npy_2": b"\0" + npy(x.astype("f2"), (2, 0)), "energy": b"\1" + npy(x[:, 0]),
        "npz": b"\2" + npz(np.savez, a=x, b=np.asfortranarray(x)),
        "npz_packed": b"\2" + npz(np.savez_compressed, a=x, b=np.asfortranarray(x)),
        "npz_bomb": b"\2" + npz(np.savez_compressed, a=np.zeros((200_000, 8), "f2")),
        "ark": b"\3" + ark, "ark_double": b"\3" + b"a \0BDM " + sized(2, 3) + bytes(48),
        "ark_cm": b"\3" + compressed(b"CM", 36), "ark_cm2": b"\3" + compressed(b"CM2", 24),
        "ark_cm3": b"\3" + compressed(b"CM3", 12), "speakers": b"\4" + b"a one\nb_1 two  words\n",
        "scp": b"\5" + pair(b"a @:2[1:2,0:1]\nb @:2\n", ark),
        "scp_cm": b"\5" + pair(b"a @:2[0:5,1:2]\n", compressed(b"CM", 36)),
        "lengths": b"\6" + pair(b"1\n3\r\n", npy(x)),
    }
    for name, data in seeds.items():
        (out / name).write_bytes(data)
    words = ["\\x93NUMPY\\x01\\x00", "descr", "fortran_order", "shape", "True", "False", "<f2", ">f4", "<f8", "PK\\x03\\x04",
             "PK\\x01\\x02", "PK\\x05\\x06", "PK\\x06\\x06", "PK\\x06\\x07", "a.npy", "\\x00BFM ", "\\x00BDM ",
             "\\x00BCM ", "\\x00BCM2 ", "\\x00BCM3 ", "\\x04\\xff\\xff\\xff\\x7f", "\\xff\\xff\\xff\\xff", ":,", "|"]
    lines = [f'"{word}"' for word in words]
    (HERE / "import.dict").write_text("# Marks of the formats that are imported: make_corpus.py\n" + "\n".join(lines) + "\n")


def hdf5_dictionary():
    marks = ["\\x89HDF\\x0d\\x0a\\x1a\\x0a", "TREE", "SNOD", "HEAP", "GCOL\\x01", "OHDR", "OCHK", "FRHP", "FHDB", "FHIB", "BTHD",
             "BTLF", "FADB", "EAHD", "/x", "energy", "utterances", "speaker_id", "phase0-latents", "phase0-models",
             "phase0-features", "phase0-assignments", "\\xff\\xff\\xff\\xff\\xff\\xff\\xff\\xff", "\\x00\\x00\\x00\\x80", "\\x15}"]
    lines = [f'"{mark}"' for mark in marks]
    (HERE / "latents.dict").write_text("# Marks of the HDF5 format and our names: make_corpus.py\n" + "\n".join(lines) + "\n")


def main():
    for name, write in (("latents", latents_seeds), ("chunks", chunks_seeds), ("yaml", yaml_seeds), ("journal", journal_seeds),
                        ("import", import_seeds)):
        folder = HERE / "corpus" / name
        folder.mkdir(parents=True, exist_ok=True)
        write(folder)
    hdf5_dictionary()


if __name__ == "__main__":
    main()
