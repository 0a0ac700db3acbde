"""Promises 1 and 3 of the specification: the same bytes whatever the budget, threads, storage path and interruptions."""

import dataclasses
import json
import random
import signal
import subprocess
import time

import h5py
import harness
import latents
import numpy as np
import pytest


def differing(a: dict, b: dict) -> list[str]:
    return sorted(k for k in a.keys() | b.keys() if a.get(k) != b.get(k))


@pytest.fixture(scope="module")
def reference(small_run):
    cfg, run_dir, _ = small_run
    return cfg, harness.fingerprint(run_dir)


@pytest.mark.parametrize("flags", [
    ["--threads", "1"], ["--threads", "3"], ["--memory", "200MiB"], ["--memory", "1GiB", "--threads", "1"],
    ["--memory", "200MiB", "--threads", "3"], [],
], ids=" ".join)
def test_budget_and_threads_do_not_change_a_byte(reference, tmp_path, flags):
    cfg, want = reference
    got = harness.run_ok(harness.merged(cfg, {"output.dir": str(tmp_path / "run")}), tmp_path, *flags)
    assert differing(harness.fingerprint(got), want) == []


@pytest.mark.parametrize("flags", [["--threads", "1"], ["--memory", "200MiB", "--threads", "3"]], ids=" ".join)
def test_dense_storage_does_not_depend_on_budget_or_threads(reference, tmp_path_factory, tmp_path, flags):
    cfg = harness.merged(reference[0], {"features.storage": "dense"})
    plain = getattr(tmp_path_factory, "phase0_dense", None)
    if plain is None:
        where = tmp_path_factory.mktemp("dense")
        plain = harness.run_ok(harness.merged(cfg, {"output.dir": str(where / "run")}), where)
        tmp_path_factory.phase0_dense = plain
    got = harness.run_ok(harness.merged(cfg, {"output.dir": str(tmp_path / "run")}), tmp_path, *flags)
    assert differing(harness.fingerprint(got), harness.fingerprint(plain)) == []


def stage_plans(cfg, where, *flags):
    result = harness.run_config(cfg, where, *flags, "--json", command="plan")
    assert result.code == 0, str(result)
    return {stage["stage"]: stage for stage in json.loads(result.out)["stages"]}


def test_covariance_in_parts_does_not_change_a_byte(tmp_path):
    """In the least memory that works, the covariance takes several scans and a scratch file."""
    path = latents.write(tmp_path / "latents.h5", latents.make(seed=3, dim=96))
    cfg = harness.merged(harness.base_config(path, tmp_path / "roomy"), {"context.window_size": 40})
    roomy = stage_plans(cfg, tmp_path, "--memory", "1GiB")
    budget = f"{max(stage['minimum_memory_bytes'] for stage in roomy.values())}B"
    small = stage_plans(cfg, tmp_path, "--memory", budget)["fit"]
    assert small["passes_min"] >= roomy["fit"]["passes_min"] + 2 * len(cfg["context"]["lags"])  # 3 parts or more
    assert small["disk_bytes"] > 40 * 41 // 2 * 96 * 96 * 8 > roomy["fit"]["disk_bytes"]
    want = harness.run_ok(cfg, tmp_path, "--memory", "1GiB")
    got = harness.run_ok(harness.merged(cfg, {"output.dir": str(tmp_path / "small")}), tmp_path, "--memory", budget)
    assert differing(harness.fingerprint(got), harness.fingerprint(want)) == []
    with h5py.File(got / "models.h5") as f:
        assert f["lag1/pca4_vq24/pca"].attrs["method"] == "covariance"
    fitted = json.loads((got / "run.json").read_text())["stages"]["fit"]
    assert fitted["peak_rss_bytes"] <= fitted["budget_bytes"]


@pytest.mark.parametrize("writer", [{"storage": "zstd"}, {"storage": "gzip"}, {"storage": "chunked"}], ids=str)
def test_storage_of_the_input_does_not_change_a_byte(reference, small_corpus, tmp_path, writer):
    cfg, want = reference
    path = latents.write(tmp_path / "latents.h5", small_corpus, **writer)
    got = harness.run_ok(harness.merged(cfg, {"data.latents": str(path), "output.dir": str(tmp_path / "run")}), tmp_path)
    assert differing(harness.fingerprint(got), want) == []


def test_float64_input_with_float32_values_is_the_same(reference, small_corpus, tmp_path):
    cfg, want = reference
    rounded = small_corpus.map(lambda _, x: x.astype(np.float32).astype(np.float64))
    path = latents.write(tmp_path / "latents.h5", rounded, dtype="f8")
    got = harness.run_ok(harness.merged(cfg, {"data.latents": str(path), "output.dir": str(tmp_path / "run")}), tmp_path)
    assert differing(harness.fingerprint(got), want) == []


def test_dense_and_window_agree_to_rounding(reference, small_run, tmp_path):
    cfg, window_dir, _ = small_run
    dense_dir = harness.run_ok(harness.merged(cfg, {"features.storage": "dense", "output.dir": str(tmp_path / "run")}),
                               tmp_path)
    rows = [harness.read_csv(d / "metrics.csv") for d in (window_dir, dense_dir)]
    assert len(rows[0]) == len(rows[1]) > 500
    for a, b in zip(*rows):
        assert {k: a[k] for k in a if k != "value"} == {k: b[k] for k in b if k != "value"}
        if a["metric"] == "entropy_reduction":
            continue  # (H - Hc) / H with H near 0 magnifies rounding without bound; H and Hc are compared themselves
        assert harness.close(harness.number(a["value"]), harness.number(b["value"]), rel=1e-5, abs_=1e-6), (a, b)
    with h5py.File(window_dir / "assignments.h5") as w, h5py.File(dense_dir / "assignments.h5") as d:
        name = "lag1/mean_vq16/train/cluster"
        assert (w[name][()] == d[name][()]).mean() > 0.999


def test_eval_data_do_not_touch_the_models(reference, small_corpus, tmp_path):
    cfg, names = reference[0], small_corpus.speaker_names
    cfg = harness.merged(cfg, {"splits.n_train_speakers": ..., "splits.n_eval_speakers": ...})
    for key, members in (("train", names[::2]), ("eval", names[1::2])):
        (tmp_path / f"{key}.txt").write_text("\n".join(members) + "\n")
        cfg["splits"][f"{key}_speakers_file"] = str(tmp_path / f"{key}.txt")
    rng, ev, found = np.random.default_rng(9), set(names[1::2]), []
    for changed in (False, True):
        where = tmp_path / str(changed)
        where.mkdir()
        corpus = small_corpus
        if changed:
            corpus = small_corpus.map(lambda i, x: rng.standard_normal(x.shape) * 40
                                      if small_corpus.speakers[i] in ev else x)
            corpus = dataclasses.replace(corpus, energies=[
                e[::-1] * 3 if s in ev else e for e, s in zip(corpus.energies, corpus.speakers)])
        path = latents.write(where / "latents.h5", corpus)
        found.append(harness.run_ok(harness.merged(cfg, {"data.latents": str(path), "output.dir": str(where / "run")}),
                                    where))
    a, b = (harness.datasets(d / "models.h5") for d in found)
    assert differing(a, b) == []
    a, b = (harness.datasets(d / "assignments.h5") for d in found)
    moved = differing(a, b)
    assert moved and all("/eval/" in name for name in moved)


def test_another_seed_changes_the_result(reference, tmp_path):
    """Guards the comparisons above: the fingerprint does see a difference."""
    cfg, want = reference
    got = harness.run_ok(harness.merged(cfg, {"seed": 8, "output.dir": str(tmp_path / "run")}), tmp_path)
    assert "models/lag1/mean_vq16/kmeans/centroids" in differing(harness.fingerprint(got), want)


def test_run_equals_the_three_stages(reference, tmp_path):
    cfg, want = reference
    cfg = harness.merged(cfg, {"output.dir": str(tmp_path / "run")})
    steps = [("collect", "features.h5", "models.h5"), ("fit", "assignments.h5", "metrics.json"),
             ("analyze", "metrics.json", None)]
    for command, made, not_yet in steps:
        run_dir = harness.run_ok(cfg, tmp_path, command=command)
        assert (run_dir / made).exists() and not (not_yet and (run_dir / not_yet).exists())
    assert differing(harness.fingerprint(run_dir), want) == []


H5 = ("features.h5", "models.h5", "assignments.h5")


def stamps(run_dir):
    return {name: ((run_dir / name).stat().st_mtime_ns, (run_dir / name).stat().st_ino) for name in H5}


def test_second_run_resumes_and_fresh_does_it_again(reference, tmp_path):
    cfg, want = reference
    cfg = harness.merged(cfg, {"output.dir": str(tmp_path / "run")})
    run_dir = harness.run_ok(cfg, tmp_path)
    before = stamps(run_dir)
    harness.run_ok(cfg, tmp_path)
    assert stamps(run_dir) == before
    assert differing(harness.fingerprint(run_dir), want) == []
    harness.run_ok(cfg, tmp_path, "--fresh")
    assert all(stamps(run_dir)[name] != before[name] for name in H5)
    assert differing(harness.fingerprint(run_dir), want) == []


@pytest.mark.parametrize("change", [
    {"seed": 8}, {"context.window_size": 5}, {"clustering.kmeans.n_init": 1}, {"clustering.min_cluster_size": 150},
    {"splits.seed": 12}, {"metrics.permutations": 5}, {"clustering.pca_method": "incremental_svd"},
], ids=str)
def test_a_changed_configuration_never_resumes_stale_results(reference, small_run, tmp_path, change):
    """In a used run directory a changed configuration either is refused or gives what a new directory gives."""
    old = harness.merged(reference[0], {"output.dir": str(tmp_path / "used")})
    harness.run_ok(old, tmp_path)
    result = harness.run_config(harness.merged(old, change), tmp_path)
    if result.code == 2:
        assert "fresh" in result.err
        return
    assert result.code == 0, str(result)
    clean = harness.run_ok(harness.merged(old, {**change, "output.dir": str(tmp_path / "clean")}), tmp_path)
    assert differing(harness.fingerprint(tmp_path / "used"), harness.fingerprint(clean)) == []


def test_changed_input_is_not_resumed(reference, small_corpus, tmp_path):
    path = latents.write(tmp_path / "latents.h5", small_corpus)
    cfg = harness.merged(reference[0], {"data.latents": str(path), "output.dir": str(tmp_path / "run")})
    harness.run_ok(cfg, tmp_path)
    time.sleep(0.02)
    latents.write(path, small_corpus.map(lambda _, x: x[:, ::-1] * 2))
    result = harness.run_config(cfg, tmp_path)
    if result.code != 0:
        assert result.code in (2, 3) and "fresh" in result.err, str(result)
        return
    clean = harness.run_ok(harness.merged(cfg, {"output.dir": str(tmp_path / "clean")}), tmp_path)
    assert differing(harness.fingerprint(tmp_path / "run"), harness.fingerprint(clean)) == []


# ---- interruptions


@pytest.fixture(scope="module")
def slow(small_latents, tmp_path_factory, binary):
    """(configuration, seconds, fingerprint) of a run that takes long enough to be interrupted."""
    where = tmp_path_factory.mktemp("slow")
    cfg = harness.base_config(small_latents, where / "run")
    cfg["clustering"]["kmeans"] = {"n_init": 10, "max_iter": 150, "tol": 0.0, "restarts_on": "all"}
    cfg["clustering"]["min_cluster_size"] = 5
    cfg["clustering"]["conditions"] = [{"name": "vq", "type": "mean_pool_vq", "k": 200},
                                       {"name": "pvq", "type": "pca_vq", "pca_dim": 8, "k": 200}]
    cfg["metrics"]["permutations"] = 40
    start = time.monotonic()
    run_dir = harness.run_ok(cfg, where)
    return cfg, time.monotonic() - start, harness.fingerprint(run_dir)


def start_and_signal(cfg, where, after, signum):
    """Exit code of a run that gets `signum` after `after` seconds (negative: the number of the signal)."""
    path = harness.write_config(where / "config-in.yaml", cfg)
    process = subprocess.Popen([str(harness.BINARY), "run", "-c", str(path), "--progress", "none"],
                               stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL)
    time.sleep(after)
    process.send_signal(signum)
    err = process.communicate(timeout=harness.TIMEOUT)[1]
    return process.returncode, err.decode()


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM], ids=["INT", "TERM"])
def test_signal_ends_with_6_and_the_resumed_run_has_the_same_bytes(slow, tmp_path, signum):
    cfg, seconds, want = slow
    cfg = harness.merged(cfg, {"output.dir": str(tmp_path / "run")})
    for share in (0.1, 0.2):  # each start goes on from the last: both well before the end, also on a busy machine
        start = time.monotonic()
        code, err = start_and_signal(cfg, tmp_path, share * seconds, signum)
        assert code == 6, err
        assert "resume" in err.lower() or "interrupt" in err.lower()
        assert time.monotonic() - start < share * seconds + 10  # answers soon
    run_dir = harness.run_ok(cfg, tmp_path)
    assert differing(harness.fingerprint(run_dir), want) == []


def check_final_files(run_dir):
    """Whatever stands under a final name is whole."""
    for name in H5:
        if (run_dir / name).exists():
            assert harness.datasets(run_dir / name)
    for name in ("metrics.json", "decision.json", "run.json"):
        if (run_dir / name).exists():
            json.loads((run_dir / name).read_text())


def test_killed_at_any_instant_ends_with_the_same_bytes(slow, tmp_path):
    cfg, seconds, want = slow
    cfg = harness.merged(cfg, {"output.dir": str(tmp_path / "run")})
    moments = random.Random(4)
    for _ in range(5):
        start_and_signal(cfg, tmp_path, moments.uniform(0.01, 0.9) * seconds, signal.SIGKILL)
        check_final_files(tmp_path / "run")
    run_dir = harness.run_ok(cfg, tmp_path)
    assert differing(harness.fingerprint(run_dir), want) == []
