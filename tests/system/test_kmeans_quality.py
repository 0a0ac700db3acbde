"""k-means of the binary against scikit-learn with the same restarts, iterations and tolerance on the same features."""

import h5py
import harness
import latents
import numpy as np
import pytest
from sklearn.cluster import KMeans

N, D, K = 6000, 8, 16
N_INIT, MAX_ITER, TOL = 10, 100, 1e-4
ALLOWED = 1.01  # of scikit-learn's best inertia


def blobs(rng):
    centres = rng.uniform(-10, 10, (K, D))
    return centres[rng.integers(0, K, N)] + rng.standard_normal((N, D))


def uniform(rng):
    return rng.uniform(-1, 1, (N, D))


def anisotropic(rng):
    return blobs(rng) @ (rng.standard_normal((D, D)) * np.geomspace(0.05, 3, D)) + 50


def heavy_tailed(rng):
    return rng.standard_t(3, (N, D))


SHAPES = {f.__name__: f for f in (blobs, uniform, anisotropic, heavy_tailed)}
DEMO = harness.ROOT / "data" / "demo" / "latents.h5"


def config(name, path, run_dir):
    cfg = harness.base_config(path, run_dir)
    cfg["data"]["min_duration_sec"] = 0.0
    cfg["features"]["storage"] = "dense"  # so that the features that were clustered can be read back
    cfg["clustering"]["kmeans"] = {"n_init": N_INIT, "max_iter": MAX_ITER, "tol": TOL, "restarts_on": "all"}
    cfg["clustering"]["conditions"] = [{"name": "vq", "type": "mean_pool_vq", "k": K}]
    window = 8 if name == "demo" else 1  # a window of one frame: the mean is the planted point itself
    cfg["context"] = {"window_size": window, "lags": [1]}
    cfg["splits"].update(n_train_speakers=6, n_eval_speakers=2)
    return cfg


@pytest.fixture(scope="module", params=[*SHAPES, "demo"])
def data(request, tmp_path_factory):
    """(configuration, folder, features, scikit-learn's best inertia)"""
    where = tmp_path_factory.mktemp(request.param)
    if request.param == "demo":
        if not DEMO.exists():
            pytest.skip("no demo latents")
        path = DEMO
    else:
        frames = SHAPES[request.param](np.random.default_rng(17))
        path = latents.write(where / "latents.h5", latents.from_frames(frames, 10, 4))
    cfg = config(request.param, path, where / "all")
    harness.run_ok(cfg, where, command="collect")
    with h5py.File(where / "all" / "features.h5", "r") as f:
        x = f["train/lag1/mean"][()]
    reference = KMeans(K, n_init=N_INIT, max_iter=MAX_ITER, tol=TOL, random_state=0, algorithm="lloyd").fit(x)
    return cfg, where, x, reference.inertia_


@pytest.mark.parametrize("restarts_on", ["all", "sample"])
def test_inertia_is_within_one_percent_of_scikit_learn(data, restarts_on):
    cfg, where, x, reference = data
    cfg = harness.merged(cfg, {"clustering.kmeans.restarts_on": restarts_on, "output.dir": str(where / restarts_on)})
    harness.run_ok(cfg, where, command="collect")
    run_dir = harness.run_ok(cfg, where, command="fit")
    with h5py.File(run_dir / "models.h5", "r") as f:
        g = f["lag1/vq/kmeans"]
        centroids, inertia = g["centroids"][()].astype(float), g.attrs["inertia"]
    brute = ((x[:, None, :].astype(float) - centroids[None]) ** 2).sum(axis=2).min(axis=1).sum() if len(x) < 10000 \
        else sum(((row - centroids) ** 2).sum(axis=1).min() for row in x.astype(float))
    assert inertia == pytest.approx(brute, rel=1e-6)
    assert inertia <= ALLOWED * reference
