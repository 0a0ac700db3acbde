"""A stage that takes more memory than was planned: over 85 % it keeps less in flight, over the budget it stops, to be resumed."""

import json
import os
import re
from pathlib import Path

import harness
import latents
import pytest

MIB = 1 << 20
LIBRARY = os.environ.get("PHASE0_MEMORY_HOG")
BUDGET = 72 * MIB  # leaves k-means no room for a copy of its rows: it reads them until the end
SOME_READS = 400  # into k-means, with most of its passes still to come

pytestmark = pytest.mark.skipif(not LIBRARY, reason="PHASE0_MEMORY_HOG names no library")


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    where = tmp_path_factory.mktemp("overshoot")
    corpus = latents.make(seed=5, n_speakers=24, utterances_each=6, mean_frames=400, dim=256)
    path = latents.write(where / "latents.h5", corpus)
    return harness.merged(harness.base_config(path, where / "run"), {
        "memory.budget": f"{BUDGET}B", "features.storage": "window", "context.lags": [1],
        "clustering.conditions": [{"name": "mean_vq64", "type": "mean_pool_vq", "k": 64}],
        "clustering.kmeans": {"n_init": 4, "max_iter": 40, "tol": 0, "restarts_on": "all"}})


def run(cfg, where, hog_bytes=0):
    env = dict(os.environ, XDG_CACHE_HOME=str(where / "cache"))
    if hog_bytes:
        env.update(LD_PRELOAD=LIBRARY, PHASE0_HOG_AT=str(SOME_READS), PHASE0_HOG_BYTES=str(hog_bytes),
                   PHASE0_HOG_DELAY_MS="2")
    path = harness.write_config(where / "config-in.yaml", cfg)
    return harness.run("run", "-c", path, "-v", "--progress", "none", env=env)


@pytest.fixture(scope="module")
def reference(config, tmp_path_factory):
    """(fingerprint, peak bytes of fit) of an undisturbed run."""
    result = run(config, tmp_path_factory.mktemp("reference"))
    assert result.code == 0, str(result)
    assert "memory is short" not in result.err
    folder = Path(config["output"]["dir"])
    return harness.fingerprint(folder), json.loads((folder / "run.json").read_text())["stages"]["fit"]["peak_rss_bytes"]


def test_over_the_budget_it_stops_says_what_grew_and_can_be_resumed(config, reference, tmp_path):
    want, _ = reference
    cfg = harness.merged(config, {"output.dir": str(tmp_path / "run")})
    result = run(cfg, tmp_path, BUDGET)
    assert result.code == 4, str(result)
    line = next(line for line in result.err.splitlines() if "over the memory budget" in line)
    now, before = re.search(r"heap ([0-9.]+) MiB \(was ([0-9.]+) MiB\)", line).groups()
    assert float(now) > float(before) + 0.75 * BUDGET / MIB, line
    assert f"{BUDGET / MIB:.1f} MiB allowed" in line and "resume" in line, line
    assert not (tmp_path / "run" / "models.h5").exists() and not (tmp_path / "run" / "assignments.h5").exists()
    result = run(cfg, tmp_path)
    assert result.code == 0, str(result)
    assert "collect: already done" in result.err
    assert harness.fingerprint(tmp_path / "run") == want


def test_near_the_budget_it_keeps_less_in_flight_and_ends_with_the_same_bytes(config, reference, tmp_path):
    want, peak = reference
    cfg = harness.merged(config, {"output.dir": str(tmp_path / "run")})
    result = run(cfg, tmp_path, int(0.93 * BUDGET) - peak)
    assert result.code == 0, str(result)
    assert re.search(r"memory is short: .* at most \d+ block", result.err), result.err
    assert harness.fingerprint(tmp_path / "run") == want
