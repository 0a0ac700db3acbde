"""tools/import_zarr.py against zarr and pyarrow, on files that those wrote."""

import contextlib
import io
import os
import re
import subprocess
import sys
import time

import h5py
import harness
import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
import zarr

TOOL = harness.ROOT / "tools" / "import_zarr.py"
sys.path.insert(0, str(TOOL.parent))
import import_zarr  # noqa: E402


def corpus(dtype="<f4", n=5, dim=6):
    rng = np.random.default_rng(6)
    return {f"u{n - i}": (f"s{i % 2}", rng.standard_normal((9 + 4 * i, dim)).astype(dtype),
                          rng.random(9 + 4 * i).astype("<f4")) for i in range(n)}


def write_zarr(path, data, version, energy=True, **kwargs):
    root = zarr.open_group(str(path), mode="w", zarr_format=version)
    root.attrs["frame_rate_hz"] = 12.5
    for name, (speaker, x, loud) in data.items():
        group = root.create_group(name)
        group.attrs["speaker_id"] = speaker
        group.create_array("x", data=x, chunks=(4, x.shape[1]), **kwargs)
        if energy:
            group.create_array("energy", data=loud, chunks=(5,))
    return path


def frame_table(data, vectors):
    """A row per frame."""
    return pa.table({"id": [k for k, (_, x, _) in data.items() for _ in x],
                     "speaker": [s for s, x, _ in data.values() for _ in x], "x": vectors,
                     "energy": np.concatenate([e for _, _, e in data.values()])})


def fixed(data):
    values = np.concatenate([x for _, x, _ in data.values()])
    return pa.FixedSizeListArray.from_arrays(pa.array(values.ravel()), values.shape[1])


def tool(*args):
    """In this process: another one takes a second to load the libraries."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = import_zarr.main([str(a) for a in args])
    return harness.Result(code, out.getvalue(), err.getvalue())


def test_as_a_program(tmp_path):
    data = corpus()
    write_zarr(tmp_path / "latents.zarr", data, 3)
    command = [sys.executable, str(TOOL), str(tmp_path / "latents.zarr"), str(tmp_path / "o.h5")]
    first = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert first.returncode == 0 and "5 utterances" in first.stdout, first
    second = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert second.returncode == 2 and second.stderr.startswith("import_zarr.py: error: "), second
    check(tmp_path / "o.h5", sorted(data), data)


def check(path, order, data, energy=True):
    assert harness.run("inspect", path).code == 0
    with h5py.File(path) as f:
        ids, offsets, x = harness.strings(f["utterances/id"]), f["utterances/offset"][()], f["x"][()]
        assert ids == order and f.attrs["frame_rate_hz"] == 12.5
        assert harness.strings(f["utterances/speaker"]) == [str(data[k][0]) for k in order]
        assert f["x"].chunks is None and ("energy" in f) == energy
        for name, a, b in zip(ids, offsets, offsets[1:]):
            assert x[a:b].dtype == data[name][1].dtype.newbyteorder("<")
            assert x[a:b].tobytes() == data[name][1].astype(x.dtype).tobytes(), name
            if energy:
                assert f["energy"][a:b].tobytes() == data[name][2].tobytes(), name


def refused(path, out, code, *fragments, flags=("--frame-rate", "12.5")):
    before = sorted(os.listdir(out.parent))
    result = tool(path, out, *flags)
    assert result.code == code and all(f in result.err for f in fragments), str(result)
    assert "Traceback" not in result.err and sorted(os.listdir(out.parent)) == before, str(result)


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("dtype", ["<f2", "<f4", "<f8", ">f4"])
def test_zarr(tmp_path, version, dtype):
    data = corpus(dtype)
    write_zarr(tmp_path / "latents.zarr", data, version)
    result = tool(tmp_path / "latents.zarr", tmp_path / "o.h5")
    assert result.code == 0, str(result)
    # What zarr itself reads.
    root = zarr.open_group(str(tmp_path / "latents.zarr"), mode="r")
    check(tmp_path / "o.h5", sorted(data), {k: (s, root[f"{k}/x"][:], root[f"{k}/energy"][:])
                                            for k, (s, _, _) in data.items()})
    check(tmp_path / "o.h5", sorted(data), data)


def test_zarr_without_energy_and_with_numbered_speakers(tmp_path):
    data = {k: (7 + i, x, e) for i, (k, (_, x, e)) in enumerate(corpus().items())}
    write_zarr(tmp_path / "latents.zarr", data, 2, energy=False)
    assert tool(tmp_path / "latents.zarr", tmp_path / "o.h5").code == 0
    check(tmp_path / "o.h5", sorted(data), data, energy=False)


def test_zarr_that_is_refused(tmp_path):
    def spoilt(name, spoil):
        path = write_zarr(tmp_path / name, corpus(), 3)
        spoil(zarr.open_group(str(path), mode="r+"))
        return path
    out = tmp_path / "o.h5"
    nan = spoilt("nan", lambda root: root["u2/x"].__setitem__((5, 1), np.nan))
    refused(nan, out, 3, "utterance u2, frame 5", "NaN")
    loud = spoilt("loud", lambda root: root["u1/energy"].__setitem__(0, np.inf))
    refused(loud, out, 3, "utterance u1, frame 0", "energy")
    refused(spoilt("speaker", lambda root: root["u3"].attrs.clear()), out, 3, "utterance u3", "speaker_id")

    def other(root):
        group = root.create_group("u9")
        group.attrs["speaker_id"] = "s"
        group.create_array("x", data=np.zeros((4, 3), "f4"))
    refused(spoilt("dim", other), out, 3, "utterance u9", "3 values")
    (tmp_path / "empty").mkdir()
    refused(tmp_path / "empty", out, 3, "empty")
    refused(tmp_path / "nowhere", out, 5, "nowhere")
    good = write_zarr(tmp_path / "good", corpus(), 3)
    refused(good, nan / "zarr.json", 2, "--force")
    zarr.open_group(str(good), mode="r+").attrs.clear()
    refused(good, out, 2, "--frame-rate", flags=())


@pytest.mark.parametrize("dtype", ["<f2", "<f4", "<f8"])
@pytest.mark.parametrize("kind", ["fixed", "list"])
def test_parquet_of_frames(tmp_path, dtype, kind):
    data = corpus(dtype)
    vectors = fixed(data)
    if kind == "list":
        vectors = vectors.cast(pa.list_(vectors.type.value_type))
    pa.parquet.write_table(frame_table(data, vectors), tmp_path / "a.parquet")
    result = tool(tmp_path / "a.parquet", tmp_path / "o.h5", "--frame-rate", "12.5", "--energy-column", "energy",
                  "--batch-rows", "7")
    assert result.code == 0, str(result)
    check(tmp_path / "o.h5", list(data), data)
    table = pa.parquet.read_table(tmp_path / "a.parquet")
    with h5py.File(tmp_path / "o.h5") as f:
        read = np.array(table["x"].to_pylist(), dtype)
        assert f["x"][()].tobytes() == read.tobytes()


def test_parquet_of_utterances_in_a_folder(tmp_path):
    data = corpus()
    (tmp_path / "in").mkdir()
    items = list(data.items())
    for part, some in enumerate((items[:2], items[2:])):
        table = pa.table({"name": [k for k, _ in some], "who": [s for _, (s, _, _) in some],
                          "z": pa.array([x.tolist() for _, (_, x, _) in some], pa.list_(pa.list_(pa.float32()))),
                          "loud": pa.array([e.tolist() for _, (_, _, e) in some], pa.list_(pa.float32()))})
        pa.parquet.write_table(table, tmp_path / "in" / f"part-{part}.parquet")
    result = tool(tmp_path / "in", tmp_path / "o.h5", "--frame-rate", "12.5", "--id-column", "name", "--speaker-column",
                  "who", "--vector-column", "z", "--energy-column", "loud", "--batch-rows", "1")
    assert result.code == 0, str(result)
    check(tmp_path / "o.h5", list(data), data)


def peak_of(*args):
    """(exit code, peak resident MiB, stderr) of the tool in a process of its own."""
    process = subprocess.Popen([sys.executable, str(TOOL), *map(str, args)], stderr=subprocess.PIPE, text=True,
                               stdout=subprocess.DEVNULL)
    peak = 0
    while process.poll() is None:
        with open(f"/proc/{process.pid}/status") as f:
            found = re.search(r"VmHWM:\s+(\d+) kB", f.read())
        peak = max(peak, int(found[1]) / 1024) if found else peak
        time.sleep(0.01)
    return process.returncode, peak, process.stderr.read()


@pytest.mark.parametrize("kind", ["zarr", "parquet"])
def test_memory(tmp_path, kind):
    """100 MB of one sequence stay within what is given, and what is too small names what works."""
    x = np.random.default_rng(2).standard_normal((50_000, 512)).astype("f4")
    if kind == "zarr":
        path = tmp_path / "latents.zarr"
        group = zarr.open_group(str(path), mode="w").create_group("u1")
        group.attrs["speaker_id"] = "s"
        group.create_array("x", data=x, chunks=(1000, 512))
    else:
        path = tmp_path / "a.parquet"
        vectors = pa.FixedSizeListArray.from_arrays(pa.array(x.ravel()), 512)
        pa.parquet.write_table(pa.table({"id": ["u1"] * len(x), "speaker": ["s"] * len(x), "x": vectors}), path)
    out = tmp_path / "o.h5"
    flags = (path, out, "--frame-rate", "12.5", "--memory")
    code, _, err = peak_of(*flags, "60MiB")
    assert code == 4 and "is too small" in err and not out.exists(), err
    assert not [name for name in os.listdir(tmp_path) if "partial" in name]
    code, peak, err = peak_of(*flags, "220MiB")
    assert code == 0 and peak <= 220, (peak, err)
    with h5py.File(out) as f:
        assert np.array_equal(f["x"][()], x)


def test_parquet_that_is_refused(tmp_path):
    out, path = tmp_path / "o.h5", tmp_path / "a.parquet"

    def table(ids, speakers, x):
        pa.parquet.write_table(pa.table({"id": ids, "speaker": speakers, "x": x}), path)
    rows = [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]
    table(["a", "b", "a"], ["s", "s", "s"], rows)
    refused(path, out, 3, "a.parquet", "utterance a", "not together")
    table(["a", "a", "b"], ["s", "t", "s"], rows)
    refused(path, out, 3, "utterance a", "two speakers")
    table(["a", "a", "b"], ["s", None, "s"], rows)
    refused(path, out, 3, "empty id or speaker")
    table(["a", "a", "b"], ["s", "s", "s"], [[1.0], [2.0, 3.0], [4.0]])
    refused(path, out, 3, "a.parquet", "1, 2 values")
    table(["a", "a", "b"], ["s", "s", "s"], [[1.0], None, [4.0]])
    refused(path, out, 3, "empty cells")
    table(["a", "a", "b"], ["s", "s", "s"], [1.0, 2.0, 3.0])
    refused(path, out, 3, "a list of floats was expected")
    table(["a", "a", "b"], ["s", "s", "s"], [[1], [2], [3]])
    refused(path, out, 3, "int64")
    table(["a", "a", "b"], ["s", "s", "s"], [[1.0], [float("nan")], [3.0]])
    refused(path, out, 3, "utterance a, frame 1", "NaN")
    refused(path, out, 3, "no column y", "there are id, speaker, x", flags=("--vector-column", "y"))
    path.write_text("not parquet")
    refused(path, out, 3, "is not a parquet file")
