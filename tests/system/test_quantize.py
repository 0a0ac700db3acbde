"""`phase0 quantize`, against NumPy to the bit, and every stage on what it writes (data/FORMAT.md)."""

import hashlib
import os
import re

import h5py
import hdf5plugin  # noqa: F401
import harness
import latents
import numpy as np
import pytest

DIM = 25  # odd: the last byte of an int4 row holds one value
TYPES = ("f16", "int8", "int4")


@pytest.fixture(scope="module")
def corpus():
    return latents.make(seed=21, dim=DIM, mean_frames=60)


@pytest.fixture(scope="module")
def source(corpus, tmp_path_factory):
    return latents.write(tmp_path_factory.mktemp("source") / "latents.h5", corpus)


@pytest.fixture(scope="module")
def quantised(source):
    """Type -> (path, result)"""
    out = {}
    for to in TYPES:
        path = source.parent / f"{to}.h5"
        out[to] = path, quantize(source, path, to)
    return out


def quantize(source, out, to, *args, code=0, **kwargs):
    result = harness.run("quantize", source, out, "--to", to, "--progress", "none", *args, **kwargs)
    assert result.code == code, str(result)
    return result


def frames(path, name="x"):
    with h5py.File(path) as f:
        return f[name][()].astype(np.float32)


def decode(path, name="x"):
    """As data/FORMAT.md says."""
    with h5py.File(path) as f:
        x, tables = f[name], f.get(name + "_quantization")
        codes, kind, group = x[()], x.attrs.get("quantization"), x.attrs.get("group_size", 1)
        if kind is None:
            return codes.astype(np.float32)
        columns = np.arange(x.attrs["dim"] if kind == "int4" else x.shape[1])
        if kind == "int8":
            return tables["offset"][()][columns // group] + tables["scale"][()][columns // group] * codes.astype("f4")
        codes = np.stack([codes & 15, codes >> 4], axis=2).reshape(len(codes), -1)[:, columns]
        return tables["palette"][()][columns // group, codes]


def int8_tables(x, group):
    """scale, offset [groups], codes [T, D]"""
    edges = np.arange(0, x.shape[1], group)
    low = np.minimum.reduceat(x.min(axis=0), edges).astype(np.float64)
    high = np.maximum.reduceat(x.max(axis=0), edges).astype(np.float64)
    scale = ((high - low) / 255).astype(np.float32)
    offset = (low + 128 * scale.astype(np.float64)).astype(np.float32)
    column = np.arange(x.shape[1]) // group
    inverse = np.divide(1.0, scale.astype(np.float64), out=np.zeros(len(scale)), where=scale > 0)
    codes = np.rint((x.astype(np.float64) - offset.astype(np.float64)[column]) * inverse[column])
    return scale, offset, np.clip(codes, -128, 127).astype(np.int8)


def int4_codes(x, palette, group):
    codes = np.empty(x.shape, dtype=np.uint8)
    for j in range(x.shape[1]):
        entries = palette[j // group].astype(np.float64)
        codes[:, j] = np.searchsorted((entries[:-1] + entries[1:]) / 2, x[:, j].astype(np.float64), side="left")
    return codes


def pack(codes):
    padded = np.pad(codes, ((0, 0), (0, codes.shape[1] % 2)))
    return padded[:, 0::2] | padded[:, 1::2] << 4


def palette_cost(x, palette):
    return np.min((x[:, None].astype(np.float64) - palette[None].astype(np.float64)) ** 2, axis=1).sum()


def lloyd(x, palette):
    """k-means on a line from a start, to its end."""
    x, palette = np.sort(x.astype(np.float64)), palette.astype(np.float64)
    while True:
        cells = np.searchsorted((palette[:-1] + palette[1:]) / 2, x)
        sums, counts = np.bincount(cells, x, len(palette)), np.bincount(cells, minlength=len(palette))
        moved = np.where(counts > 0, sums / np.maximum(counts, 1), palette)
        if np.allclose(moved, palette, rtol=0, atol=1e-12):
            return palette
        palette = moved


@pytest.mark.parametrize("group", [1, 4, DIM])
def test_int8_to_the_bit(source, tmp_path, group):
    out = tmp_path / "int8.h5"
    quantize(source, out, "int8", "--group", group)
    scale, offset, codes = int8_tables(frames(source), group)
    with h5py.File(out) as f:
        assert f["x"].attrs["quantization"] == "int8" and f["x"].attrs["group_size"] == group
        np.testing.assert_array_equal(f["x_quantization/scale"][()], scale)
        np.testing.assert_array_equal(f["x_quantization/offset"][()], offset)
        np.testing.assert_array_equal(f["x"][()], codes)


@pytest.mark.parametrize("group", [1, 4, DIM])
def test_int4_to_the_bit_of_its_palette(source, tmp_path, group):
    out = tmp_path / "int4.h5"
    quantize(source, out, "int4", "--group", group)
    x = frames(source)
    with h5py.File(out) as f:
        assert f["x"].attrs["quantization"] == "int4" and f["x"].attrs["dim"] == DIM
        palette = f["x_quantization/palette"][()]
        assert palette.shape == (-(-DIM // group), 16) and np.all(np.diff(palette, axis=1) >= 0)
        np.testing.assert_array_equal(f["x"][()], pack(int4_codes(x, palette, group)))


def test_a_palette_is_the_best_there_is(source, quantised):
    x = frames(source)
    assert len(x) <= 16384  # the sample is all rows
    rng = np.random.default_rng(4)
    with h5py.File(quantised["int4"][0]) as f:
        palettes = f["x_quantization/palette"][()]
    for j in range(0, DIM, 6):
        cost = palette_cost(x[:, j], palettes[j])
        for _ in range(5):
            other = lloyd(x[:, j], np.sort(rng.choice(np.unique(x[:, j]), 16, replace=False)))
            assert cost <= palette_cost(x[:, j], other) * (1 + 1e-5)


def test_f16_to_the_bit(source, quantised):
    with h5py.File(quantised["f16"][0]) as f:
        assert f["x"].dtype == np.float16
        np.testing.assert_array_equal(f["x"][()], frames(source).astype(np.float16))


@pytest.mark.parametrize("to", TYPES)
def test_the_rest_of_the_file_is_the_same(source, quantised, to):
    with h5py.File(source) as a, h5py.File(quantised[to][0]) as b:
        assert dict(a.attrs) == dict(b.attrs)
        for name in ("energy", "utterances/offset"):
            np.testing.assert_array_equal(a[name][()], b[name][()])
        for name in ("utterances/id", "utterances/speaker"):
            assert harness.strings(a[name]) == harness.strings(b[name])


def test_attributes_are_copied(source, tmp_path):
    other = tmp_path / "in.h5"
    other.write_bytes(source.read_bytes())
    with h5py.File(other, "r+") as f:
        f.attrs.update({"codec": "mimi", "layers": 8, "gain": 0.25, "sizes": np.array([1, 2, 3]),
                        "gains": np.array([0.5, 1.5])})
    result = quantize(other, tmp_path / "out.h5", "int8")
    assert "attribute gains" in result.err and result.err.count("warning") == 1, str(result)
    with h5py.File(tmp_path / "out.h5") as f:
        assert (f.attrs["codec"], f.attrs["layers"], f.attrs["gain"]) == ("mimi", 8, 0.25)
        assert list(f.attrs["sizes"]) == [1, 2, 3]


@pytest.mark.parametrize("to", TYPES)
def test_what_it_prints(source, quantised, to):
    path, result = quantised[to]
    x, y = frames(source).astype(np.float64), decode(path).astype(np.float64)
    error = np.abs(x - y)
    cosine = (x * y).sum(axis=1) / (np.linalg.norm(x, axis=1) * np.linalg.norm(y, axis=1))
    figure = lambda words: float(re.search(words + r" ([-0-9.e+]+)", result.out).group(1))
    assert figure("error: largest") == pytest.approx(error.max(), rel=1e-5)
    assert figure("mean") == pytest.approx(error.mean(), rel=1e-5)
    assert figure("root mean square") == pytest.approx(np.sqrt((error ** 2).mean()), rel=1e-5)
    assert figure("was: mean") == pytest.approx(cosine.mean(), abs=1e-8)
    assert figure("least") == pytest.approx(cosine.min(), abs=1e-8)
    for file in (source, path):
        assert f"({os.path.getsize(file)} bytes)" in result.out


@pytest.mark.parametrize("to", TYPES)
@pytest.mark.parametrize("writer", [{"storage": "zstd"}, {"dtype": "f8"}, {"layout": "B"}], ids=str)
def test_kinds_of_input(corpus, quantised, tmp_path, to, writer):
    path = latents.write(tmp_path / "in.h5", corpus, **writer)
    quantize(path, tmp_path / "out.h5", to)
    same = decode(quantised[to][0])
    if writer.get("layout") == "B":  # in byte order of the id
        cuts = np.cumsum([len(x) for x in corpus.xs])[:-1]
        order = sorted(range(len(corpus.ids)), key=lambda u: corpus.ids[u].encode())
        same = np.concatenate([np.split(same, cuts)[u] for u in order])
    np.testing.assert_array_equal(decode(tmp_path / "out.h5"), same)


def test_quantised_input(quantised, tmp_path):
    quantize(quantised["int8"][0], tmp_path / "again.h5", "int8")
    np.testing.assert_allclose(decode(tmp_path / "again.h5"), decode(quantised["int8"][0]), atol=2e-5)
    quantize(quantised["int8"][0], tmp_path / "f16.h5", "f16")
    np.testing.assert_array_equal(decode(tmp_path / "f16.h5"),
                                  decode(quantised["int8"][0]).astype(np.float16).astype(np.float32))


@pytest.mark.parametrize("to", TYPES)
def test_any_dataset(tmp_path, to):
    x = np.random.default_rng(1).standard_normal((300, 7)).astype(np.float32)
    with h5py.File(tmp_path / "in.h5", "w") as f:
        f.create_dataset("a/table", data=x, chunks=(32, 7), compression="gzip")
        f["other"] = 1
    quantize(tmp_path / "in.h5", tmp_path / "out.h5", to, "--dataset", "a/table")
    written = (tmp_path / "out.h5").read_bytes()
    for name in ("/a/table", "//a//table", "a/table/"):  # HDF5 takes them for the same
        quantize(tmp_path / "in.h5", tmp_path / "out.h5", to, "--dataset", name)
        assert (tmp_path / "out.h5").read_bytes() == written, name
    with h5py.File(tmp_path / "out.h5") as f:
        assert set(f) == {"a"} and set(f["a"]) <= {"table", "table_quantization"}
    y = decode(tmp_path / "out.h5", "a/table")
    if to == "int8":
        scale, offset, codes = int8_tables(x, 1)
        np.testing.assert_array_equal(y, offset + scale * codes.astype(np.float32))
    else:
        assert np.abs(x - y).max() < (0.002 if to == "f16" else 1)


@pytest.mark.parametrize("to", TYPES)
def test_the_file_depends_on_neither_budget_nor_threads(source, quantised, tmp_path, to):
    expected = hashlib.sha256(quantised[to][0].read_bytes()).hexdigest()
    for args in (["--threads", "1"], ["--threads", "3", "--memory", "64MiB"], ["--memory", "1GiB"]):
        quantize(source, tmp_path / "out.h5", to, *args)
        assert hashlib.sha256((tmp_path / "out.h5").read_bytes()).hexdigest() == expected, args


@pytest.mark.parametrize("storage", ["window", "dense", "staged"])
@pytest.mark.parametrize("to", ["int8", "int4"])
def test_stages_on_codes_are_stages_on_their_values(quantised, tmp_path, to, storage):
    """The same bytes as from a float32 file of the decoded values."""
    path = quantised[to][0]
    plain = tmp_path / "plain.h5"
    plain.write_bytes(path.read_bytes())
    with h5py.File(plain, "r+") as f:
        del f["x"]
        f["x"] = decode(path)
    if storage == "staged":
        staged = tmp_path / "staged.h5"
        staged.write_bytes(path.read_bytes())
        with h5py.File(staged, "r+") as f:
            codes, attributes = f["x"][()], dict(f["x"].attrs)
            del f["x"]
            f.create_dataset("x", data=codes, chunks=(100, 5), compression="gzip").attrs.update(attributes)
        path = staged
    prints = []
    for name, latents_path in (("codes", path), ("plain", plain)):
        cfg = harness.merged(harness.base_config(latents_path, tmp_path / name / "run"),
                             {"features.storage": "dense" if storage == "dense" else "window"})
        prints.append(harness.fingerprint(harness.run_ok(cfg, tmp_path / name)))
    assert prints[0] == prints[1]
    run_json = (tmp_path / "codes" / "run" / "run.json").read_text()
    assert f'"dtype": "{to}"' in run_json
    text = harness.run("inspect", path)
    assert text.code == 0 and f"{DIM} {to} values" in text.out


def test_plan_and_its_bounds_on_codes(quantised, tmp_path):
    cfg = harness.base_config(quantised["int4"][0], tmp_path / "run")
    result = harness.run_config(cfg, tmp_path, command="plan")
    assert result.code == 0, str(result)
    least = harness.run_config(cfg, tmp_path, "--memory", "1MiB", command="plan")
    smallest = re.search(r"smallest that works is (\d+MiB)", least.err).group(1)
    harness.run_ok(cfg, tmp_path, "--memory", smallest)


@harness.no_sanitizer
@pytest.mark.parametrize("to,bound", [("int8", 0.5), ("int4", 2.0)])
def test_variance_ratios_of_the_demo(tmp_path, to, bound):
    cheap = ["context.lags=[1]", "clustering.kmeans.n_init=2", "metrics.permutations=0"]
    args = [word for key in cheap for word in ("--set", key)]
    result = quantize(harness.ROOT / "data/demo/latents.h5", tmp_path / "demo.h5", to, "--check",
                      harness.ROOT / "configs/demo.yaml", *args, timeout=600, cwd=harness.ROOT)
    assert [p.name for p in tmp_path.iterdir()] == ["demo.h5"]
    lines = [line.split() for line in result.out.splitlines() if " % " in line and line[0] in "mp"]
    assert len(lines) == 9, result.out  # 3 conditions of 3 slices
    changes = []
    for line in lines:
        before, after, change = map(float, (line[3], line[4], line[5]))
        assert 0.3 < before < 1.05 and change == pytest.approx(100 * (after - before) / before, abs=2e-3)
        changes += [change, float(line[9])]
    assert max(map(abs, changes)) <= bound, result.out
    assert f"largest change: {max(map(abs, changes)):.3f} %" in result.out


def peak_of(*args):
    """Peak resident MiB of a command, as the kernel counts it, mapped files included."""
    result = harness.run(*args)
    assert result.code == 0, str(result)
    return float(re.search(r"peak memory ([0-9.]+) MiB", result.err).group(1))


@harness.no_sanitizer
@pytest.mark.parametrize("storage", ["contiguous", "chunked"])
def test_memory_stays_within_the_smallest_budget(tmp_path, storage):
    rng = np.random.default_rng(3)
    block = rng.standard_normal((4096, 256)).astype(np.float16)
    path = tmp_path / "in.h5"
    with h5py.File(path, "w") as f:
        x = f.create_dataset("x", shape=(100 * 4096, 256), dtype="f2",
                             chunks=(512, 256) if storage == "chunked" else None)
        for i in range(100):
            x[i * 4096:(i + 1) * 4096] = np.roll(block, i)
    for to in TYPES:
        args = ["quantize", path, tmp_path / "out.h5", "--to", to, "--dataset", "x", "--threads", "2"]
        refused = harness.run(*args, "--memory", "31MiB")
        assert refused.code == 4, str(refused)
        smallest = int(re.search(r"smallest that works is (\d+)MiB", refused.err).group(1))
        for budget in (smallest, smallest + 40):
            assert peak_of(*args, "--memory", f"{budget}MiB") <= budget, (to, budget)


def edited(source, tmp_path, edit):
    path = tmp_path / "in.h5"
    path.write_bytes(source.read_bytes())
    with h5py.File(path, "r+") as f:
        edit(f)
    return path


def put(name, at, value):
    def edit(f):
        f[name][at] = value
    return edit


BAD = {
    "nan": (put("x", (70, 3), np.nan), TYPES, 3, ["/x", "utterance", "frame", "holds NaN in dimension 3"]),
    "inf": (put("x", (0, 0), -np.inf), TYPES, 3, ["holds infinity in dimension 0"]),
    "large": (put("x", (9, 2), 2e15), ("int8", "int4"), 3, ["at most 1e+15"]),
    "beyond float16": (put("x", (9, 24), 65505), ("f16",), 3, ["frame 9", "holds 65505 in dimension 24", "float16"]),
    "energy": (put("energy", 44, np.nan), TYPES, 3, ["/energy", "holds NaN"]),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_leaves_nothing(source, tmp_path, name):
    edit, types, code, words = BAD[name]
    path = edited(source, tmp_path, edit)
    for to in types:
        for threads in (1, 3):
            result = quantize(path, tmp_path / "out.h5", to, "--threads", threads, code=code)
            assert str(path) in result.err and all(word in result.err for word in words), str(result)
            assert [p.name for p in tmp_path.iterdir()] == ["in.h5"]


def test_the_largest_float16_is_taken(source, tmp_path):
    path = edited(source, tmp_path, put("x", (9, 24), -65504))
    quantize(path, tmp_path / "out.h5", "f16")
    assert frames(tmp_path / "out.h5")[9, 24] == -65504


def test_the_first_bad_frame_is_named(source, tmp_path):
    path = edited(source, tmp_path, lambda f: [put("x", (row, 1), np.nan)(f) for row in (5000, 700, 4000)])
    with h5py.File(path) as f:
        offset = f["utterances/offset"][()]
    u = np.searchsorted(offset, 700, side="right") - 1
    for threads in (1, 2, 4):
        result = quantize(path, tmp_path / "out.h5", "int4", "--threads", threads, code=3)
        assert f"frame {700 - offset[u]}" in result.err


def test_usage(source, tmp_path):
    out = tmp_path / "out.h5"
    cases = [
        ((source, out), 2), ((source, out, "--to", "int7"), 2), ((source, "--to", "int8"), 2),
        ((source, source, "--to", "int8"), 2), ((source, out, "--to", "int8", "--group", 0), 2),
        ((source, out, "--to", "int8", "--group", DIM + 1), 2), ((source, out, "--to", "f16", "--group", 2), 2),
        ((source, out, "--to", "int8", "--threads", "x"), 2), ((source, out, "--to", "int8", "--memory", "x"), 2),
        ((source, out, "--to", "int8", "--set", "seed=1"), 2), ((source, tmp_path, "--to", "int8"), 2),
        ((source, out, "--to", "int8", "--check", tmp_path / "none.yaml"), 2),
        ((source, out, "--to", "int8", "--dataset", "none"), 3),
        ((source, out, "--to", "int8", "--dataset", "energy"), 3),
        ((source, out, "--to", "int8", "--dataset", "utterances/offset"), 3),
        ((tmp_path / "none.h5", out, "--to", "int8"), 5), ((source, tmp_path / "no/out.h5", "--to", "int8"), 5),
        ((source, out, "--to", "int8", "--memory", "31MiB"), 4),
    ]
    for args, code in cases:
        result = harness.run("quantize", *args)
        assert result.code == code and result.err.startswith("phase0: "), (args, str(result))
        assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("to", ["int8", "int4"])
def test_quantised_frames_are_exported_as_what_they_stand_for(quantised, tmp_path, to):
    path, _ = quantised[to]
    result = harness.run("export", path, tmp_path / "all.npy", "--single", "--progress", "none")
    assert result.code == 0, str(result)
    exported = np.load(tmp_path / "all.npy")
    assert exported.dtype == np.float32
    np.testing.assert_array_equal(exported, decode(path))
