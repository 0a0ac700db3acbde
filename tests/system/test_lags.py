"""Lags whose k-means goes together have what they have alone, in any budget, and a kill costs none that has ended."""

import os
import shutil

import h5py
import harness
import latents
import numpy as np
import pytest

DIM = 64


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """Short utterances of frames in a plane, for which k-means takes long; more rows than a sample."""
    rng = np.random.default_rng(5)
    axes = rng.standard_normal((2, DIM))
    frames = [rng.standard_normal((130, 2)) @ axes for _ in range(2400)]
    path = tmp_path_factory.mktemp("lags") / "latents.h5"
    latents.write(path, latents.Corpus(ids=[f"u{i:05d}" for i in range(len(frames))],
                                       speakers=[f"s{i % 10:02d}" for i in range(len(frames))], xs=frames,
                                       energies=[np.abs(rng.standard_normal(len(x))).astype("f4") for x in frames]))
    return path


def config(corpus, run_dir, lags, **changes):
    return harness.merged(harness.base_config(corpus, run_dir), {
        "data.min_duration_sec": 0.01, "context.window_size": 2, "context.lags": lags,
        "splits.n_train_speakers": 8, "splits.n_eval_speakers": 2, "metrics.permutations": 0,
        "clustering.conditions": [{"name": "vq", "type": "mean_pool_vq", "k": 6}],
        "clustering.kmeans": {"n_init": 3, "max_iter": 24, "tol": 1e-6, "restarts_on": "sample"}}  | changes)


def fit(cfg, where, *args, env=None):
    where.mkdir(exist_ok=True)
    path = harness.write_config(where / "config-in.yaml", cfg)
    if not (where / "run" / "features.h5").exists():
        assert harness.run("collect", "-c", path, "--progress", "none").code == 0
    return harness.run("fit", "-c", path, "--progress", "plain", *args, env=env)


def forget_fit(run_dir):
    shutil.rmtree(run_dir / "cache", ignore_errors=True)
    for name in ("models.h5", "assignments.h5"):
        (run_dir / name).unlink(missing_ok=True)


def results(run_dir, lag):
    """Every dataset of a lag."""
    found = {}
    for name in ("models.h5", "assignments.h5"):
        with h5py.File(run_dir / name) as file:
            file[f"lag{lag}"].visititems(
                lambda key, item: found.update({f"{name}/{key}": np.asarray(item[()]).tolist()})
                if isinstance(item, h5py.Dataset) else None)
    assert len(found) >= 5
    return found


LAGS = [3, 60, 1, 2]  # unsorted; some windows overlap


@pytest.mark.parametrize("changes", [{}, {"clustering.holdout": "exclude", "splits.utt_holdout_frac": 0.2}],
                         ids=["all", "holdout"])
def test_lags_have_the_same_bytes_together_and_one_by_one(corpus, tmp_path, changes):
    cfg = config(corpus, tmp_path / "run", LAGS, **changes)
    seen, want = set(), None
    # One by one; by twos; three and one; all; and each by itself on a copy of its rows.
    for mebibytes in (44, 48, 50, 64, 100):
        forget_fit(tmp_path / "run")
        result = fit(cfg, tmp_path, "--memory", f"{mebibytes}MiB", "--threads", "1")
        assert result.code == 0, (mebibytes, str(result))
        seen |= {line.split(":")[1] for line in result.err.splitlines() if ": refining on all rows" in line}
        got = {lag: results(tmp_path / "run", lag) for lag in LAGS}
        want = want or got
        assert got == want, mebibytes
    assert {" lags 3, 60, 1, 2", " lags 1, 2", " lag 3"} <= seen, seen


def test_a_kill_costs_no_lag_that_has_ended(corpus, tmp_path):
    cfg = config(corpus, tmp_path / "run", [1, 2], **{"clustering.kmeans.restarts_on": "all"})
    # Nothing but ends of parts is kept: the normaliser, then the first lag.
    killed = fit(cfg, tmp_path, "--checkpoint", "1000",
                 env={**os.environ, "PHASE0_KILL_AT": ".unit:folder_synced:2"})
    assert killed.code == -9
    assert "lag 2" not in killed.err
    again = fit(cfg, tmp_path)
    assert again.code == 0, str(again)
    assert "lag 1: vq: kept from an earlier start" in again.err
    assert "lag 2: vq: kept" not in again.err
