"""`phase0 plan`: its figures, its cache, budgets, and whether its advice holds."""

import json
import os
import re
import uuid
from pathlib import Path

import h5py
import harness
import numpy as np
import pytest

MIB = 2 ** 20
RUN_STAGES = ("collect", "fit", "analyze")


def environment(cache=None, **changes):
    env = {k: v for k, v in os.environ.items() if k not in ("XDG_CACHE_HOME", "HOME")}
    if cache is not None:
        env["XDG_CACHE_HOME"] = str(cache)
    return env | changes


@pytest.fixture
def config(small_latents, tmp_path):
    """(configuration whose run directory is not there yet, its YAML)"""
    cfg = harness.base_config(small_latents, tmp_path / "run")
    return cfg, harness.write_config(tmp_path / "c.yaml", cfg)


def plan(path, *args, code=0, env=None):
    result = harness.run("plan", "-c", path, "--json", *args, env=env)
    assert result.code == code, str(result)
    return json.loads(result.out)


def stages(p):
    return {s["stage"]: s for s in p["stages"]}


# ---- figures


def test_fields_and_their_order(config):
    p = plan(config[1])
    assert p["minimum_memory_bytes"] == max(s["minimum_memory_bytes"] for s in p["stages"]) <= p["budget_bytes"]
    assert p["disk_bytes"] == sum(s["disk_bytes"] for s in p["stages"]) < p["disk_free_bytes"]
    assert p["threads"] == 2 and p["disk_replaced_bytes"] == 0 and p["changes"] == []
    for s in p["stages"]:
        assert 0 < s["passes_min"] <= s["passes_max"] and 0 < s["bytes_read_min"] <= s["bytes_read_max"]
        assert 0 < s["bytes_written_min"] <= s["bytes_written_max"]
        assert 0 < s["seconds_min"] <= s["seconds_estimate"] <= s["seconds_max"]
        assert s["output_in_memory_bytes"] == 0 and len(s["memory"]) >= 2


def test_table_has_every_figure_in_100_columns(config):
    result = harness.run("plan", "-c", config[1])
    assert result.code == 0, str(result)
    assert max(map(len, result.out.splitlines())) <= 100
    for word in (*RUN_STAGES, "memory budget", "disk", "free", "read", "written", "passes", "time", "peak", "least"):
        assert word in result.out, word
    narrow = harness.run("plan", "-c", config[1], "--memory", "1MiB")
    assert narrow.code == 4 and max(map(len, narrow.out.splitlines())) <= 100, str(narrow)


@pytest.mark.parametrize("storage", ["window", "dense"])
def test_disk_covers_what_a_run_leaves(small_latents, tmp_path, storage):
    cfg = harness.merged(harness.base_config(small_latents, tmp_path / "run"), {"features.storage": storage})
    path = harness.write_config(tmp_path / "c.yaml", cfg)
    planned = stages(plan(path))
    run_dir = harness.run_ok(cfg, tmp_path)
    size = lambda *names: sum((run_dir / n).stat().st_size for n in names)
    assert size("features.h5") <= planned["collect"]["disk_bytes"] * 1.1 + MIB
    assert planned["collect"]["disk_bytes"] <= size("features.h5") * 1.1 + MIB
    assert size("models.h5", "assignments.h5") <= planned["fit"]["disk_bytes"]
    others = [p for p in run_dir.iterdir() if p.suffix != ".h5"]
    assert sum(p.stat().st_size for p in others) <= planned["analyze"]["disk_bytes"]
    assert plan(path)["disk_replaced_bytes"] >= size("features.h5", "models.h5", "assignments.h5")


def test_a_finished_run_directory_is_not_touched(small_run):
    _, run_dir, _ = small_run
    before = {p: (p.stat().st_mtime_ns, p.stat().st_size) for p in [run_dir, *run_dir.iterdir()]}
    plan(run_dir / "config.yaml")
    assert {p: (p.stat().st_mtime_ns, p.stat().st_size) for p in [run_dir, *run_dir.iterdir()]} == before


# ---- the cache of rates


def test_a_run_directory_that_cannot_be_made_is_refused_as_by_the_run(config, tmp_path):
    (tmp_path / "file").write_text("a regular file\n")
    before = sorted(os.listdir(tmp_path))
    for where in ("file", "file/run", "file/a/b"):
        results = [harness.run(command, "-c", config[1], "--run-dir", tmp_path / where, "--progress", "none")
                   for command in ("plan", "run")]
        errors = [[line for line in r.err.splitlines() if "error" in line] for r in results]
        assert [r.code for r in results] == [5, 5], "\n".join(map(str, results))
        assert errors[0] and errors[0] == errors[1]
        assert results[0].out == ""
    assert sorted(os.listdir(tmp_path)) == before
    plan(config[1], "--run-dir", tmp_path / "a" / "b")
    assert sorted(os.listdir(tmp_path)) == before


def test_rates_are_kept_where_xdg_says(config, tmp_path):
    env = environment(tmp_path / "cache")
    first = plan(config[1], env=env)
    file = tmp_path / "cache" / "phase0" / "calibration.json"
    kept = file.read_bytes()
    assert json.loads(kept)["version"] == 3
    second = plan(config[1], env=env)
    assert file.read_bytes() == kept
    assert [s["seconds_estimate"] for s in second["stages"]] == [s["seconds_estimate"] for s in first["stages"]]
    assert not (tmp_path / "run").exists()


def test_home_is_next_and_without_either_nothing_is_kept(config, tmp_path):
    (tmp_path / "home").mkdir()
    plan(config[1], env=environment(HOME=str(tmp_path / "home")))
    assert (tmp_path / "home/.cache/phase0/calibration.json").exists()
    before = sorted(tmp_path.rglob("*"))
    result = harness.run("plan", "-c", config[1], "--json", env=environment(), cwd=tmp_path)
    assert result.code == 0 and sorted(tmp_path.rglob("*")) == before, str(result)
    result = harness.run("plan", "-c", config[1], "--json", env=environment("relative"), cwd=tmp_path)
    assert result.code == 0 and sorted(tmp_path.rglob("*")) == before, str(result)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"version": 1, "machines": 3}', '{"version": 2}', "\0\xff" * 9])
def test_a_damaged_cache_is_made_anew(config, tmp_path, text):
    file = tmp_path / "cache" / "phase0" / "calibration.json"
    file.parent.mkdir(parents=True)
    file.write_text(text)
    p = plan(config[1], env=environment(tmp_path / "cache"))
    assert all(s["seconds_estimate"] > 0 for s in p["stages"])
    assert json.loads(file.read_text())["machines"]


def test_a_cache_that_cannot_be_written_does_no_harm(config, tmp_path):
    (tmp_path / "cache").write_text("a file\n")
    p = plan(config[1], env=environment(tmp_path / "cache"))
    assert all(s["seconds_estimate"] > 0 for s in p["stages"])
    assert (tmp_path / "cache").read_text() == "a file\n"


# ---- budgets


@pytest.mark.parametrize("budget, source", [("auto", r"50 % of .*\(.+\)"), ("25%", r"25 % of .*\(.+\)"),
                                            ("700MiB", "given")])
def test_budgets_and_where_they_come_from(config, tmp_path, budget, source):
    p = plan(config[1], "--memory", budget)
    assert re.fullmatch(source, p["budget_source"]), p["budget_source"]
    if budget == "700MiB":
        assert p["budget_bytes"] == 700 * MIB
    result = harness.run("run", "-c", config[1], "--memory", budget, "--progress", "none")
    assert result.code == 0, str(result)
    lines = [line for line in result.err.splitlines() if "memory budget" in line]
    assert len(lines) == 1 and re.search(source, lines[0]) and "thread" in lines[0], result.err
    recorded = json.loads((tmp_path / "run" / "run.json").read_text())
    assert re.fullmatch(source, recorded["budget"]["source"]) and recorded["budget"]["bytes"] > 0


def test_shares_are_of_the_same_whole(config):
    half = plan(config[1])["budget_bytes"]
    tenth = plan(config[1], "--memory", "10%")["budget_bytes"]
    assert half == pytest.approx(5 * tenth, rel=0.2)  # other processes come and go


def smallest(text):
    return re.search(r"smallest that works is (\d+MiB)", text).group(1)


def test_the_smallest_budget_works_and_less_does_not(config):
    result = harness.run("plan", "-c", config[1], "--memory", "1MiB")
    assert result.code == 4 and "too small" in result.out, str(result)
    figure = smallest(result.err)
    assert plan(config[1], "--memory", figure)["minimum_memory_bytes"] <= int(figure[:-3]) * MIB
    plan(config[1], "--memory", f"{int(figure[:-3]) - 1}MiB", code=4)
    assert harness.run("run", "-c", config[1], "--memory", figure, "--progress", "none").code == 0


def test_stages_refuse_with_the_same_figure(config):
    figure = smallest(harness.run("plan", "-c", config[1], "--memory", "1MiB").err)
    refused = harness.run("collect", "-c", config[1], "--memory", "1MiB")
    assert refused.code == 4 and smallest(refused.err) == figure, str(refused)


def settings(change):
    return [word for setting in change["set"] for word in ("--set", setting)]


@pytest.fixture
def hungry(small_latents, tmp_path):
    """Its YAML: what each cluster takes decides the least memory, and several settings change it."""
    conditions = [{"name": name, "type": "mean_pool_vq", "k": k} for name, k in (("a", 4096), ("b", 1024))]
    cfg = harness.merged(harness.base_config(small_latents, tmp_path / "run"),
                         {"clustering.conditions": conditions, "clustering.min_cluster_size": 1})
    return harness.write_config(tmp_path / "hungry.yaml", cfg)


def test_advice_holds(hungry):
    least = plan(hungry)["minimum_memory_bytes"]
    budget = f"{least - 2 * MIB}B"
    p = plan(hungry, "--memory", budget, code=4)
    assert p["changes"] and p["changes"][0]["fits"], p["changes"]
    for change in p["changes"]:
        changed = plan(hungry, "--memory", budget, *settings(change), code=0 if change["fits"] else 4)
        assert changed["minimum_memory_bytes"] == change["minimum_memory_bytes"] < least


def test_advice_of_the_error_holds_for_a_run(hungry):
    least = plan(hungry)["minimum_memory_bytes"]
    args = ("-c", hungry, "--progress", "none", "--memory", f"{least - 2 * MIB}B")
    refused = harness.run("run", *args)
    assert refused.code == 4, str(refused)
    setting = re.search(r"it would do with --set '([^']+)'", refused.err).group(1)
    assert harness.run("run", *args, "--set", setting).code == 0


def test_advice_of_several_settings_holds(hungry):
    singles = plan(hungry, "--memory", "1MiB", code=4)["changes"]  # each as far as it goes
    budget = f"{min(c['minimum_memory_bytes'] for c in singles) - MIB}B"
    p = plan(hungry, "--memory", budget, code=4)
    assert p["changes"][0]["fits"] and len(p["changes"][0]["set"]) > 1, p["changes"]
    plan(hungry, "--memory", budget, *settings(p["changes"][0]))


# ---- where the output lies


def test_output_on_tmpfs_counts_as_memory(small_latents, tmp_path):
    memory = Path("/dev/shm")
    if not memory.is_dir() or os.statvfs(memory).f_bavail == 0 or "tmpfs /dev/shm" not in Path("/proc/mounts").read_text():
        pytest.skip("no tmpfs at /dev/shm")
    run_dir = memory / f"phase0-test-{uuid.uuid4().hex}"
    cfg = harness.base_config(small_latents, run_dir)
    path = harness.write_config(tmp_path / "c.yaml", cfg)
    try:
        on_disk = stages(plan(path, "--run-dir", tmp_path / "run"))
        there = stages(plan(path))
        for name in RUN_STAGES:
            extra = there[name]["output_in_memory_bytes"]
            assert extra >= there[name]["disk_bytes"] > 0
            assert {"name": "output on tmpfs", "bytes": extra} in there[name]["memory"]
            assert there[name]["minimum_memory_bytes"] == on_disk[name]["minimum_memory_bytes"] + extra
        result = harness.run("plan", "-c", path, "--memory", "1MiB")
        figure = smallest(result.err)
        assert harness.run("run", "-c", path, "--memory", f"{int(figure[:-3]) - 1}MiB").code == 4
        done = harness.run("run", "-c", path, "--memory", figure, "--progress", "none")
        assert done.code == 0, str(done)
    finally:
        for file in run_dir.glob("*") if run_dir.exists() else ():
            file.unlink()
        (run_dir / ".lock").unlink(missing_ok=True)
        if run_dir.exists():
            run_dir.rmdir()


def test_a_disk_that_is_too_small_is_said_before_anything_is_read(tmp_path):
    n, d = 2_000_000, 512  # 4 GB without a block on disk
    with h5py.File(tmp_path / "latents.h5", "w") as f:
        f.attrs.update({"format": "phase0-latents", "version": 1, "frame_rate_hz": 12.5})
        space = h5py.h5s.create_simple((n, d))
        create = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        create.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
        create.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
        h5py.h5d.create(f.id, b"x", h5py.h5t.IEEE_F32LE, space, create)
        f["utterances/id"] = [f"u{i}" for i in range(100)]
        f["utterances/speaker"] = np.arange(100)
        f["utterances/offset"] = np.arange(0, n + 1, n // 100)
    lags = list(range(1, 201))  # 2 million rows x 200 lags x 9 x 2 KiB: terabytes
    cfg = harness.merged(harness.base_config(tmp_path / "latents.h5", tmp_path / "run"),
                         {"context.window_size": 8, "context.lags": lags, "features.storage": "dense",
                          "clustering.conditions": [{"name": "vq", "type": "mean_pool_vq", "k": 2}]})
    path = harness.write_config(tmp_path / "c.yaml", cfg)
    result = harness.run("plan", "-c", path, "--memory", "64GiB")
    assert result.code == 0 and "NOT ENOUGH" in result.out and "disk is too small" in result.err, str(result)
    result = harness.run("run", "-c", path, "--memory", "64GiB", "--progress", "none", timeout=20)
    assert result.code == 5 and re.search(r"needs .* TiB, .* free", result.err), str(result)
    assert not (tmp_path / "run").exists()
