"""Promise 4: bad input ends with a clear message and its exit code, and leaves no output behind."""

import json
import os
import re

import bad_files
import forged_files
import h5py
import harness
import hdf5plugin
import numpy as np
import oracle
import pytest

SPOILED = {**bad_files.BAD_FILES, **bad_files.BAD_B_FILES, **forged_files.FORGED_FILES, **forged_files.FORGED_B_FILES}


def config(where, **changes):
    cfg = harness.base_config(where / "latents.h5", where / "run")
    cfg["data"]["min_duration_sec"] = 1.0
    cfg["splits"].update(n_train_speakers=4, n_eval_speakers=2)
    cfg["clustering"]["min_cluster_size"] = 2
    cfg["clustering"]["conditions"] = [{"name": "vq", "type": "mean_pool_vq", "k": 4},
                                       {"name": "pq", "type": "pca_quartile", "pca_dim": 2}]
    cfg["metrics"]["permutations"] = 2
    return harness.merged(cfg, changes)


def check_rejected(result, codes, fragments):
    """A rejection: its code, every fragment in the message, nothing on stdout, no library's words on stderr."""
    codes = codes if isinstance(codes, tuple) else (codes,)
    assert result.code in codes, str(result)
    for fragment in fragments:
        assert fragment.lower() in result.err.lower(), f"{fragment!r} is not in the message\n{result}"
    assert all(line.startswith("phase0: ") for line in result.err.splitlines()), f"not ours\n{result}"
    assert result.out == ""


def check_no_output(where, names=harness.RUN_FILES):
    assert [n for n in names if (where / "run" / n).exists()] == []


def test_the_good_file_is_accepted(tmp_path):
    """Guards every rejection below: without the spoiling the same run succeeds."""
    for layout in "AB":
        where = tmp_path / layout
        where.mkdir()
        bad_files.good(where / "latents.h5", layout=layout)
        harness.run_ok(config(where), where)


@pytest.mark.parametrize("name", SPOILED)
def test_bad_latents(tmp_path, name):
    spoil, fragments = SPOILED[name]
    spoil(bad_files.good(tmp_path / "latents.h5"))
    check_rejected(harness.run_config(config(tmp_path), tmp_path), 3, ["latents.h5", *fragments])
    check_no_output(tmp_path)


@pytest.mark.parametrize("name", ["x_nan", "offsets_decrease", "x_external_raw", "truncated_half", "text"])
@pytest.mark.parametrize("command", ["collect", "plan"])
def test_other_commands_reject_too(tmp_path, name, command):
    if command == "plan" and name == "x_nan":
        pytest.skip("plan reads no values")
    spoil, fragments = SPOILED[name]
    spoil(bad_files.good(tmp_path / "latents.h5"))
    result = harness.run_config(config(tmp_path), tmp_path, command=command)
    check_rejected(result, 3, ["latents.h5", *fragments])
    check_no_output(tmp_path)


@pytest.mark.parametrize("name", ["x_int", "offsets_decrease", "ids_duplicate", "truncated_half", "text", "empty"])
def test_inspect_rejects_broken_latents(tmp_path, name):
    SPOILED[name][0](bad_files.good(tmp_path / "latents.h5"))
    result = harness.run("inspect", tmp_path / "latents.h5")
    assert result.code == 3 and "latents.h5" in result.err, str(result)


@pytest.mark.parametrize("name", forged_files.UNOPENED_FILES)
def test_files_that_cannot_be_opened(tmp_path, name):
    spoil, fragments = forged_files.UNOPENED_FILES[name]
    spoil(bad_files.good(tmp_path / "latents.h5"))
    check_rejected(harness.run_config(config(tmp_path), tmp_path), 5, ["latents.h5", *fragments])
    check_no_output(tmp_path)


def test_a_damaged_object_is_told_in_one_line(tmp_path):
    """HDF5 loses memory over such a file and would tell at exit what it cannot tidy up."""
    path = tmp_path / "latents.h5"
    with h5py.File(path, "w", libver="latest") as file:
        file.attrs["format"] = "phase0-latents"
        file["x"] = np.zeros((4, 2), "f4")
    content = bytearray(path.read_bytes())
    content[content.rindex(b"OHDR") + 20] ^= 1  # its checksum no longer fits
    path.write_bytes(content)
    result = harness.run("inspect", path)
    check_rejected(result, 3, ["latents.h5", "checksum"])
    assert len(result.err.splitlines()) == 1, str(result)
    check_no_output(tmp_path)


def test_lengths_of_four_bytes(tmp_path):
    """HDF5 fills the parts of a heap of strings up to 8 bytes, whatever the width of lengths."""
    source = bad_files.good(tmp_path / "wide.h5")
    sizes = h5py.h5p.create(h5py.h5p.FILE_CREATE)
    sizes.set_sizes(4, 4)
    narrow = h5py.File(h5py.h5f.create(str(tmp_path / "latents.h5").encode(), h5py.h5f.ACC_TRUNC, sizes))
    with h5py.File(source) as wide, narrow:
        narrow.attrs.update(wide.attrs)
        for name in wide:
            wide.copy(name, narrow)
    result = harness.run("inspect", tmp_path / "latents.h5")
    assert result.code == 0, str(result)


def test_no_plugin_is_loaded(tmp_path):
    """A filter that a file names must not bring code into the process, even where HDF5 would find it."""
    spoil, fragments = SPOILED["x_unknown_filter"]
    spoil(bad_files.good(tmp_path / "latents.h5"))
    cfg = harness.write_config(tmp_path / "c.yaml", config(tmp_path))
    env = {**os.environ, "HDF5_PLUGIN_PATH": hdf5plugin.PLUGIN_PATH, "LD_DEBUG": "files",
           "LD_DEBUG_OUTPUT": str(tmp_path / "loaded")}
    check_rejected(harness.run("run", "-c", cfg, "--progress", "none", env=env), 3, ["latents.h5", *fragments])
    loaded = "".join(path.read_text() for path in tmp_path.glob("loaded.*"))
    assert "libc.so" in loaded and hdf5plugin.PLUGIN_PATH not in loaded


def check_same_as_plain(where, spoil):
    """What spoil(path of the good file) makes is accepted, and gives what the good file gives."""
    bad_files.good(where / "plain.h5")
    plain = config(where, **{"data.latents": str(where / "plain.h5"), "output.dir": str(where / "plain")})
    harness.run_ok(plain, where)
    spoil(bad_files.good(where / "latents.h5"))
    harness.run_ok(config(where), where)
    assert harness.fingerprint(where / "plain") == harness.fingerprint(where / "run")


def _user_block(path):
    with h5py.File(path) as old, h5py.File(path.parent / "new.h5", "w", userblock_size=2048) as new:
        for name in old:
            old.copy(name, new)
        new.attrs.update(old.attrs)
    (path.parent / "new.h5").rename(path)


def _symlink(path):
    path.rename(path.parent / "elsewhere.h5")
    path.symlink_to("elsewhere.h5")


def _hard_link(path):
    with h5py.File(path, "r+") as f:
        f["also"] = f["x"]
        f["round"] = f["/"]


def _shuffle(path):
    bad_files.good(path, storage="gzip_shuffle")


@pytest.mark.parametrize("spoil", [_user_block, _symlink, _hard_link, _shuffle], ids=lambda f: f.__name__[1:])
def test_unusual_files_that_are_fine(tmp_path, spoil):
    check_same_as_plain(tmp_path, spoil)


def test_float64_that_overflows_float32_is_not_finite(tmp_path):
    bad_files.good(tmp_path / "latents.h5", dtype="f8")
    with h5py.File(tmp_path / "latents.h5", "r+") as f:
        f["x"][3 * bad_files.FRAMES + 17, 1] = 1e300
    check_rejected(harness.run_config(config(tmp_path), tmp_path), 3, ["latents.h5", "u03", "frame 17"])


@pytest.mark.parametrize("layout, name, index", [("A", "x", (3 * 40 + 17, 1)), ("A", "energy", 3 * 40 + 17),
                                                 ("B", "u03/x", (17, 1)), ("B", "u03/energy", 17)])
@pytest.mark.parametrize("value", [np.nan, -np.inf])
def test_drop_utterance_policy(tmp_path, layout, name, index, value):
    path = bad_files.good(tmp_path / "latents.h5", layout=layout)
    with h5py.File(path, "r+") as f:
        f[name][index] = value
    cfg = config(tmp_path, **{"data.non_finite": "drop_utterance"})
    result = harness.run_config(cfg, tmp_path)
    assert result.code == 0, str(result)
    with h5py.File(tmp_path / "run" / "features.h5") as f:
        ids, split = harness.strings(f["utterances/id"]), f["utterances/split"][()]
        used = {ids[u] for s in ("train", "eval") for u in f[f"{s}/rows/utterance"][()]}
        rows = len(f["train/rows/t"]) + len(f["eval/rows/t"])
    assert used == set(bad_files.corpus().ids) - {"u03"}
    assert "u03" not in ids or split[ids.index("u03")] == 0
    assert rows == 11 * (bad_files.FRAMES - oracle.first_t(4, [1, 3]))


# ---- input and configuration that do not fit each other


def speakers_files(where, train, ev):
    for key, members in (("train", train), ("eval", ev)):
        (where / f"{key}.txt").write_text("\n".join(members) + "\n")
    return {"splits.n_train_speakers": ..., "splits.n_eval_speakers": ...,
            "splits.train_speakers_file": str(where / "train.txt"),
            "splits.eval_speakers_file": str(where / "eval.txt")}


# contents of train.txt (eval.txt lists s3), exit code, fragments
BAD_SPEAKER_LISTS = {
    "overlap": (b"s0\ns3\n", 2, ["s3", "both"]),
    "empty": (b"", 2, ["train.txt", "empty"]),
    "blank": (b"\n \t\r\n\n", 2, ["train.txt", "empty"]),
    "huge_line": (b"s0\n" + b"x" * (10 << 20), 2, ["train.txt:2", "4096"]),
    "nul": (b"s0\0\n", 2, ["train.txt:1", "UTF-8"]),
    "not_utf8": (b"s0\n\xff\xfe\n", 2, ["train.txt:2", "UTF-8"]),
    "utf16": ("s0\n".encode("utf-16"), 2, ["train.txt:1", "UTF-8"]),
    "none_known": (b"nobody\nnothing\n", 3, ["no train utterance"]),
    "too_large": (b"s0\n" * (23 << 20), 5, ["train.txt", "larger"]),
}


@pytest.mark.parametrize("name", BAD_SPEAKER_LISTS)
def test_bad_speaker_list(tmp_path, name):
    contents, code, fragments = BAD_SPEAKER_LISTS[name]
    bad_files.good(tmp_path / "latents.h5")
    changes = speakers_files(tmp_path, [], ["s3"])
    (tmp_path / "train.txt").write_bytes(contents)
    check_rejected(harness.run_config(config(tmp_path, **changes), tmp_path), code, fragments)
    check_no_output(tmp_path)


@pytest.mark.parametrize("make", [lambda p: os.mkfifo(p), lambda p: p.mkdir()], ids=["fifo", "folder"])
def test_speaker_list_that_is_no_file(tmp_path, make):
    bad_files.good(tmp_path / "latents.h5")
    changes = speakers_files(tmp_path, ["s0"], ["s3"])
    (tmp_path / "train.txt").unlink()
    make(tmp_path / "train.txt")
    check_rejected(harness.run_config(config(tmp_path, **changes), tmp_path), 5, ["train.txt", "regular file"])


def test_names_of_a_list_do_not_drive_the_terminal(tmp_path):
    bad_files.good(tmp_path / "latents.h5")
    changes = speakers_files(tmp_path, ["s0", "\x1b[31mred"], ["s3"])
    result = harness.run_config(config(tmp_path, **changes), tmp_path)
    assert result.code == 0 and "\\x1b[31mred" in result.err and "\x1b" not in result.err, str(result)


@pytest.mark.parametrize("train, ev", [(["s0", "nobody"], ["s3"]), (["s0"], ["s3", "nobody"])], ids=["train", "eval"])
def test_unknown_speaker_is_a_warning(tmp_path, train, ev):
    """A list may be of a larger corpus; a name that is not in the input is said, and changes nothing."""
    bad_files.good(tmp_path / "latents.h5")
    result = harness.run_config(config(tmp_path, **speakers_files(tmp_path, train, ev)), tmp_path)
    assert result.code == 0, str(result)
    assert "nobody" in result.err and "warning" in result.err.lower()


def test_missing_speaker_file(tmp_path):
    bad_files.good(tmp_path / "latents.h5")
    changes = speakers_files(tmp_path, ["s0"], ["s1"])
    (tmp_path / "eval.txt").unlink()
    check_rejected(harness.run_config(config(tmp_path, **changes), tmp_path), (2, 3, 5), ["eval.txt"])
    check_no_output(tmp_path)


@pytest.mark.parametrize("changes, codes, fragments", [
    ({"data.min_duration_sec": 3.3}, 3, ["min_duration_sec"]),  # 40 frames are 3.2 s
    ({"context.window_size": 60}, 3, []),  # kept, but no row fits
    ({"splits.n_train_speakers": 5}, 2, ["6"]),  # there are 6 speakers, 7 are wanted
    ({"vae": {"latent_dim": 4}}, 2, ["latent_dim", "3", "4"]),
    ({"vae": {"frame_rate": 25.0}}, 2, ["frame_rate", "12.5", "25"]),
], ids=["too_short", "window", "speakers", "latent_dim", "frame_rate"])
def test_configuration_that_does_not_fit_the_input(tmp_path, changes, codes, fragments):
    bad_files.good(tmp_path / "latents.h5")
    check_rejected(harness.run_config(config(tmp_path, **changes), tmp_path), codes, fragments)
    check_no_output(tmp_path)


@pytest.mark.parametrize("condition, fragments", [
    ({"name": "vq", "type": "mean_pool_vq", "k": 100000}, ["vq", "100000"]),
    ({"name": "pq", "type": "pca_quartile", "pca_dim": 13}, ["pca_dim", "13", "12"]),  # F = 4 * 3
    ({"name": "pv", "type": "pca_vq", "pca_dim": 13, "k": 4}, ["pca_dim", "13", "12"]),
], ids=["k", "quartile_dim", "vq_dim"])
def test_condition_too_large_for_the_data(tmp_path, condition, fragments):
    bad_files.good(tmp_path / "latents.h5")
    result = harness.run_config(config(tmp_path, **{"clustering.conditions": [condition]}), tmp_path)
    check_rejected(result, (2, 3), fragments)
    # that k exceeds the rows may only be seen once the rows are known: features.h5 is allowed
    check_no_output(tmp_path, [n for n in harness.RUN_FILES if n not in ("features.h5", "config.yaml", "run.json")])


def test_fitting_vae_section_is_accepted(tmp_path):
    bad_files.good(tmp_path / "latents.h5")
    vae = {"frame_rate": 12.5, "latent_dim": 3, "checkpoint": "old.ckpt", "anything": [1, 2]}
    harness.run_ok(config(tmp_path, vae=vae), tmp_path)


def test_energy_slice_without_energy_is_skipped_with_a_warning(tmp_path):
    """Read literally: without energy no row is high_energy, the slice is empty, and an empty slice is skipped."""
    bad_files.good(tmp_path / "latents.h5")
    with h5py.File(tmp_path / "latents.h5", "r+") as f:
        del f["energy"]
    result = harness.run_config(config(tmp_path), tmp_path)
    assert result.code == 0, str(result)
    assert "loud" in result.err
    cells = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert {c["slice"] for c in cells} == {"all", "medial"}


def test_few_distinct_points(tmp_path):
    """More clusters than distinct rows: equal centroids, exact ties, empty clusters; nothing may hang or go wrong."""
    rng = np.random.default_rng(1)
    base = rng.integers(-3, 4, (3, 2))
    xs = [base[i % 3] + np.where(np.arange(60) % 2, 1, -1)[:, None] * np.array([1, 2]) for i in range(12)]
    corpus = bad_files.corpus()
    corpus.xs, corpus.energies = xs, None
    cfg = config(tmp_path, slices=[{"name": "all", "filter": None}],
                 **{"features.storage": "dense", "context.lags": [1],
                    "clustering.conditions": [{"name": "vq", "type": "mean_pool_vq", "k": 8}]})
    bad_files.latents.write(tmp_path / "latents.h5", corpus)
    run_dir = harness.run_ok(cfg, tmp_path)
    with h5py.File(run_dir / "features.h5") as f, h5py.File(run_dir / "assignments.h5") as a, \
            h5py.File(run_dir / "models.h5") as m:
        for split in ("train", "eval"):
            x, got = f[f"{split}/lag1/mean"][()], a[f"lag1/vq/{split}/cluster"][()]
            assert (got == oracle.nearest(x, m["lag1/vq/kmeans/centroids"][()])).all()
            assert len(np.unique(got)) <= 3 and (a[f"lag1/vq/{split}/distance"][()] == 0).all()
        assert m["lag1/vq/kmeans"].attrs["inertia"] == 0
        assert np.isfinite(m["lag1/vq/kmeans/centroids"][()]).all()


def test_constant_frames(tmp_path):
    """No variance at all: ratios are undefined, not NaN or 0, and nothing passes."""
    corpus = bad_files.corpus()
    corpus.xs = [np.full((40, 3), 2.5) for _ in corpus.xs]
    bad_files.latents.write(tmp_path / "latents.h5", corpus)
    result = harness.run_config(config(tmp_path), tmp_path)
    if result.code != 0:  # PCA of constant data may be refused, but by a message
        check_rejected(result, 3, ["latents.h5"])
        return
    cells = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert cells and all(c[s]["variance_ratio"] is None for c in cells for s in ("train", "eval"))
    assert not harness.decision(tmp_path / "run")[0]
    assert not re.search(r"\bnan\b", (tmp_path / "run" / "tables.csv").read_text(), re.I)
