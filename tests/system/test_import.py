"""phase0 import and export against the libraries that wrote the files: numpy, kaldiio and Kaldi's own code."""

import io
import os
import re
import resource
import signal
import subprocess
import time
import zipfile

import h5py
import harness
import io_faults
import kaldi_native_io
import kaldiio
import latents
import numpy as np
import pytest

MIB = 1 << 20
RATE = ("--frame-rate", "12.5")
BY_ID = (*RATE, "--speaker-separator", "_")


def arrays(dtype="<f4", n=6, dim=5, seed=1):
    """Ids in byte order, with lengths of their own."""
    rng = np.random.default_rng(seed)
    return {f"s{i // 2}_u{i}": rng.standard_normal((7 + 5 * i, dim)).astype(dtype) for i in range(n)}


def good_import(source, out, *flags):
    result = harness.run("import", source, out, "--progress", "none", *flags)
    assert result.code == 0, str(result)
    return result


def stored(path):
    """{id: frames}, in the file's order, and {id: speaker}."""
    with h5py.File(path) as f:
        assert f.attrs["format"] == "phase0-latents" and f.attrs["version"] == 1 and f.attrs["frame_rate_hz"] == 12.5
        ids, offsets, x = harness.strings(f["utterances/id"]), f["utterances/offset"][()], f["x"][()]
        speakers = dict(zip(ids, harness.strings(f["utterances/speaker"])))
        return {i: x[a:b] for i, a, b in zip(ids, offsets, offsets[1:])}, speakers


def check_same(path, expected):
    """Bit for bit, whatever the byte order that the values had."""
    found, speakers = stored(path)
    assert list(found) == list(expected)
    for name, x in expected.items():
        little = np.ascontiguousarray(x).astype(x.dtype.newbyteorder("<"))
        assert found[name].dtype == little.dtype and found[name].shape == x.shape, name
        assert found[name].tobytes() == little.tobytes(), name
    assert speakers == {name: name.split("_")[0] for name in expected}
    assert harness.run("inspect", path).code == 0


def refused(source, out, code, *fragments, flags=BY_ID):
    before = sorted(os.listdir(out.parent))
    result = harness.run("import", source, out, "--progress", "none", *flags)
    assert result.code == code, str(result)
    for fragment in fragments:
        assert str(fragment) in result.err, f"{fragment!r} is not in the message\n{result}"
    assert result.out == "" and all(line.startswith("phase0: ") for line in result.err.splitlines()), str(result)
    assert sorted(os.listdir(out.parent)) == before, "something was left behind"


def npy_folder(path, xs):
    path.mkdir()
    for name, x in xs.items():
        np.save(path / f"{name}.npy", x)
    return path


# ---- numpy


@pytest.mark.parametrize("dtype", ["<f2", "<f4", "<f8", ">f2", ">f4", ">f8"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_npy_folder(tmp_path, dtype, order):
    xs = {k: np.asarray(v, order=order) for k, v in arrays(dtype).items()}
    folder = npy_folder(tmp_path / "in", xs)
    (folder / "notes.txt").write_text("not an array")
    good_import(folder, tmp_path / "o.h5", *BY_ID)
    check_same(tmp_path / "o.h5", {p.stem: np.load(p) for p in sorted(folder.glob("*.npy"))})


@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
def test_npy_versions(tmp_path, version):
    xs = arrays()
    (tmp_path / "in").mkdir()
    for name, x in xs.items():
        with open(tmp_path / "in" / f"{name}.npy", "wb") as f:
            np.lib.format.write_array(f, x, version=version)
    good_import(tmp_path / "in", tmp_path / "o.h5", *BY_ID)
    check_same(tmp_path / "o.h5", xs)


@pytest.mark.parametrize("dtype", ["<f2", "<f4", ">f8"])
@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_npz(tmp_path, dtype, save):
    xs = arrays(dtype)
    save(tmp_path / "a.npz", **xs)
    good_import(tmp_path / "a.npz", tmp_path / "o.h5", *BY_ID)
    with np.load(tmp_path / "a.npz") as archive:
        check_same(tmp_path / "o.h5", {name: archive[name] for name in archive.files})


@pytest.mark.parametrize("dtype", ["<f2", ">f4", "<f8"])
@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_npz_in_fortran_order(tmp_path, dtype, save):
    """Between arrays in C order, and with blocks of a part of the columns."""
    xs = {k: v if i % 3 else np.asfortranarray(v) for i, (k, v) in enumerate(arrays(dtype).items())}
    xs["s9_long"] = np.asfortranarray(np.random.default_rng(5).standard_normal((30_000, 70)).astype(dtype)[:, :5])
    save(tmp_path / "a.npz", **xs)
    good_import(tmp_path / "a.npz", tmp_path / "o.h5", *BY_ID)
    with np.load(tmp_path / "a.npz") as archive:
        check_same(tmp_path / "o.h5", {name: archive[name] for name in archive.files})
    assert sorted(os.listdir(tmp_path)) == ["a.npz", "o.h5"]


def test_npy_and_lengths(tmp_path):
    xs = arrays()
    np.save(tmp_path / "train.npy", np.concatenate(list(xs.values())))
    lengths = "".join(f"{len(x)}\n" for x in xs.values())
    (tmp_path / "train.len").write_text(lengths)
    (tmp_path / "utt2spk").write_text("".join(f"train-{i} {k.split('_')[0]}\n" for i, k in enumerate(xs)))
    good_import(tmp_path / "train.npy", tmp_path / "o.h5", *RATE, "--speakers", tmp_path / "utt2spk")
    found, speakers = stored(tmp_path / "o.h5")
    assert list(found) == [f"train-{i}" for i in range(len(xs))]
    assert list(speakers.values()) == [k.split("_")[0] for k in xs]
    assert all(a.tobytes() == b.tobytes() for a, b in zip(found.values(), xs.values()))

    (tmp_path / "names").write_text("\n".join(xs))
    (tmp_path / "other").write_text(lengths.replace("\n", "\r\n"))
    good_import(tmp_path / "train.npy", tmp_path / "p.h5", *BY_ID, "--ids", tmp_path / "names", "--lengths",
                tmp_path / "other")
    check_same(tmp_path / "p.h5", xs)


# ---- Kaldi


@pytest.mark.parametrize("dtype", ["<f4", "<f8"])
@pytest.mark.parametrize("suffix", ["ark", "scp"])
def test_kaldi(tmp_path, dtype, suffix):
    xs = arrays(dtype)
    kaldiio.save_ark(str(tmp_path / "a.ark"), xs, scp=str(tmp_path / "a.scp"))
    good_import(tmp_path / f"a.{suffix}", tmp_path / "o.h5", *BY_ID)
    check_same(tmp_path / "o.h5", dict(kaldiio.load_ark(str(tmp_path / "a.ark"))))
    check_same(tmp_path / "o.h5", xs)
    (tmp_path / f"a.{suffix}").rename(tmp_path / "feats.1")  # told apart by what they hold
    good_import(tmp_path / "feats.1", tmp_path / "p.h5", *BY_ID, "--from", "kaldi")
    check_same(tmp_path / "p.h5", xs)


METHODS = {"CM": "kSpeechFeature", "CM2": "kTwoByteAuto", "CM3": "kOneByteAuto"}


@pytest.mark.parametrize("kind", METHODS)
@pytest.mark.parametrize("writer", ["kaldi", "kaldiio"])
def test_kaldi_compressed(tmp_path, kind, writer):
    """As Kaldi's own code decodes it, to the bit; kaldiio divides where Kaldi multiplies, so to rounding only."""
    xs = arrays(n=8, dim=40, seed=4)
    xs["s9_long"] = (1e4 * np.random.default_rng(2).standard_normal((3000, 40))).astype("<f4")
    path = str(tmp_path / "a.ark")
    if writer == "kaldi":
        with kaldi_native_io.CompressedMatrixWriter(f"ark:{path}") as out:
            for name, x in xs.items():
                out.write(name, x, method=getattr(kaldi_native_io.CompressionMethod, METHODS[kind]))
    else:
        kaldiio.save_ark(path, xs, compression_method={"CM": 2, "CM2": 3, "CM3": 5}[kind])
    with open(path, "rb") as f:
        assert f.read(64).split(b"\0B")[1].startswith(kind.encode() + b" ")
    good_import(path, tmp_path / "o.h5", *BY_ID)
    check_same(tmp_path / "o.h5", {k: np.array(v) for k, v in
                                   kaldi_native_io.SequentialFloatMatrixReader(f"ark:{path}")})
    found, _ = stored(tmp_path / "o.h5")
    for name, x in kaldiio.load_ark(path):
        assert np.allclose(found[name], x, rtol=0, atol=4e-7 * np.abs(x).max()), name


@pytest.mark.parametrize("kind", [None, *METHODS])
@pytest.mark.parametrize("spec", ["3:9", "0:0", "5:11", "2:6,1:3", ":,0:2", "0:13"])
def test_kaldi_ranges(tmp_path, kind, spec):
    xs = arrays(n=2, dim=5)  # s0_u1 has 12 frames
    path = tmp_path / "a.ark"
    compression = None if kind is None else {"CM": 2, "CM2": 3, "CM3": 5}[kind]
    kaldiio.save_ark(str(path), xs, scp=str(tmp_path / "a.scp"), compression_method=compression)
    line = (tmp_path / "a.scp").read_text().splitlines()[1]
    (tmp_path / "b.scp").write_text(f"{line}[{spec}]\n")
    result = good_import(tmp_path / "b.scp", tmp_path / "o.h5", *BY_ID)
    check_same(tmp_path / "o.h5", {k: np.array(v) for k, v in
                                   kaldi_native_io.SequentialFloatMatrixReader(f"scp:{tmp_path / 'b.scp'}")})
    assert ("past the end" in result.err) == (spec == "0:13")


def test_kaldi_pipes_are_never_run(tmp_path):
    (tmp_path / "a.scp").write_text(f"u_1 touch {tmp_path}/ran |\n")
    refused(tmp_path / "a.scp", tmp_path / "o.h5", 3, "a.scp:1", "is a command")
    (tmp_path / "a.scp").write_text(f"u_1 | touch {tmp_path}/ran\n")
    refused(tmp_path / "a.scp", tmp_path / "o.h5", 3, "a.scp:1", "is a command")
    assert not (tmp_path / "ran").exists()


def test_kaldi_text_is_refused(tmp_path):
    kaldiio.save_ark(str(tmp_path / "a.ark"), arrays(), text=True)
    refused(tmp_path / "a.ark", tmp_path / "o.h5", 3, "a.ark", "s0_u0", "not a binary matrix")


# ---- what import refuses


def test_values_that_collect_would_refuse(tmp_path):
    for value, word in ((np.nan, "NaN"), (np.inf, "infinity"), (-1e16, "1e+15")):
        xs = arrays()
        xs["s1_u3"][4, 2] = value
        folder = npy_folder(tmp_path / word, xs)
        refused(folder, tmp_path / "o.h5", 3, folder / "s1_u3.npy", "utterance s1_u3, frame 4", word, "dimension 2")


def test_sequences_that_are_not_alike(tmp_path):
    folder = npy_folder(tmp_path / "a", {"s_1": np.zeros((4, 3), "f4"), "s_2": np.zeros((4, 2), "f4")})
    refused(folder, tmp_path / "o.h5", 3, "utterance s_2", "2 values per frame, sequence s_1 has 3")
    folder = npy_folder(tmp_path / "b", {"s_1": np.zeros((4, 3), "f4"), "s_2": np.zeros((4, 3), "f8")})
    refused(folder, tmp_path / "o.h5", 3, "utterance s_2", "float64", "float32")
    folder = npy_folder(tmp_path / "c", {"s_1": np.zeros((4, 3), "i4")})
    refused(folder, tmp_path / "o.h5", 3, "s_1.npy", "type '<i4'")
    folder = npy_folder(tmp_path / "d", {"s_1": np.zeros((0, 3), "f4")})
    refused(folder, tmp_path / "o.h5", 3, "utterance s_1", "no frames")
    folder = npy_folder(tmp_path / "e", {"s_1": np.zeros(3, "f4")})
    refused(folder, tmp_path / "o.h5", 3, "s_1.npy", "1 dimension")
    folder = npy_folder(tmp_path / "f", {})
    refused(folder, tmp_path / "o.h5", 3, tmp_path / "f", "holds no sequence")
    kaldiio.save_ark(str(tmp_path / "a.ark"), {"s_1": np.zeros((3, 2), "f4")})
    (tmp_path / "twice.ark").write_bytes(2 * (tmp_path / "a.ark").read_bytes())
    refused(tmp_path / "twice.ark", tmp_path / "o.h5", 3, "utterance s_1", "twice")


def test_pickled_objects_are_never_loaded(tmp_path):
    folder = npy_folder(tmp_path / "a", {})
    np.save(folder / "s_1.npy", np.array([[{}]], dtype=object), allow_pickle=True)
    refused(folder, tmp_path / "o.h5", 3, "s_1.npy", "type '|O'")


def test_speakers(tmp_path):
    xs = arrays()
    folder = npy_folder(tmp_path / "in", xs)
    names = tmp_path / "utt2spk"
    names.write_text("unknown x\n\n" + "".join(f"{k}\t the  speaker {i % 2} \n" for i, k in enumerate(xs)))
    good_import(folder, tmp_path / "o.h5", *RATE, "--speakers", names)
    assert stored(tmp_path / "o.h5")[1] == {k: f"the  speaker {i % 2}" for i, k in enumerate(xs)}

    out = tmp_path / "p.h5"
    refused(folder, out, 2, "--speakers", "--speaker-separator", flags=RATE)
    refused(folder, out, 2, "twice", flags=(*BY_ID, "--speakers", names))
    refused(folder, out, 3, "utterance s0_u0", 'before a "-"', flags=(*RATE, "--speaker-separator", "-"))
    names.write_text("s0_u0 a\n")
    refused(folder, out, 3, "utt2spk", "utterance s0_u1", flags=(*RATE, "--speakers", names))
    names.write_text("s0_u0 a\ns0_u0 b\n")
    refused(folder, out, 3, "utt2spk:2", "earlier line", flags=(*RATE, "--speakers", names))
    names.write_text("s0_u0\n")
    refused(folder, out, 3, "utt2spk:1", flags=(*RATE, "--speakers", names))
    names.write_bytes(b"s0_u0 a\0b\n")
    refused(folder, out, 3, "utt2spk:1", "NUL", flags=(*RATE, "--speakers", names))
    refused(folder, out, 5, "nowhere", flags=(*RATE, "--speakers", tmp_path / "nowhere"))


def test_lengths(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((10, 3), "f4"))
    for text, fragments in (("4\n5\n", ("a.len", "add up to 9", "10 frames")), ("4\nsix\n", ("a.len:2",)),
                            ("4\n\n6\n", ("a.len:2", "empty")), ("4\n0\n6\n", ("a.len:2",)),
                            ("9223372036854775807\n9223372036854775807\n", ("a.len", "too large")),
                            ("", ("a.len", "add up to 0"))):
        (tmp_path / "a.len").write_text(text)
        refused(tmp_path / "a.npy", tmp_path / "o.h5", 3, *fragments)
    (tmp_path / "a.len").write_text("4\n6\n")
    (tmp_path / "ids").write_text("one\n")
    refused(tmp_path / "a.npy", tmp_path / "o.h5", 3, "1 ids", flags=(*BY_ID, "--ids", tmp_path / "ids"))
    (tmp_path / "ids").write_text("s_one\ns_one\n")
    refused(tmp_path / "a.npy", tmp_path / "o.h5", 3, "twice", flags=(*BY_ID, "--ids", tmp_path / "ids"))


@pytest.mark.parametrize("command, flags", [
    ("import", ("--from", "--frame-rate", "--speakers", "--speaker-separator", "--lengths", "--ids", "--energy", "--force")),
    ("export", ("--single", "--force"))])
def test_help(command, flags):
    result = harness.run(command, "--help")
    assert result.code == 0 and command in harness.run("--help").out, str(result)
    assert all(flag in result.out for flag in (*flags, "--memory", "-q", "-v", "--progress", "--log-json")), str(result)


def test_usage(tmp_path):
    folder = npy_folder(tmp_path / "in", arrays())
    out = tmp_path / "o.h5"
    speaker = ("--speaker-separator", "_")
    refused(folder, out, 2, "--frame-rate", flags=speaker)
    for rate in ("0", "-1", "nan", "inf", "fast"):
        refused(folder, out, 2, "--frame-rate", flags=(*speaker, f"--frame-rate={rate}"))
    refused(folder, out, 2, "--ids", flags=(*BY_ID, "--ids", "x"))
    refused(tmp_path / "what.bin", out, 2, "what.bin", "--from")
    refused(tmp_path / "what.npz", out, 5, "what.npz")
    result = harness.run("import", folder, tmp_path / "none" / "o.h5", *BY_ID)
    assert result.code == 5 and "none/o.h5" in result.err, str(result)


def test_an_output_is_not_replaced_unasked(tmp_path):
    folder = npy_folder(tmp_path / "in", arrays())
    out = tmp_path / "o.h5"
    out.write_text("precious")
    refused(folder, out, 2, "o.h5", "--force")
    assert out.read_text() == "precious"
    spoilt = npy_folder(tmp_path / "spoilt", {"s_1": np.full((4, 3), np.nan, "f4")})
    refused(spoilt, out, 3, "NaN", flags=(*BY_ID, "--force"))
    assert out.read_text() == "precious"
    good_import(folder, out, *BY_ID, "--force")
    check_same(out, arrays())
    refused(folder, tmp_path / "in", 2, "is there already", flags=(*BY_ID, "--force"))


def test_what_is_read_is_never_replaced(tmp_path):
    x = np.arange(12, dtype="f4").reshape(4, 3)
    files = {"a.npy": None, "a.len": b"4\n", "ids": b"s_1\n", "spk": b"s_1 s\n", "energy.npy": None}
    np.save(tmp_path / "a.npy", x)
    np.save(tmp_path / "energy.npy", np.ones(4, "f4"))
    for name, data in files.items():
        (tmp_path / name).write_bytes(data) if data else None
    os.link(tmp_path / "a.npy", tmp_path / "linked")
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    flags = (*RATE, "--speakers", tmp_path / "spk", "--ids", tmp_path / "ids", "--energy", tmp_path / "energy.npy", "--force")
    for name in (*files, "linked"):
        refused(tmp_path / "a.npy", tmp_path / name, 2, name, "is the input", flags=flags)
    kaldiio.save_ark(str(tmp_path / "b.ark"), {"s_1": x}, scp=str(tmp_path / "b.scp"))
    ark = (tmp_path / "b.ark").read_bytes()
    refused(tmp_path / "b.scp", tmp_path / "b.ark", 2, "is the input", flags=(*BY_ID, "--force"))
    folder = npy_folder(tmp_path / "in", {"s_1": x, "s_2": x})
    refused(folder, folder / "s_2.npy", 2, "is the input", flags=(*BY_ID, "--force"))
    good_import(folder, tmp_path / "all.npy", *BY_ID)
    result = harness.run("export", tmp_path / "all.npy", tmp_path / "all.npy", "--single", "--force")
    assert result.code == 2 and "is the input" in result.err, str(result)
    after = {p.name: p.read_bytes() for p in tmp_path.iterdir() if p.name in before}
    assert after == before and (tmp_path / "b.ark").read_bytes() == ark


def test_a_damaged_archive_is_noticed(tmp_path):
    np.savez_compressed(tmp_path / "a.npz", **arrays(dim=200))
    data = bytearray((tmp_path / "a.npz").read_bytes())
    with zipfile.ZipFile(tmp_path / "a.npz") as archive:
        info = archive.infolist()[3]
    data[info.header_offset + 30 + len(info.filename) + info.compress_size // 2] ^= 0x10
    (tmp_path / "a.npz").write_bytes(data)
    refused(tmp_path / "a.npz", tmp_path / "o.h5", 3, "a.npz", info.filename, "damaged")


# ---- memory and signals


def peak_of(*args):
    """(exit code, VmHWM in bytes as last seen, stderr) of a command."""
    process = subprocess.Popen([str(harness.BINARY), *map(str, args)], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL,
                               text=True)
    peak = 0
    while process.poll() is None:
        with open(f"/proc/{process.pid}/status") as f:
            found = re.search(r"VmHWM:\s+(\d+) kB", f.read())
        peak = max(peak, int(found[1]) * 1024) if found else peak
        time.sleep(0.001)
    return process.returncode, peak, process.stderr.read()


def forged_cm(name, n_rows, n_columns, rng):
    """A compressed matrix of any bytes, which is quicker than compressing one."""
    scales = np.sort(rng.integers(0, 65536, (n_columns, 4), dtype="<u2"), axis=1)
    header = np.array([-3.0, 6.0], "<f4").tobytes() + np.array([n_rows, n_columns], "<i4").tobytes()
    return f"{name} \0BCM ".encode() + header + scales.tobytes() + rng.bytes(n_rows * n_columns)


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """Up to 200 MB of frames, nine tenths of them in one sequence, every way."""
    where = tmp_path_factory.mktemp("large")
    rng = np.random.default_rng(3)
    x = rng.standard_normal((100_000, 512), dtype=np.float32)
    parts = {"c": {"s_a": x[:90_000], "s_b": x[90_000:]}, "some": {"s_a": x[:36_000], "s_b": x[36_000:40_000]}}
    npy_folder(where / "c", parts["c"])
    npy_folder(where / "fortran", {k: np.asfortranarray(v) for k, v in parts["some"].items()})
    np.savez(where / "a.npz", **parts["some"])
    with zipfile.ZipFile(where / "deflated.npz", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as zipped:
        for name, part in parts["some"].items():
            with zipped.open(f"{name}.npy", "w", force_zip64=True) as f:
                np.lib.format.write_array(f, part)
    kaldiio.save_ark(str(where / "a.ark"), parts["some"])
    (where / "cm.ark").write_bytes(b"".join(forged_cm(k, len(v), 512, rng) for k, v in parts["some"].items()))
    yield where, parts
    for path in sorted(where.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()


@harness.no_sanitizer
@pytest.mark.parametrize("source", ["c", "fortran", "a.npz", "deflated.npz", "a.ark", "cm.ark"])
def test_import_stays_within_its_budget(large, tmp_path, source):
    where, parts = large
    out = tmp_path / "o.h5"
    code, peak, err = peak_of("import", where / source, out, *BY_ID, "--memory", "64MiB")
    assert code == 0, err
    assert 8 * MIB < peak <= 64 * MIB, peak / MIB
    if source == "cm.ark":
        check_same(out, {k: np.array(v) for k, v in
                         kaldi_native_io.SequentialFloatMatrixReader(f"ark:{where / source}")})
    else:
        check_same(out, parts["c" if source == "c" else "some"])
    out.unlink()


@harness.no_sanitizer
def test_export_stays_within_its_budget(large, tmp_path):
    where, parts = large
    good_import(where / "c", tmp_path / "o.h5", *BY_ID)
    code, peak, err = peak_of("export", tmp_path / "o.h5", tmp_path / "e", "--memory", "64MiB")
    assert code == 0, err
    assert 8 * MIB < peak <= 64 * MIB, peak / MIB
    for name, part in parts["c"].items():
        assert np.array_equal(np.load(tmp_path / "e" / f"{name}.npy", mmap_mode="r"), part)


def test_a_budget_that_is_too_small_says_which_works(tmp_path):
    folder = npy_folder(tmp_path / "in", arrays())
    result = harness.run("import", folder, tmp_path / "o.h5", *BY_ID, "--memory", "20MiB")
    assert result.code == 4 and "the smallest budget that works is" in result.err, str(result)
    assert not (tmp_path / "o.h5").exists()


@harness.no_sanitizer
@pytest.mark.parametrize("source", ["npz", "len", "ids", "folder", "ark", "scp"])
def test_a_list_of_sequences_beyond_the_budget(tmp_path, source):
    """Refused with a budget that works, within the budget that was given."""
    n, x = 60_000, np.ones((1, 1), "f4")
    names = [f"s_{i:040d}" for i in range(n)]
    flags, path = BY_ID, tmp_path / f"a.{source}"
    if source == "npz":
        data = io.BytesIO()
        np.save(data, x)
        with zipfile.ZipFile(path, "w") as zipped:
            for name in names:
                zipped.writestr(name + ".npy", data.getvalue())
    elif source == "folder":
        path.mkdir()
        np.save(path / "first.npy", x)
        for name in names:
            os.link(path / "first.npy", path / f"{name}.npy")
        (path / "first.npy").unlink()
    elif source in ("ark", "scp"):
        kaldiio.save_ark(str(tmp_path / "a.ark"), {name: x for name in names}, scp=str(tmp_path / "a.scp"))
    else:
        path = tmp_path / "s_.npy"
        np.save(path, np.ones((n, 1), "f4"))
        (tmp_path / "s_.len").write_text("1\n" * n)
        (tmp_path / "ids").write_text("\n".join(names))
        flags = (*BY_ID, "--ids", tmp_path / "ids") if source == "ids" else BY_ID
    code, peak, err = peak_of("import", path, tmp_path / "o.h5", *flags, "--memory", "33MiB", "--progress", "none")
    assert code == 4 and peak <= 33 * MIB, (peak / MIB, err)
    assert not (tmp_path / "o.h5").exists()
    smallest = re.search(r"smallest budget that works is ([0-9.]+) MiB", err).group(1)
    code, peak, err = peak_of("import", path, tmp_path / "o.h5", *flags, "--memory", f"{smallest}MiB")
    assert code == 0 and peak <= float(smallest) * MIB, (peak / MIB, smallest, err)
    if source == "len":
        result = harness.run("export", tmp_path / "o.h5", tmp_path / "e.npy", "--single", "--memory", "33MiB")
        assert result.code == 4 and "list of sequences" in result.err, str(result)


@harness.no_sanitizer
@pytest.mark.parametrize("kind", ["FM", "CM"])
def test_a_part_of_a_wide_matrix_takes_what_it_needs(tmp_path, kind):
    """400 MB in a row, and a range of three columns of it."""
    n = 100_000_000 if kind == "FM" else 44_000_000
    size = b"\x04" + np.int32(1).tobytes() + b"\x04" + np.int32(n).tobytes()
    header = size if kind == "FM" else np.array([0, 1], "<f4").tobytes() + np.array([1, n], "<i4").tobytes()
    with open(tmp_path / "a.ark", "wb") as f:
        f.write(b"s_1 \0B" + kind.encode() + b" " + header)
        if kind == "FM":
            begin = f.tell()
            f.seek(begin + 4 * (n - 3))
            f.write(np.array([1, 2, 3], "<f4").tobytes())
        else:
            f.truncate(f.tell() + 9 * n)
    (tmp_path / "a.scp").write_text(f"s_1 {tmp_path}/a.ark:4[0:0,{n - 3}:{n - 1}]\n")
    code, peak, err = peak_of("import", tmp_path / "a.scp", tmp_path / "o.h5", *BY_ID, "--memory", "64MiB")
    assert code == 0 and peak <= 64 * MIB, (peak / MIB, err)
    found, _ = stored(tmp_path / "o.h5")
    assert found["s_1"].tolist() == [[1, 2, 3] if kind == "FM" else [0, 0, 0]]


def test_an_output_in_memory_counts_as_memory(tmp_path):
    folder = npy_folder(tmp_path / "in", {"s_1": np.ones((100_000, 100), "f4")})
    with io_faults.folder_in_memory() as memory:
        if not str(memory).startswith("/dev/shm"):
            pytest.skip("no folder in memory")
        refused(folder, memory / "o.h5", 4, "output on tmpfs needs 38.1 MiB", flags=(*BY_ID, "--memory", "64MiB"))
        good_import(folder, memory / "o.h5", *BY_ID, "--memory", "96MiB")


def test_an_interrupted_import_leaves_nothing(large, tmp_path):
    where, _ = large
    process = subprocess.Popen([str(harness.BINARY), "import", where / "fortran", tmp_path / "o.h5", *BY_ID],
                               stderr=subprocess.PIPE, text=True)
    while process.poll() is None and not (tmp_path / "o.h5.partial").exists():
        time.sleep(0.001)
    process.send_signal(signal.SIGINT)
    err = process.communicate()[1]
    assert process.returncode == 6, err
    assert os.listdir(tmp_path) == []


# ---- export


@harness.no_sanitizer
def test_what_fails_to_be_written_leaves_nothing(tmp_path):
    """A limit on the size of files (ulimit -f), whose signal would end the program."""
    source = npy_folder(tmp_path / "in", {"s_1": np.ones((4000, 100), "f4")})
    good_import(source, tmp_path / "o.h5", *BY_ID)
    with h5py.File(tmp_path / "o.h5", "r+") as f:
        f["energy"] = np.ones(4000, "f4")
    before = sorted(os.listdir(tmp_path))
    out = tmp_path / "e.npy"
    commands = {("import", source, out, *BY_ID): "e.npy", ("export", tmp_path / "o.h5", out): "e.npy.partial",
                ("export", tmp_path / "o.h5", out, "--single"): "e.npy.partial",
                ("quantize", tmp_path / "o.h5", out, "--to", "int8"): "e.npy"}
    for command, name in commands.items():
        for most in (1000, 300_000):  # bytes of a file
            result = harness.run(*command, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (most, most)))
            assert result.code == 5 and name in result.err, str(result)
            assert sorted(os.listdir(tmp_path)) == before, command
    assert harness.run("export", tmp_path / "o.h5", out, "--single").code == 0


def tree(folder):
    return {str(f.relative_to(folder)): f.read_bytes() for f in folder.rglob("*") if f.is_file()}


@pytest.mark.skipif(not io_faults.LIBRARY, reason="PHASE0_FAILING_IO names no library")
@pytest.mark.parametrize("family, most", [("fsync", 30), ("rename", 10)])
@pytest.mark.parametrize("replaced", [False, True], ids=["new", "replaced"])
def test_a_single_export_that_fails_never_mixes_with_another(tmp_path, family, most, replaced):
    for name, lengths in (("old", (30, 50)), ("new", (50, 30))):
        folder = npy_folder(tmp_path / name, {f"s_{i}": np.full((n, 8), i, "f4") for i, n in enumerate(lengths)})
        good_import(folder, tmp_path / f"{name}.h5", *BY_ID)
    with h5py.File(tmp_path / "old.h5", "r+") as f:
        f["energy"] = np.ones(80, "f4")
    sets = {}
    for name in ("old", "new"):
        (tmp_path / f"{name}-set").mkdir()
        assert harness.run("export", tmp_path / f"{name}.h5", tmp_path / f"{name}-set" / "e.npy", "--single").code == 0
        sets[name] = tree(tmp_path / f"{name}-set")
    flags = ("--force",) if replaced else ()
    with io_faults.folder_in_memory() as memory:
        for at in range(1, most):
            out = memory / str(at)
            out.mkdir()
            for name, contents in sets["old"].items() if replaced else ():
                (out / name).write_bytes(contents)
            env = io_faults.disturbed_environment(memory, family=family, fault="EIO", at=at)
            failed = harness.run("export", tmp_path / "new.h5", out / "e.npy", "--single", *flags, env=env)
            found = tree(out)
            if failed.code == 0:
                assert found == sets["new"] and at > 4
                break
            assert failed.code == 5 and "Input/output error" in failed.err, str(failed)
            if not replaced:
                assert found == {}
            elif "e.npy" in found:
                assert found in sets.values(), f"{at}: {sorted(found)}"
            else:
                assert found.get("e.npy.partial") == sets["new"]["e.npy"], "both are lost"
            assert harness.run("export", tmp_path / "new.h5", out / "e.npy", "--single", *flags).code == 0
            assert tree(out) == sets["new"]
        else:
            pytest.fail("it never ends right")


@pytest.mark.skipif(not io_faults.LIBRARY, reason="PHASE0_FAILING_IO names no library")
def test_an_export_that_cannot_remove_a_leftover_leaves_it_removable(tmp_path):
    write_named(tmp_path / "in.h5", ["a", "b"])
    with io_faults.folder_in_memory() as memory:
        for at in range(1, 6):  # two files, a folder, the mark, the folder itself
            out = memory / f"e{at}"
            (memory / f"e{at}.partial" / "energy").mkdir(parents=True)
            for name in ("a.npy", "energy/a.npy", ".phase0-export"):  # the mark may be the first that is listed
                (memory / f"e{at}.partial" / name).write_text("x")
            env = io_faults.disturbed_environment(memory, family="unlink", fault="EIO", at=at, always=True)
            failed = harness.run("export", tmp_path / "in.h5", out, env=env)
            assert failed.code == 5 and "Input/output error" in failed.err, f"{at}: {failed}"
            done = harness.run("export", tmp_path / "in.h5", out)
            assert done.code == 0 and sorted(os.listdir(out)) == ["a.npy", "b.npy", "speakers.txt"], f"{at}: {done}"


@pytest.mark.skipif(not io_faults.LIBRARY, reason="PHASE0_FAILING_IO names no library")
def test_an_export_whose_sync_fails_leaves_nothing(tmp_path):
    write_named(tmp_path / "in.h5", ["a", "b"])
    with io_faults.folder_in_memory() as memory:
        env = io_faults.disturbed_environment(memory, family="fsync", fault="EIO", at=1)
        failed = harness.run("export", tmp_path / "in.h5", memory / "e", env=env)
        assert failed.code == 5 and "e.partial" in failed.err, str(failed)
        assert os.listdir(memory) == []


@pytest.mark.parametrize("dtype", ["<f2", "<f4", "<f8"])
def test_export_writes_what_numpy_would(tmp_path, dtype):
    xs = arrays(dtype)
    good_import(npy_folder(tmp_path / "in", xs), tmp_path / "o.h5", *BY_ID)
    result = harness.run("export", tmp_path / "o.h5", tmp_path / "e")
    assert result.code == 0 and "6 utterances" in result.out, str(result)
    assert sorted(os.listdir(tmp_path / "e")) == [*(f"{k}.npy" for k in xs), "speakers.txt"]
    for name, x in xs.items():
        expected = io.BytesIO()
        np.save(expected, x)
        assert (tmp_path / "e" / f"{name}.npy").read_bytes() == expected.getvalue()
    good_import(tmp_path / "e", tmp_path / "again.h5", *RATE, "--speakers", tmp_path / "e" / "speakers.txt")
    assert (tmp_path / "again.h5").read_bytes() == (tmp_path / "o.h5").read_bytes()


@pytest.mark.parametrize("layout", ["A", "B"])
def test_there_and_back_with_energy(tmp_path, small_corpus, layout):
    """Speakers, energies and frames of both layouts come back the same, as a folder and as one array."""
    path = latents.write(tmp_path / "in.h5", small_corpus, layout=layout)
    assert harness.run("export", path, tmp_path / "e").code == 0
    good_import(tmp_path / "e", tmp_path / "a.h5", *RATE, "--speakers", tmp_path / "e" / "speakers.txt", "--energy",
                tmp_path / "e" / "energy")
    assert harness.run("export", path, tmp_path / "all.npy", "--single").code == 0
    good_import(tmp_path / "all.npy", tmp_path / "b.h5", *RATE, "--ids", tmp_path / "all.ids", "--speakers",
                tmp_path / "all.speakers", "--energy", tmp_path / "all.energy.npy")
    by_id = {name: k for k, name in enumerate(small_corpus.ids)}
    for out in ("a.h5", "b.h5"):
        found, speakers = stored(tmp_path / out)
        with h5py.File(tmp_path / out) as f:
            energy = np.split(f["energy"][()], f["utterances/offset"][1:-1])
        assert sorted(found) == sorted(small_corpus.ids)
        for loud, (name, x) in zip(energy, found.items()):
            k = by_id[name]
            assert np.array_equal(x, small_corpus.xs[k].astype(x.dtype)) and speakers[name] == small_corpus.speakers[k]
            assert np.array_equal(loud, small_corpus.energies[k])
    assert harness.run("export", path, tmp_path / "all.npy", "--single").code == 2
    assert harness.run("export", path, tmp_path / "all.npy", "--single", "--force").code == 0


def test_energies_are_checked(tmp_path):
    xs = arrays(n=2)
    folder = npy_folder(tmp_path / "in", xs)
    energy = npy_folder(tmp_path / "energy", {k: np.arange(len(x), dtype="f8") for k, x in xs.items()})
    flags = (*BY_ID, "--energy", energy)
    good_import(folder, tmp_path / "o.h5", *flags)
    with h5py.File(tmp_path / "o.h5") as f:
        assert f["energy"].dtype == "<f4" and np.array_equal(f["energy"][()], [*range(7), *range(12)])
    np.save(energy / "s0_u1.npy", np.arange(11.0))
    refused(folder, tmp_path / "p.h5", 3, "s0_u1.npy", "11 energies for 12 frames", flags=flags)
    np.save(energy / "s0_u1.npy", np.array([0.0] * 11 + [np.nan]))
    refused(folder, tmp_path / "p.h5", 3, "s0_u1.npy", "frame 11", "NaN", flags=flags)
    (energy / "s0_u1.npy").unlink()
    refused(folder, tmp_path / "p.h5", 5, "s0_u1.npy", flags=flags)
    np.save(tmp_path / "one.npy", np.arange(18.0))
    refused(folder, tmp_path / "p.h5", 3, "18 energies for 19 frames", flags=(*BY_ID, "--energy", tmp_path / "one.npy"))


def write_named(path, names, speakers=None):
    with h5py.File(path, "w") as f:
        f.attrs.update({"format": "phase0-latents", "version": 1, "frame_rate_hz": 12.5})
        f["x"] = np.zeros((2 * len(names), 3), "<f4")
        f["utterances/id"], f["utterances/speaker"] = names, speakers or ["s"] * len(names)
        f["utterances/offset"] = np.arange(len(names) + 1) * 2


@pytest.mark.parametrize("name", ["../up", "a/b", "..", ".", ".hidden", "/etc/x", "a" * 252, "two words", "line\nbreak"])
def test_ids_that_are_no_file_names(tmp_path, name):
    write_named(tmp_path / "in.h5", ["good", name])
    before = sorted(os.listdir(tmp_path))
    result = harness.run("export", tmp_path / "in.h5", tmp_path / "e")
    assert result.code == 3 and "in.h5" in result.err, str(result)
    assert sorted(os.listdir(tmp_path)) == before


def test_export_never_mixes_with_what_is_there(tmp_path):
    write_named(tmp_path / "in.h5", ["a", "b"])
    (tmp_path / "e").mkdir()
    assert harness.run("export", tmp_path / "in.h5", tmp_path / "e").code == 0  # an empty folder is fine
    assert sorted(os.listdir(tmp_path / "e")) == ["a.npy", "b.npy", "speakers.txt"]
    result = harness.run("export", tmp_path / "in.h5", tmp_path / "e", "--force")
    assert result.code == 2 and "empty folder" in result.err, str(result)
    (tmp_path / "f.partial").mkdir()
    (tmp_path / "f.partial" / "mine").write_text("precious")
    result = harness.run("export", tmp_path / "in.h5", tmp_path / "f")
    assert result.code == 2 and "f.partial" in result.err, str(result)
    assert (tmp_path / "f.partial" / "mine").read_text() == "precious"
    (tmp_path / "f.partial" / ".phase0-export").write_text("")  # what a killed export leaves
    assert harness.run("export", tmp_path / "in.h5", tmp_path / "f").code == 0
    assert sorted(os.listdir(tmp_path / "f")) == ["a.npy", "b.npy", "speakers.txt"]
    assert not (tmp_path / "f.partial").exists()
    (tmp_path / "g.partial").mkdir()  # one that was killed before it had its mark
    assert harness.run("export", tmp_path / "in.h5", tmp_path / "g").code == 0
    assert not (tmp_path / "g.partial").exists()
