"""Section 7 and 8: commands, streams, exit codes and the contents of the run directory."""

import json
import re

import bad_files
import h5py
import harness
import pytest
from test_bad_input import config

STAGES = ("collect", "fit", "analyze")
UNITS = {"B": 1, "KiB": 2 ** 10, "MiB": 2 ** 20, "GiB": 2 ** 30}


@pytest.fixture
def tiny(tmp_path):
    """(configuration, path of its YAML)"""
    bad_files.good(tmp_path / "latents.h5")
    cfg = config(tmp_path)
    return cfg, harness.write_config(tmp_path / "c.yaml", cfg)


def test_version():
    result = harness.run("--version")
    assert result.code == 0 and re.search(r"\d+\.\d+\.\d+", result.out) and result.err == ""


@pytest.mark.parametrize("args", [[], *[[c] for c in (*STAGES, "run", "plan", "inspect")]], ids=" ".join)
def test_help(args):
    result = harness.run(*args, "--help")
    assert result.code == 0 and result.err == ""
    for word in (*STAGES, "run", "plan", "inspect") if not args else ():
        assert word in result.out
    if args and args[0] in (*STAGES, "run"):
        for flag in ("--set", "--run-dir", "--memory", "--threads", "--fresh", "-q", "-v", "--progress", "--log-json"):
            assert flag in result.out


def test_plan_writes_nothing(tiny, tmp_path):
    before = sorted(p.name for p in tmp_path.iterdir())
    result = harness.run("plan", "-c", tiny[1])
    assert result.code == 0 and all(stage in result.out for stage in STAGES), str(result)
    assert sorted(p.name for p in tmp_path.iterdir()) == before


def test_plan_json(tiny):
    result = harness.run("plan", "-c", tiny[1], "--json")
    assert result.code == 0, str(result)
    plan = json.loads(result.out)
    assert [s["stage"] for s in plan["stages"]] == list(STAGES)
    rows = 12 * (bad_files.FRAMES - 6)
    assert plan["n_train"] + plan["n_eval"] == rows
    for stage in plan["stages"]:
        assert 0 < stage["minimum_memory_bytes"] <= stage["peak_memory_bytes"]


@pytest.mark.parametrize("name", ["features.h5", "models.h5", "assignments.h5"])
def test_inspect(small_run, name):
    result = harness.run("inspect", small_run[1] / name)
    assert result.code == 0 and result.err == "", str(result)
    with h5py.File(small_run[1] / name) as f:
        names = []
        f.visititems(lambda n, o: names.append(n) if isinstance(o, h5py.Dataset) else None)
    assert names and all(n.split("/")[-1] in result.out for n in names)


def test_inspect_of_latents_and_run_directory(small_run, small_latents, small_corpus):
    result = harness.run("inspect", small_latents)
    assert result.code == 0 and str(small_corpus.n_frames) in result.out.replace(",", ""), str(result)
    result = harness.run("inspect", small_run[1])
    assert result.code == 0 and "models.h5" in result.out


def test_inspect_names_what_is_broken(small_run, tmp_path):
    data = (small_run[1] / "models.h5").read_bytes()
    (tmp_path / "models.h5").write_bytes(data[:len(data) // 2])
    result = harness.run("inspect", tmp_path / "models.h5")
    assert result.code == 3 and "models.h5" in result.err and result.out == "", str(result)


def test_results_on_stdout_logs_on_stderr(small_run):
    _, run_dir, result = small_run
    assert "mean_vq16" in result.out and re.search(r"\b(PASS|FAIL)\b", result.out)
    assert "\x1b" not in result.out and "\r" not in result.out
    verdict = "PASS" if harness.decision(run_dir)[0] else "FAIL"
    assert verdict in (run_dir / "report.txt").read_text() and verdict in result.out


@pytest.mark.parametrize("mode", ["auto", "plain", "none", "tty"])
def test_progress_modes(tiny, mode):
    result = harness.run("run", "-c", tiny[1], "--progress", mode)
    assert result.code == 0 and "\r" not in result.out and "\x1b" not in result.out, str(result)
    if mode == "plain":
        assert all(stage in result.err for stage in STAGES)
    if mode != "tty":
        assert "\r" not in result.err and "\x1b" not in result.err


def test_quiet_and_verbose(tiny):
    quiet = harness.run("run", "-c", tiny[1], "-q", "--progress", "none")
    assert quiet.code == 0 and "error" not in quiet.err.lower() and re.search(r"\b(PASS|FAIL)\b", quiet.out)
    normal = harness.run("run", "-c", tiny[1], "--fresh", "--progress", "none")
    verbose = harness.run("run", "-c", tiny[1], "--fresh", "-v", "--progress", "none")
    assert len(quiet.err) <= len(normal.err) < len(verbose.err)
    assert normal.out == verbose.out


def test_log_json(tiny, tmp_path):
    log = tmp_path / "log.jsonl"
    result = harness.run("run", "-c", tiny[1], "--progress", "none", "--log-json", log)
    assert result.code == 0, str(result)
    records = [json.loads(line) for line in log.read_text().splitlines()]
    assert len(records) >= 3 and all(isinstance(r, dict) for r in records)
    assert all(stage in log.read_text() for stage in STAGES)


def test_run_dir_flag_and_relative_paths(tiny, tmp_path):
    work = tmp_path / "work"
    work.mkdir()
    result = harness.run("run", "-c", tiny[1], "--run-dir", "here", "--progress", "none", cwd=work)
    assert result.code == 0 and (work / "here" / "tables.csv").exists(), str(result)
    assert not (tmp_path / "run").exists()


def test_stage_without_its_input(tiny):
    for command in ("fit", "analyze"):
        result = harness.run(command, "-c", tiny[1], "--progress", "none")
        assert result.code in (2, 3) and ("collect" in result.err or "fit" in result.err), str(result)


# ---- memory and storage


def sizes(text):
    found = re.findall(r"(\d+(?:\.\d+)?)\s*(B|KiB|MiB|GiB|bytes)\b", text)
    return [(float(n), u, float(n) * UNITS.get(u, 1)) for n, u in found]


@harness.no_sanitizer
def test_budget_too_small_names_the_smallest_that_works(small_run, tmp_path):
    cfg, run_dir, _ = small_run
    cfg = harness.merged(cfg, {"output.dir": str(tmp_path / "run")})
    result = harness.run_config(cfg, tmp_path, "--memory", "1MiB")
    assert result.code == 4 and sizes(result.err), str(result)
    assert not (tmp_path / "run" / "models.h5").exists()
    value, unit, _ = max(sizes(result.err), key=lambda s: s[2])
    smallest = f"{value:g}{'B' if unit == 'bytes' else unit}"
    harness.run_ok(cfg, tmp_path, "--memory", smallest)
    assert harness.fingerprint(tmp_path / "run") == harness.fingerprint(run_dir)


@pytest.mark.parametrize("seconds", ["nan", "-nan", "inf", "-1", "86401", "1s", ""])
def test_checkpoints_that_are_no_time_are_refused(tiny, seconds):
    result = harness.run("run", "-c", tiny[1], f"--checkpoint={seconds}")
    assert result.code == 2 and "--checkpoint" in result.err, str(result)


@pytest.mark.parametrize("size", ["300MiB", "1GiB", "25%"])
def test_memory_sizes_are_accepted(tiny, size):
    assert harness.run("run", "-c", tiny[1], "--memory", size, "--progress", "none").code == 0


def test_output_that_cannot_be_written(tiny, tmp_path):
    (tmp_path / "file").write_text("a regular file\n")
    result = harness.run("run", "-c", tiny[1], "--run-dir", tmp_path / "file" / "run", "--progress", "none")
    assert result.code == 5 and "file" in result.err, str(result)
    result = harness.run("run", "-c", tiny[1], "--run-dir", tmp_path / "file", "--progress", "none")
    assert result.code == 5, str(result)
    assert (tmp_path / "file").read_text() == "a regular file\n"


# ---- the run directory


def test_run_directory_is_complete(small_run):
    names = {p.name for p in small_run[1].iterdir() if not p.name.startswith(".")}
    assert set(harness.RUN_FILES) <= names
    assert not [n for n in names if n.endswith((".tmp", ".partial"))]
    assert all((small_run[1] / n).stat().st_size > 0 for n in harness.RUN_FILES)


def test_stock_h5py_reads_every_file_and_big_datasets_are_contiguous(small_run):
    for name in ("features.h5", "models.h5", "assignments.h5"):
        with h5py.File(small_run[1] / name) as f:
            assert str(f.attrs.get("format", "phase0")).startswith(("phase0", "b'phase0"))
            big = []
            f.visititems(lambda n, o: big.append(o) if isinstance(o, h5py.Dataset) and o.nbytes > 16384
                         and o.dtype.kind in "iuf" else None)
            for dataset in big:
                assert dataset.chunks is None and dataset.compression is None, dataset.name
                assert dataset.id.get_offset() is not None and dataset.id.get_offset() % 4096 == 0, dataset.name
            assert big or name == "models.h5"


def test_shapes_of_models(small_run):
    cfg, run_dir, _ = small_run
    with h5py.File(run_dir / "models.h5") as f:
        assert f.attrs["format"] in ("phase0-models", b"phase0-models") and f.attrs["version"] == 1
        for lag in cfg["context"]["lags"]:
            want = {f"lag{lag}/norm/mu": (24,), f"lag{lag}/norm/sigma": (24,),
                    f"lag{lag}/mean_vq16/kmeans/centroids": (16, 24), f"lag{lag}/mean_vq16/kmeans/counts": (16,),
                    f"lag{lag}/pca4_vq24/kmeans/centroids": (24, 4), f"lag{lag}/pca3_quartile/bins/edges": (3, 3)}
            for name, k in (("pca4_vq24", 4), ("pca3_quartile", 3)):
                want.update({f"lag{lag}/{name}/pca/mean": (96,), f"lag{lag}/{name}/pca/components": (k, 96),
                             f"lag{lag}/{name}/pca/explained_variance": (k,),
                             f"lag{lag}/{name}/pca/explained_variance_ratio": (k,)})
            assert {n: f[n].shape for n in want} == want


def test_resolved_configuration_runs_to_the_same(small_run, tmp_path):
    _, run_dir, _ = small_run
    text = (run_dir / "config.yaml").read_text()
    for key in ("restarts_on", "non_finite", "random_baseline_tolerance", "budget", "kernels", "holdout"):
        assert f"{key}:" in text  # defaults stand in it
    result = harness.run("run", "-c", run_dir / "config.yaml", "--run-dir", tmp_path / "again", "--progress", "none")
    assert result.code == 0, str(result)
    drop = lambda t: [line for line in t.splitlines() if "dir:" not in line]
    assert drop((tmp_path / "again" / "config.yaml").read_text()) == drop(text)
    assert harness.fingerprint(tmp_path / "again") == harness.fingerprint(run_dir)


def test_run_json(small_run):
    data = json.loads((small_run[1] / "run.json").read_text())
    text = json.dumps(data).lower()
    for word in ("version", "commit", "dirty", "seed", "input", "kernel", "hdf5", "seconds", "rows", "rss", "budget",
                 "read", "written", *STAGES):
        assert word in text, word


def test_report_html_stands_alone(small_run):
    html = (small_run[1] / "report.html").read_text()
    assert "<html" in html.lower() and "mean_vq16" in html
    assert not re.search(r"""(src|href)=["']https?:""", html)
    assert re.search(r"\b(PASS|FAIL)\b", html)


def test_seeded_split_has_the_wanted_counts(small_run, small_corpus):
    with h5py.File(small_run[1] / "features.h5") as f:
        names = harness.strings(f["speakers/name"])
        split, n_frames = f["utterances/split"][()], f["utterances/n_frames"][()]
        used = {s: {names[i] for i in f[f"{s}/rows/speaker"][()]} for s in ("train", "eval")}
    assert (len(used["train"]), len(used["eval"])) == (16, 8) and not used["train"] & used["eval"]
    short = n_frames / small_corpus.rate < 5.0
    assert short.any() and (split[short] == 0).all() and (split[~short] > 0).all()


def test_split_seed_shuffles_and_other_settings_do_not(small_run, tmp_path):
    cfg, run_dir, _ = small_run

    def split(name, changes):
        made = harness.run_ok(harness.merged(cfg, {**changes, "output.dir": str(tmp_path / name)}), tmp_path,
                              command="collect")
        with h5py.File(made / "features.h5") as f:
            return f["utterances/split"][()].tolist()

    with h5py.File(run_dir / "features.h5") as f:
        want = f["utterances/split"][()].tolist()
    assert split("other", {"splits.seed": 99}) != want
    assert split("same", {"context.window_size": 6, "features.storage": "dense"}) == want
