"""The helpers of the system tests, and one small run to compare with."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "system"))

import harness  # noqa: E402
import latents  # noqa: E402
import pytest  # noqa: E402


def small_config(path, run_dir):
    """Every kind of condition, and little work."""
    return harness.merged(harness.base_config(path, run_dir), {
        "context.lags": [1, 2], "clustering.min_cluster_size": 20, "metrics.permutations": 3,
        "clustering.kmeans.max_iter": 4, "splits.n_train_speakers": 6, "splits.n_eval_speakers": 3,
        "clustering.conditions": [
            {"name": "mean_vq8", "type": "mean_pool_vq", "k": 8},
            {"name": "pca3_vq6", "type": "pca_vq", "pca_dim": 3, "k": 6},
            {"name": "pca2_quartile", "type": "pca_quartile", "pca_dim": 2},
        ]})


@pytest.fixture(scope="session", params=["contiguous", "zstd"])
def reference(request, tmp_path_factory):
    """(configuration without its output folder, fingerprint) of an undisturbed run; staged from zstd or not."""
    where = tmp_path_factory.mktemp("reference")
    corpus = latents.make(seed=5, n_speakers=9, utterances_each=3, mean_frames=90, dim=12)
    writer = {} if request.param == "contiguous" else {"storage": request.param}
    path = latents.write(where / "latents.h5", corpus, **writer)
    cfg = small_config(path, where / "run")
    return cfg, harness.fingerprint(harness.run_ok(cfg, where))
