"""Latents files that must be rejected. Each entry of BAD_FILES: function(path) that spoils a good layout A file (or
makes another file in its place), and fragments that the message must hold beside the file's name.

The good file is `good(path)`: utterances u00 .. u11 of speakers s0 .. s5, 40 frames each, 3 dimensions, energy.
"""

from __future__ import annotations

import h5py
import hdf5plugin
import latents
import numpy as np

FRAMES, DIM, N_UTTERANCES = 40, 3, 12


def corpus() -> latents.Corpus:
    rng = np.random.default_rng(8)
    xs = [rng.standard_normal((FRAMES, DIM)) for _ in range(N_UTTERANCES)]
    energies = [rng.random(FRAMES).astype(np.float32) for _ in range(N_UTTERANCES)]
    return latents.Corpus([f"u{i:02d}" for i in range(N_UTTERANCES)], [f"s{i // 2}" for i in range(N_UTTERANCES)],
                          xs, energies)


def good(path, layout="A", **kwargs):
    return latents.write(path, corpus(), layout=layout, **kwargs)


def _replace(path, name, data, **kwargs):
    with h5py.File(path, "r+") as f:
        del f[name]
        if data is not None:
            f.create_dataset(name, data=data, **kwargs)


def _change(name, fn, **kwargs):
    """Replaces dataset `name` by fn(its values)."""
    def spoil(path):
        with h5py.File(path) as f:
            data = f[name][()]
        _replace(path, name, fn(data), **kwargs)
    return spoil


def _poke(name, index, value):
    def spoil(path):
        with h5py.File(path, "r+") as f:
            f[name][index] = value
    return spoil


def _truncate(share):
    def spoil(path):
        data = path.read_bytes()
        path.write_bytes(data[:int(len(data) * share)])
    return spoil


def _external_raw(path):
    (path.parent / "raw.bin").write_bytes(bytes(FRAMES * N_UTTERANCES * DIM * 4))
    with h5py.File(path, "r+") as f:
        del f["x"]
        f.create_dataset("x", (FRAMES * N_UTTERANCES, DIM), "f4",
                         external=[(str(path.parent / "raw.bin"), 0, FRAMES * N_UTTERANCES * DIM * 4)])


def _external_link(path):
    other = path.parent / "other.h5"
    good(other)
    with h5py.File(path, "r+") as f:
        del f["x"]
        f["x"] = h5py.ExternalLink(str(other), "/x")


def _virtual(path):
    other = path.parent / "other.h5"
    good(other)
    layout = h5py.VirtualLayout((FRAMES * N_UTTERANCES, DIM), "f4")
    layout[:] = h5py.VirtualSource(str(other), "x", (FRAMES * N_UTTERANCES, DIM))
    with h5py.File(path, "r+") as f:
        del f["x"]
        f.create_virtual_dataset("x", layout)


def _dangling_link(path):
    with h5py.File(path, "r+") as f:
        del f["x"]
        f["x"] = h5py.SoftLink("/nowhere")


def _unknown_filter(path):
    with h5py.File(path) as f:
        x = f["x"][()]
    _replace(path, "x", x, chunks=(32, DIM), **hdf5plugin.LZ4())


def _group_in_place_of_x(path):
    with h5py.File(path, "r+") as f:
        del f["x"]
        f.create_group("x")


def _no_rate(path):
    with h5py.File(path, "r+") as f:
        del f.attrs["frame_rate_hz"]


def _rate(value):
    def spoil(path):
        with h5py.File(path, "r+") as f:
            f.attrs["frame_rate_hz"] = value
    return spoil


def _version(path):
    with h5py.File(path, "r+") as f:
        f.attrs["version"] = 99


def _directory(path):
    path.unlink()
    path.mkdir()


def _text(path):
    path.write_text("not an HDF5 file\n" * 100)


def _rows(a, b):
    return FRAMES * a + b


def _offsets(fn):
    return _change("utterances/offset", fn)


def _set(index, value):
    def fn(a):
        a = a.copy()
        a[index] = value
        return a
    return fn


BAD_FILES = {
    "no_x": (lambda p: _replace(p, "x", None), ["/x", "is missing"]),
    "x_one_dimension": (_change("x", lambda x: x[:, 0]), ["/x", "1 dimensions"]),
    "x_three_dimensions": (_change("x", lambda x: x[:, :, None]), ["/x", "3 dimensions"]),
    "x_int": (_change("x", lambda x: x.astype("i4")), ["/x", "wrong type"]),
    "x_big_endian": (_change("x", lambda x: x.astype(">f4")), ["/x", "wrong type", "little-endian"]),
    "x_complex": (_change("x", lambda x: x.astype("c8")), ["/x", "wrong type"]),
    "x_is_a_group": (_group_in_place_of_x, ["/x", "not a dataset"]),
    "x_no_columns": (_change("x", lambda x: x[:, :0]), ["/x", "latent dimension 0"]),
    "x_too_short": (_change("x", lambda x: x[:-1]), ["479", "480"]),
    "x_nan": (_poke("x", (_rows(3, 17), 1), np.nan), ["/x", "u03", "frame 17", "holds NaN"]),
    "x_inf": (_poke("x", (_rows(0, 0), 0), np.inf), ["/x", "u00", "frame 0", "holds infinity"]),
    "x_minus_inf_last": (_poke("x", (-1, -1), -np.inf), ["/x", "u11", "frame 39", "holds infinity"]),
    "x_external_raw": (_external_raw, ["/x", "external raw storage"]),
    "x_external_link": (_external_link, ["/x", "external", "link"]),
    "x_virtual": (_virtual, ["/x", "virtual dataset"]),
    "x_dangling_link": (_dangling_link, ["/x", "link"]),
    "x_unknown_filter": (_unknown_filter, ["/x", "filter 32004", "not supported"]),
    "energy_inf": (_poke("energy", _rows(5, 3), np.inf), ["/energy", "u05", "frame 3", "holds infinity"]),
    "energy_nan": (_poke("energy", _rows(5, 3), np.nan), ["/energy", "u05", "frame 3", "holds NaN"]),
    "energy_short": (_change("energy", lambda e: e[:-1]), ["/energy", "479", "480"]),
    "energy_int": (_change("energy", lambda e: (e * 9).astype("i4")), ["/energy", "wrong type"]),
    "energy_two_dimensions": (_change("energy", lambda e: e[:, None]), ["/energy", "2 dimensions"]),
    "no_ids": (lambda p: _replace(p, "utterances/id", None), ["utterances/id", "is missing"]),
    "ids_int": (_change("utterances/id", lambda a: np.arange(len(a))), ["utterances/id", "string type"]),
    "ids_few": (_change("utterances/id", lambda a: a[:-1]), ["utterances/speaker", "12 values for 11"]),
    "ids_duplicate": (_change("utterances/id", _set(7, b"u02")), ["utterances/id", "u02", "duplicate id"]),
    "no_speakers": (lambda p: _replace(p, "utterances/speaker", None), ["utterances/speaker", "is missing"]),
    "speakers_few": (_change("utterances/speaker", lambda a: a[:-1]), ["utterances/speaker", "11 values for 12"]),
    "speakers_float": (_change("utterances/speaker", lambda a: np.arange(len(a)) / 2),
                       ["utterances/speaker", "integer type"]),
    "no_offsets": (lambda p: _replace(p, "utterances/offset", None), ["utterances/offset", "is missing"]),
    "offsets_few": (_offsets(lambda a: a[:-1]), ["utterances/offset", "12 values for 12"]),
    "offsets_start": (_offsets(_set(0, 1)), ["utterances/offset", "starts at 1"]),
    "offsets_negative": (_offsets(_set(0, -40)), ["utterances/offset", "starts at -40"]),
    "offsets_end_early": (_offsets(_set(-1, _rows(11, 39))), ["utterances/offset", "ends at 479", "480"]),
    "offsets_end_late": (_offsets(_set(-1, 10 ** 15)), ["utterances/offset", "u11", "1000000000000000"]),
    "offsets_decrease": (_offsets(_set(4, _rows(2, 5))), ["utterances/offset", "u03", "85 after 120"]),
    "offsets_equal": (_offsets(_set(4, _rows(3, 0))), ["utterances/offset", "u03", "120 after 120"]),
    "offsets_float": (_offsets(lambda a: a.astype("f8")), ["utterances/offset", "integer type"]),
    "no_rate": (_no_rate, ["frame_rate_hz", "is missing"]),
    "rate_zero": (_rate(0.0), ["frame_rate_hz is 0", "above 0"]),
    "rate_nan": (_rate(np.nan), ["frame_rate_hz is nan", "finite"]),
    "version_99": (_version, ["version is 99", "only version 1"]),
    "truncated_half": (_truncate(0.5), ["not a readable HDF5 file"]),
    "truncated_last_byte": (lambda p: p.write_bytes(p.read_bytes()[:-1]), ["not a readable HDF5 file"]),
    "header_only": (lambda p: p.write_bytes(p.read_bytes()[:64]), ["its header is damaged: it ends too early"]),
    "empty": (lambda p: p.write_bytes(b""), ["not a readable HDF5 file"]),
    "text": (_text, ["not a readable HDF5 file"]),
    "directory": (_directory, ["not a regular file"]),
}


def _b(fn):
    def spoil(path):
        path.unlink()
        good(path, layout="B")
        with h5py.File(path, "r+") as f:
            fn(f)
    return spoil


def _b_replace(name, fn):
    def change(f):
        data = fn(f[name][()])
        del f[name]
        f.create_dataset(name, data=data)
    return _b(change)


def _b_set(name, index, value):
    def change(f):
        f[name][index] = value
    return _b(change)


def _b_delete(name):
    def change(f):
        del f[name]
    return _b(change)


def _b_link(f):
    del f["u04"]
    f["u04"] = h5py.ExternalLink("other.h5", "/u04")


BAD_B_FILES = {
    "b_no_x": (_b_delete("u04/x"), ["u04/x", "is missing"]),
    "b_other_dim": (_b_replace("u04/x", lambda x: x[:, :2]), ["u04/x", "latent dimension 2", "3"]),
    "b_int": (_b_replace("u04/x", lambda x: x.astype("i8")), ["u04/x", "wrong type"]),
    "b_one_dimension": (_b_replace("u04/x", lambda x: x[:, 0]), ["u04/x", "1 dimensions"]),
    "b_nan": (_b_set("u04/x", (11, 2), np.nan), ["u04/x", "frame 11", "holds NaN"]),
    "b_energy_inf": (_b_set("u04/energy", 12, np.inf), ["u04/energy", "frame 12", "holds infinity"]),
    "b_energy_short": (_b_replace("u04/energy", lambda e: e[:-1]), ["u04/energy", "39 values for 40"]),
    "b_no_speaker": (_b(lambda f: f["u04"].attrs.__delitem__("speaker_id")), ["u04", "speaker_id is missing"]),
    "b_no_rate": (_b(lambda f: f.attrs.__delitem__("frame_rate_hz")), ["frame_rate_hz is missing"]),
    "b_external_link": (_b(_b_link), ["u04", "external", "link"]),
    "b_no_groups": (_b(lambda f: [f.__delitem__(k) for k in list(f)]), ["neither a dataset /x nor a group"]),
}
