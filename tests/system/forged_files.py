"""More latents files that must be rejected: other types and shapes, links, layouts forged in the file's bytes, chunks
that decode to anything, and things that are no files. As BAD_FILES of bad_files.py."""

from __future__ import annotations

import os
import socket
import struct
import zlib

import bad_files
import h5py
import hdf5plugin
import numpy as np
from bad_files import DIM, FRAMES, N_UTTERANCES

ROWS = FRAMES * N_UTTERANCES
CHUNK = (32, DIM)
BOMB_BYTES = 64 << 20


def _edit(fn):
    """fn(open file) changes a good file of layout A."""
    def spoil(path):
        with h5py.File(path, "r+") as f:
            fn(f)
    return spoil


def _x(make):
    """/x is made anew by make(file, its values)."""
    def change(f):
        x = f["x"][()]
        del f["x"]
        make(f, x)
    return _edit(change)


def _values(convert):
    return _x(lambda f, x: f.create_dataset("x", data=convert(x)))


def _attribute(name, value):
    return _edit(lambda f: f.attrs.__setitem__(name, value))


def _odd_float(f, _):
    """Four bytes, but with another exponent: bfloat16 and then some."""
    kind = h5py.h5t.IEEE_F32LE.copy()
    kind.set_fields(31, 20, 11, 0, 20)
    kind.set_ebias(1023)
    h5py.h5d.create(f.id, b"x", kind, h5py.h5s.create_simple((ROWS, DIM)))


def _filters(n):
    def make(f, x):
        properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        properties.set_chunk(CHUNK)
        for _ in range(n):
            properties.set_deflate(1)
        made = h5py.h5d.create(f.id, b"x", h5py.h5t.IEEE_F32LE, h5py.h5s.create_simple(x.shape), properties)
        made.write(h5py.h5s.ALL, h5py.h5s.ALL, x)
    return _x(make)


def _never_written(f, x):
    h5py.h5d.create(f.id, b"x", h5py.h5t.IEEE_F32LE, h5py.h5s.create_simple(x.shape))


def _missing_chunk(f, x):
    made = f.create_dataset("x", x.shape, "f4", chunks=CHUNK)
    made[:64] = x[:64]


def _huge_chunks(f, x):
    f.create_dataset("x", (ROWS, 200_000), "f4", chunks=(ROWS, 200_000), compression="gzip")


def _chunk(stored, **kwargs):
    """The second chunk's stored bytes are stored(values)."""
    def make(f, x):
        made = f.create_dataset("x", data=x, chunks=CHUNK, **kwargs)
        made.id.write_direct_chunk((32, 0), stored(x))
    return _x(make)


def _deflated(n_bytes):
    return lambda x: zlib.compress(bytes(n_bytes), 9)


def _zstd_bomb(path):
    """A chunk of zstd data that holds BOMB_BYTES of zeros."""
    source = path.parent / "bomb.h5"
    with h5py.File(source, "w") as f:
        made = f.create_dataset("x", data=np.zeros(BOMB_BYTES // 4, "f4"), chunks=(BOMB_BYTES // 4,), **hdf5plugin.Zstd())
        return made.id.read_direct_chunk((0,))[1]


def _with_zstd(change):
    def spoil(path):
        bomb = change(_zstd_bomb(path))
        _chunk(lambda x: bomb, **hdf5plugin.Zstd())(path)
    return spoil


def _understated(bomb):
    """The same data behind a header that declares a chunk's size."""
    at = 5 if bomb[4] & 0x20 else 6
    return bomb[:at] + struct.pack("<I", CHUNK[0] * DIM * 4) + bomb[at + 4:]


def _bytes(find, replace, **kwargs):
    """Replaces find(open file) by `replace` wherever it stands in the bytes of a file with /x made with kwargs."""
    def spoil(path):
        if kwargs:
            _x(lambda f, x: f.create_dataset("x", data=x, **kwargs))(path)
        with h5py.File(path) as f:
            pattern = find(f)
        data = path.read_bytes()
        assert pattern in data, "nothing to forge"
        path.write_bytes(data.replace(pattern, replace))
    return spoil


def _dims(*sizes):
    return _bytes(lambda f: struct.pack("<QQ", ROWS, DIM), struct.pack("<QQ", *sizes))


def _address(value):
    return _bytes(lambda f: struct.pack("<QQ", f["x"].id.get_offset(), ROWS * DIM * 4),
                  struct.pack("<QQ", value, ROWS * DIM * 4))


def _chunk_address(value, **kwargs):
    return _bytes(lambda f: struct.pack("<Q", f["x"].id.get_chunk_info(3).byte_offset), struct.pack("<Q", value),
                  chunks=CHUNK, **kwargs)


def _chunk_size(value, **kwargs):
    """The stored size of a chunk, which stands before its filter mask and its place."""
    def find(f):
        info = f["x"].id.get_chunk_info(3)
        return struct.pack("<IIQ", info.size, info.filter_mask, info.chunk_offset[0])
    return _bytes(find, struct.pack("<IIQ", value, 0, 96), chunks=CHUNK, **kwargs)


def _chunk_sizes(row, sizes):
    """The stored sizes of the first chunks of a row, of many chunks of one value each."""
    def spoil(path):
        _x(lambda f, x: f.create_dataset("x", data=x, chunks=(1, 1)))(path)
        data = path.read_bytes()
        for column, size in enumerate(sizes):
            key = struct.pack("<IQQQ", 0, row, column, 0)
            assert struct.pack("<I", 4) + key in data, "nothing to forge"
            data = data.replace(struct.pack("<I", 4) + key, struct.pack("<I", size) + key)
        path.write_bytes(data)
    return spoil


def _cut_at(find):
    """Ends the file at find(open file) and makes its superblock agree."""
    def spoil(path):
        with h5py.File(path) as f:
            end = find(f)
        data = bytearray(path.read_bytes()[:end])
        struct.pack_into("<Q", data, 40, end)  # end-of-file address of a version 0 superblock
        path.write_bytes(data)
    return spoil


def _heap_place(f):
    with open(f.filename, "rb") as raw:
        return raw.read().find(b"GCOL") + 100


def _user_block_lost(path):
    """What is left of a file with a user block whose first bytes were cut off."""
    with h5py.File(path, "r") as f:
        x = f["x"][()]
    path.unlink()
    with h5py.File(path, "w", userblock_size=1024) as f:
        f.create_dataset("x", data=x)
    path.write_bytes(path.read_bytes()[100:])


def _instead(make):
    def spoil(path):
        path.unlink()
        make(path)
    return spoil


def _socket(path):
    here = os.getcwd()
    os.chdir(path.parent)  # the path of a socket may not be long
    try:
        with socket.socket(socket.AF_UNIX) as s:
            s.bind(path.name)
    finally:
        os.chdir(here)


def _ids(values):
    return _edit(lambda f: (f["utterances"].__delitem__("id"), f["utterances"].create_dataset("id", data=values)))


def _texts(name, change):
    """A dataset of fixed-length strings, changed by change(list)."""
    def spoil(f):
        texts = [v if isinstance(v, bytes) else str(v).encode() for v in f[name][()]]
        change(texts)
        del f[name]
        f.create_dataset(name, data=np.array(texts))
    return _edit(spoil)


def _hard_link_to_root(f):
    del f["utterances"]
    f["utterances"] = f["/"]


def _soft_parent(f):
    f["real"] = f["utterances"]
    del f["utterances"]
    f["utterances"] = h5py.SoftLink("/real")


def _named_type(f, _):
    f["x"] = np.dtype("f4")


COMPOUND = np.dtype([("a", "f4"), ("b", "f4")])
NO_FILE = "not a regular file"

FORGED_FILES = {
    # types and shapes
    "x_scalar": (_x(lambda f, x: f.create_dataset("x", data=np.float32(1))), ["/x", "0 dimensions"]),
    "x_null_space": (_x(lambda f, x: f.create_dataset("x", data=h5py.Empty("f4"))), ["/x", "null data space"]),
    "x_no_rows": (_values(lambda x: x[:0]), ["/x", "no frames"]),
    "x_compound": (_x(lambda f, x: f.create_dataset("x", (ROWS, DIM), COMPOUND)), ["/x", "wrong type"]),
    "x_strings": (_values(lambda x: x.astype("S8")), ["/x", "wrong type"]),
    "x_booleans": (_values(lambda x: x > 0), ["/x", "wrong type"]),
    "x_big_endian_double": (_values(lambda x: x.astype(">f8")), ["/x", "wrong type"]),
    "x_long_double": (_values(lambda x: x.astype("g")), ["/x", "wrong type"]),
    "x_odd_float": (_x(_odd_float), ["/x", "wrong type"]),
    "x_named_type": (_x(_named_type), ["/x", "not a dataset"]),
    "x_rank_nine": (_values(lambda x: x[:1, :1].reshape((1,) * 9)), ["/x", "9 dimensions"]),
    "x_never_written": (_x(_never_written), ["/x", "never written"]),
    "x_missing_chunks": (_x(_missing_chunk), ["/x", "2 of its 15 chunks"]),
    "x_huge_chunks": (_x(_huge_chunks), ["/x", "smaller chunks"]),
    "x_nine_filters": (_filters(9), ["/x", "9 filters"]),
    "x_beyond_computing": (_edit(lambda f: f["x"].__setitem__((FRAMES + 2, 1), 1e30)),
                           ["/x", "u01", "frame 2", "1e+30", "dimension 1"]),
    # chunks
    "gzip_bomb": (_chunk(_deflated(BOMB_BYTES), compression="gzip"), ["/x", "row 32", "bytes for 384"]),
    "gzip_small_bomb": (_chunk(_deflated(4 << 20), compression="gzip"), ["/x", "row 32", "larger than a chunk"]),
    "gzip_short": (_chunk(_deflated(100), compression="gzip"), ["/x", "row 32", "100 bytes", "384"]),
    "gzip_noise": (_chunk(lambda x: b"\x99" * 77, compression="gzip"), ["/x", "row 32", "damaged"]),
    "gzip_one_byte": (_chunk(lambda x: b"x", compression="gzip"), ["/x", "row 32", "damaged"]),
    "zstd_bomb": (_with_zstd(lambda bomb: bomb), ["/x", "row 32", "zstd data is damaged"]),
    "zstd_bomb_understated": (_with_zstd(_understated), ["/x", "row 32", "zstd data is damaged"]),
    "zstd_noise": (_chunk(lambda x: b"\x99" * 77, **hdf5plugin.Zstd()), ["/x", "row 32", "zstd data is damaged"]),
    "checksum_wrong": (_chunk(lambda x: bytes(384) + b"\1\2\3\4", fletcher32=True), ["/x", "row 32", "checksum"]),
    "chunk_overlong": (_chunk(lambda x: bytes(1 << 20), compression="gzip"), ["/x", "row 32", "1048576 bytes for 384"]),
    # forged in place
    "dims_overflow": (_dims(2 ** 33, 2 ** 33), ["/x", "a dataspace of impossible size"]),
    "dims_product_of_bytes": (_dims(2 ** 31, 2 ** 30), ["/x", "size is too large"]),
    "dims_sign": (_dims(2 ** 63, 1), ["/x", "cannot be opened"]),
    "dims_large": (_dims(ROWS * 1000, DIM), ["/x", "disagrees with its shape"]),
    "range_behind_the_end": (_address(2 ** 20), ["/x", "end behind the file"]),
    "range_far_away": (_address(2 ** 62), ["/x", "end behind the file"]),
    "chunk_behind_the_end": (_chunk_address(2 ** 30, compression="gzip"), ["/x", "row 96", "cannot be read"]),
    "plain_chunk_behind_the_end": (_chunk_address(2 ** 30), ["/x", "cannot be read"]),
    "chunk_size_huge": (_chunk_size(2 ** 31 - 1, compression="gzip"), ["/x", "larger than the file"]),
    "chunk_size_small": (_chunk_size(1, compression="gzip"), ["/x", "row 96", "damaged"]),
    "plain_chunk_size_small": (_chunk_size(8), ["/x", "not of the size"]),
    "plain_chunk_sizes_of_many": (_chunk_sizes(96, (1, 7)), ["/x", "not of the size"]),
    # cut, with a superblock that agrees
    "cut_superblock": (lambda p: p.write_bytes(p.read_bytes()[:30]), ["its header is damaged: it ends too early"]),
    "cut_headers": (_cut_at(lambda f: 200), ["header is damaged", "outside the file"]),
    "cut_heap": (_cut_at(_heap_place), ["strings are damaged"]),
    "cut_data": (_cut_at(lambda f: f["x"].id.get_offset() + 1000), ["/x", "end behind the file"]),
    "user_block_lost": (_user_block_lost, ["not a readable HDF5 file"]),
    # attributes
    "rate_negative": (_attribute("frame_rate_hz", -12.5), ["frame_rate_hz", "-12.5"]),
    "rate_infinite": (_attribute("frame_rate_hz", np.inf), ["frame_rate_hz is inf", "finite"]),
    "rate_huge": (_attribute("frame_rate_hz", 1e300), ["min_duration_sec"]),
    "rate_text": (_attribute("frame_rate_hz", "12.5"), ["frame_rate_hz", "not a number"]),
    "rate_list": (_attribute("frame_rate_hz", [12.5, 25.0]), ["frame_rate_hz", "2 values"]),
    "rate_compound": (_attribute("frame_rate_hz", np.zeros((), COMPOUND)), ["frame_rate_hz", "not a number"]),
    "version_text": (_attribute("version", "one"), ["version", "not an integer"]),
    "version_half": (_attribute("version", 1.5), ["version", "not an integer"]),
    "no_version": (_edit(lambda f: f.attrs.__delitem__("version")), ["version", "missing"]),
    "format_other": (_attribute("format", "phase0-models"), ["format", "phase0-models"]),
    "format_number": (_attribute("format", 7), ["format", "not a string"]),
    # utterances
    "ids_not_utf8": (_texts("utterances/id", lambda t: t.__setitem__(2, b"\xff\xfe")), ["utterances/id", "UTF-8"]),
    "ids_empty_text": (_texts("utterances/id", lambda t: t.__setitem__(2, b"")), ["utterances/id", "empty"]),
    "ids_two_dimensions": (_ids(np.full((N_UTTERANCES, 1), b"u")), ["utterances/id", "1-d"]),
    "no_utterances": (_edit(lambda f: [f["utterances"].__delitem__(k) or f["utterances"].create_dataset(
        k, data=np.zeros(n, t)) for k, n, t in (("id", 0, "S4"), ("speaker", 0, "S4"), ("offset", 1, "i8"))]),
        ["utterances"]),
    "speakers_not_utf8": (_texts("utterances/speaker", lambda t: t.__setitem__(1, b"\xc3")),
                          ["utterances/speaker", "UTF-8"]),
    "speakers_empty_text": (_texts("utterances/speaker", lambda t: t.__setitem__(1, b"")),
                            ["utterances/speaker", "empty"]),
    "speakers_many": (_texts("utterances/speaker", lambda t: t.append(b"more")), ["utterances/speaker", "13"]),
    "offsets_beyond_int64": (_edit(lambda f: (f["utterances"].__delitem__("offset"), f["utterances"].create_dataset(
        "offset", data=np.full(N_UTTERANCES + 1, 2 ** 64 - 1, "u8")))), ["utterances/offset", "out of range"]),
    "offsets_text": (_texts("utterances/offset", lambda t: None), ["utterances/offset", "integer"]),
    # links
    "x_soft_link": (_edit(lambda f: (f.move("x", "real"), f.__setitem__("x", h5py.SoftLink("/real")))), ["/x", "link"]),
    "soft_link_of_a_group": (_edit(_soft_parent), ["utterances", "link"]),
    "hard_link_cycle": (_edit(_hard_link_to_root), ["utterances/id", "missing"]),
    # no files
    "fifo": (_instead(os.mkfifo), [NO_FILE]),
    "device": (_instead(lambda p: p.symlink_to("/dev/zero")), [NO_FILE]),
}

# Nothing that could be opened: exit code 5.
UNOPENED_FILES = {
    "absent": (_instead(lambda p: None), ["cannot open", "No such file"]),
    "dangling_symlink": (_instead(lambda p: p.symlink_to("nowhere.h5")), ["cannot open", "No such file"]),
    "symlink_to_itself": (_instead(lambda p: p.symlink_to(p.name)), ["cannot open", "symbolic links"]),
    "socket": (_instead(_socket), ["cannot open", "No such device"]),
}


def _b(change):
    def spoil(path):
        path.unlink()
        bad_files.good(path, layout="B")
        _edit(change)(path)
    return spoil


def _b_put(name, make):
    def change(f):
        if name in f:
            del f[name]
        make(f)
    return _b(change)


def _b_misnamed(forged):
    """A group whose stored name is forged."""
    name = b"@" * len(forged)

    def spoil(path):
        _b(lambda f: f.create_group(name))(path)
        data = path.read_bytes()
        assert name in data, "nothing to forge"
        path.write_bytes(data.replace(name, forged))
    return spoil


def _b_one_index(path):
    """Many groups with the members of one: each is sound, together they take long."""
    indexes = []

    def fill(f):
        groups = [f.create_group(f"a{i}") for i in range(100)]
        f.flush()
        data = path.read_bytes()
        for group in groups:
            at = h5py.h5o.get_info(group.id).addr + 24  # behind the front of the header and of its first message
            indexes.append(data[at:at + 16])
            group.attrs["speaker_id"] = 1
        for i in range(2000):
            groups[0][f"member{i}"] = f["u04/x"]
        for name in ("x", "energy"):
            groups[0][name] = f["u04"][name]
    _b(fill)(path)
    data = path.read_bytes()
    for index in indexes[1:]:
        data = data.replace(index, indexes[0])
    path.write_bytes(data)


FORGED_B_FILES = {
    "b_cycle": (_b(lambda f: f.__setitem__("loop", f["/"])), ["loop", "speaker_id is missing"]),
    "b_soft_group": (_b(lambda f: f.__setitem__("zz", h5py.SoftLink("/u04"))), ["zz", "link"]),
    "b_external_group": (_b(lambda f: f.__setitem__("zz", h5py.ExternalLink("o.h5", "/u"))), ["zz", "link"]),
    "b_soft_x": (_b_put("u04/x", lambda f: f.__setitem__("u04/x", h5py.SoftLink("/u03/x"))), ["u04/x", "link"]),
    "b_dataset_among_groups": (_b(lambda f: f.create_dataset("note", data=1)), ["note", "not a group"]),
    "b_other_type": (_b_put("u04/x", lambda f: f.create_dataset("u04/x", data=np.zeros((40, DIM), "f8"))),
                     ["u04/x", "float64", "float32"]),
    "b_no_frames": (_b_put("u04/x", lambda f: f.create_dataset("u04/x", data=np.zeros((0, DIM), "f4"))),
                    ["u04/x", "no frames"]),
    "b_energy_missing": (_b(lambda f: f.__delitem__("u04/energy")), ["u04/energy", "missing"]),
    "b_speaker_empty": (_b(lambda f: f["u04"].attrs.__setitem__("speaker_id", "")), ["u04", "speaker_id", "empty"]),
    "b_speaker_float": (_b(lambda f: f["u04"].attrs.__setitem__("speaker_id", 1.5)),
                        ["u04", "speaker_id", "neither a string nor an integer"]),
    "b_speaker_list": (_b(lambda f: f["u04"].attrs.__setitem__("speaker_id", [1, 2])),
                       ["u04", "speaker_id has 2 values"]),
    "b_name_not_utf8": (_b(lambda f: h5py.h5g.create(f.id, b"\xff\xfe")), ["name is not valid UTF-8"]),
    "b_name_with_slash": (_b_misnamed(b"@@@@/@"), ["member's name", "slash"]),
    "b_name_a_deep_path": (_b_misnamed(b"@/" * 30_000), ["member's name", "slash"]),
    "b_name_empty": (_b_misnamed(b"\0@@@@@"), ["member's name", "empty"]),
    "b_one_index": (_b_one_index, ["header is damaged", "those of other objects"]),
    "b_virtual": (_b_put("u04/x", lambda f: f.create_virtual_dataset("u04/x", h5py.VirtualLayout((40, DIM), "f4"))),
                  ["u04/x", "virtual"]),
    "b_gzip_bomb": (_b_put("u04/x", lambda f: f.create_dataset(
        "u04/x", data=np.zeros((40, DIM), "f4"), chunks=(40, DIM), compression="gzip").id.write_direct_chunk(
            (0, 0), zlib.compress(bytes(4 << 20), 9))), ["u04/x", "larger than a chunk"]),
}
