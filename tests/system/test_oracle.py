"""Samples and models of the binary against the float64 oracle (spec sections 3 and 4)."""

import harness
import numpy as np
import oracle
import pytest
from cases import CELLS, SPLITS, feature_matrix, ids, once

VQ_CELLS = [c for c in CELLS if not c[0].endswith("quartile")]
PCA_CELLS = [c for c in CELLS if c[0].startswith("pca")]

# ---- collect


@pytest.mark.parametrize("split", SPLITS)
def test_rows_and_flags(case, split):
    want, got = case.samples.rows[split], case.features[f"{split}/rows"]
    assert len(want) > 1000
    assert {k: (got[k].dtype.str, got[k].shape) for k in ("utterance", "t", "speaker", "pos_frac", "high_energy")} == {
        "utterance": ("<i4", (len(want),)), "t": ("<i4", (len(want),)), "speaker": ("<i4", (len(want),)),
        "pos_frac": ("<f4", (len(want),)), "high_energy": ("|u1", (len(want),))}
    assert (got["utterance"][()] == want.utterance).all()
    assert (got["t"][()] == want.t).all()
    names = np.array(harness.strings(case.features["speakers/name"]), dtype=object)
    assert (names[got["speaker"][()]] == want.speaker).all()
    assert (got["pos_frac"][()] == want.pos_frac.astype(np.float32)).all()
    assert (got["energy"][()] == want.energy).all() and got["energy"].dtype == np.float32
    assert (got["high_energy"][()] == want.high_energy).all()
    assert 0.2 < want.high_energy.mean() < 0.8


def test_utterances_and_attributes(case):
    f, s = case.features, case.samples
    assert f.attrs["format"] in ("phase0-features", b"phase0-features") and f.attrs["version"] == 1
    assert f.attrs["window_size"] == s.window and f.attrs["dim"] == s.dim
    assert np.atleast_1d(f.attrs["lags"]).tolist() == s.lags
    storage = f.attrs["storage"]
    assert (storage.decode() if isinstance(storage, bytes) else storage) == case.storage
    assert harness.strings(f["utterances/id"]) == [u.id for u in s.utterances]
    assert f["utterances/n_frames"][()].tolist() == [len(u.x) for u in s.utterances]
    split = np.zeros(len(s.utterances), int)
    split[s.kept["train"]], split[s.kept["eval"]] = 1, 2
    assert f["utterances/split"].dtype == np.uint8 and (f["utterances/split"][()] == split).all()
    assert (split == 0).any() and f["utterances/n_frames"].dtype == np.int64


@pytest.mark.parametrize("split", SPLITS)
def test_features(case, split):
    g, s = case.features[split], case.samples
    if case.storage == "dense" or "delta" in g:
        assert g["delta"].dtype == np.float32 and (g["delta"][()] == s.rows[split].delta).all()
    for lag in s.lags:
        if case.storage == "window":
            assert f"lag{lag}" not in g
            continue
        assert (g[f"lag{lag}/flat"][()] == s.flat(split, lag)).all()
        mean = g[f"lag{lag}/mean"][()]
        assert mean.dtype == np.float32
        np.testing.assert_array_max_ulp(mean, s.mean(split, lag), maxulp=1)


# ---- fit


@pytest.mark.parametrize("lag", [1, 3])
def test_normaliser(case, lag):
    mu, sigma = case.samples.normaliser()
    g = case.models[f"lag{lag}/norm"]
    assert g["mu"].dtype == g["sigma"].dtype == np.float64
    np.testing.assert_allclose(g["sigma"][()], sigma, rtol=1e-6)
    # mu is near 0 beside sigma: its error is measured in sigmas
    assert (np.abs(g["mu"][()] - mu) <= 1e-6 * np.abs(mu) + 1e-9 * sigma).all()
    where = g if "n_samples" in g.attrs else g["mu"]
    assert where.attrs["n_samples"] == len(case.samples.rows["train"])


@pytest.mark.parametrize("name, lag", PCA_CELLS)
def test_pca(case, name, lag):
    g = case.models[f"lag{lag}/{name}/pca"]
    components = g["components"][()].astype(float)
    k, f = components.shape
    flat = case.samples.flat("train", lag)
    # pca4 and pca3 share their leading components: one decomposition serves both
    full = once(case, ("pca", lag), lambda: oracle.pca(flat, 4))
    assert (k, f) == (int(name[3]), case.samples.window * case.samples.dim)
    scale = np.sqrt(full.explained_variance.max())
    np.testing.assert_allclose(g["mean"][()], full.mean, rtol=1e-6, atol=1e-6 * scale)
    assert np.linalg.svd(components @ full.components[:k].T, compute_uv=False).min() >= 1 - 1e-6
    np.testing.assert_allclose(components @ components.T, np.eye(k), atol=1e-5)
    np.testing.assert_allclose(g["explained_variance"][()], full.explained_variance[:k], rtol=1e-5)
    np.testing.assert_allclose(g["explained_variance_ratio"][()], full.explained_variance_ratio[:k], rtol=1e-5)
    largest = components[np.arange(k), np.abs(components).argmax(axis=1)]
    assert (largest > 0).all()
    rows = [r for r in harness.read_csv(case.dir / "pca.csv") if (r["condition"], int(r["lag"])) == (name, lag)]
    assert [float(r["explained_variance"]) for r in rows] == g["explained_variance"][()].tolist()


def check_pca_vq_labels(x, centroids, got, distance):
    """The float32 scores are not in the files: rows whose best two centroids tie to rounding may differ."""
    c = centroids.astype(float)
    d = np.sqrt(((x[:, None, :] - c[None]) ** 2).sum(axis=2))
    best = d.min(axis=1)
    chosen = d[np.arange(len(x)), got]
    scale = np.sqrt((x.var(axis=0)).sum())
    assert (chosen <= best + 1e-6 * scale).all(), (chosen - best).max() / scale
    assert (got != d.argmin(axis=1)).mean() < 1e-3
    np.testing.assert_allclose(distance, chosen, rtol=1e-5, atol=2e-6 * scale)


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("name, lag", VQ_CELLS)
def test_nearest_centroid(case, name, lag, split):
    centroids = case.models[f"lag{lag}/{name}/kmeans/centroids"][()]
    got, distance = ids(case, name, lag, split), case.assignments[f"lag{lag}/{name}/{split}/distance"][()]
    assert (centroids.dtype, got.dtype, distance.dtype) == (np.float32, np.int32, np.float32)
    assert len(got) == len(distance) == len(case.samples.rows[split])
    if name.startswith("pca"):
        check_pca_vq_labels(feature_matrix(case, name, lag, split), centroids, got, distance)
        return
    dense = f"{split}/lag{lag}/mean"
    x = case.features[dense][()] if dense in case.features else feature_matrix(case, name, lag, split)
    assert (got == oracle.nearest(x, centroids)).all()
    np.testing.assert_allclose(distance, oracle.distances(x, centroids, got), rtol=1e-5)


def holdout_is_fitted(case):
    return case.cfg["clustering"].get("holdout", "report") == "report"


@pytest.mark.parametrize("name, lag", VQ_CELLS)
def test_kmeans_figures(case, name, lag):
    g = case.models[f"lag{lag}/{name}/kmeans"]
    x, got = feature_matrix(case, name, lag, "train"), ids(case, name, lag, "train")
    k = g["centroids"].shape[0]
    assert k == int(name.split("vq")[1]) and g["counts"].dtype == np.int64
    attrs = {**g.attrs}
    inertia = (oracle.distances(x, g["centroids"][()], got) ** 2).sum()
    assert 1 <= attrs["n_iter"] <= case.cfg["clustering"]["kmeans"]["max_iter"]
    if holdout_is_fitted(case):
        assert attrs["n_used"] <= attrs["n_total"] == len(x)
        assert (g["counts"][()] == np.bincount(got, minlength=k)).all()
        assert attrs["inertia"] == pytest.approx(inertia, rel=1e-6)
    else:
        assert attrs["n_used"] < len(x) and attrs["inertia"] < inertia
    if case.cfg["clustering"]["kmeans"]["restarts_on"] == "all" and holdout_is_fitted(case):
        assert attrs["n_used"] == len(x)


@pytest.mark.parametrize("name, lag", VQ_CELLS)
def test_centroids_are_near_their_means(case, name, lag):
    """At the stopping rule the centroids have all but stopped: each is close to the mean of its rows."""
    if not holdout_is_fitted(case):
        pytest.skip("the rows that were fitted are not in the files")
    g = case.models[f"lag{lag}/{name}/kmeans"]
    x, got = feature_matrix(case, name, lag, "train").astype(float), ids(case, name, lag, "train")
    means = np.array([x[got == k].mean(axis=0) for k in range(len(g["centroids"]))])
    shift = ((means - g["centroids"][()]) ** 2).sum()
    stopped = g.attrs["n_iter"] < case.cfg["clustering"]["kmeans"]["max_iter"]
    assert shift <= (1e-3 if stopped else 0.1) * x.var(axis=0).mean() * len(means)


@pytest.mark.parametrize("lag", [1, 3])
def test_quartiles(case, lag):
    name = "pca3_quartile"
    edges = case.models[f"lag{lag}/{name}/bins/edges"][()]
    assert edges.dtype == np.float32 and edges.shape == (3, 3)
    train = feature_matrix(case, name, lag, "train")
    scale = train.std(axis=0)
    assert (np.abs(edges - oracle.quartile_edges(train)) <= 2e-6 * scale[:, None]).all()
    for split in SPLITS:
        scores, got = feature_matrix(case, name, lag, split), ids(case, name, lag, split)
        near_edge = (np.abs(scores[:, :, None] - edges[None]) <= 2e-6 * scale[None, :, None]).any(axis=(1, 2))
        want = oracle.quartile_ids(scores, edges.astype(float))
        assert near_edge.mean() < 0.01 and (got == want)[~near_edge].all()
        assert (case.assignments[f"lag{lag}/{name}/{split}/distance"][()] == 0).all()
    got = ids(case, name, lag, "train")
    n = len(got)
    for i in range(3):  # exact percentiles: the counts below each edge follow from the ranks alone
        digit = got // 4 ** i % 4
        for q in (1, 2, 3):
            assert abs((digit < q).sum() - int(np.ceil(q * (n - 1) / 4))) <= 1
