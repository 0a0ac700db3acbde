"""The oracle against cases worked out by hand. Needs no binary."""

import latents
import numpy as np
import oracle
import oracle_metrics as om
import pytest


def tiny(tmp_path, layout="A"):
    """Two speakers, D = 1; speaker b has an utterance too short to be kept."""
    x = [np.array([0, 1, 3, 6, 10.0])[:, None], np.array([5, 5, 6, 8.0])[:, None], np.array([1.0])[:, None]]
    e = [np.array([1, 2, 3, 4, 5], np.float32), np.array([9, 0, 9, 0], np.float32), np.array([7], np.float32)]
    corpus = latents.Corpus(["u2", "u1", "u0"], ["a", "b", "b"], x, e, rate=1.0)
    path = latents.write(tmp_path / "l.h5", corpus, layout=layout)
    cfg = {"data": {"min_duration_sec": 2.0}, "context": {"window_size": 2, "lags": [1, 2]}}
    return oracle.Samples(path, cfg, {"a"}, {"b"})


def test_rows_by_hand(tmp_path):
    s = tiny(tmp_path)
    train, ev = s.rows["train"], s.rows["eval"]
    assert oracle.first_t(2, [1, 2]) == 3  # W - 1 + Lmax
    assert oracle.first_t(1, [1]) == 1
    assert train.t.tolist() == [3, 4] and train.utterance.tolist() == [0, 0]
    assert train.delta[:, 0].tolist() == [3, 4]
    assert np.allclose(train.pos_frac, [0.6, 0.8])
    assert s.median_energy == 3 and train.high_energy.tolist() == [True, True]
    assert ev.t.tolist() == [3] and ev.utterance.tolist() == [1] and ev.high_energy.tolist() == [False]


def test_features_by_hand(tmp_path):
    s = tiny(tmp_path)
    assert s.flat("train", 1).tolist() == [[1, 3], [3, 6]]  # e = 2, 3
    assert s.flat("train", 2).tolist() == [[0, 1], [1, 3]]
    assert s.mean("train", 1)[:, 0].tolist() == [2, 4.5]
    mu, sigma = s.normaliser()
    assert mu[0] == 3.5 and sigma[0] == 0.5
    assert s.normalised("train")[:, 0].tolist() == [-1, 1]
    assert s.normalised("eval")[:, 0].tolist() == [(2 - 3.5) / 0.5]


def test_layout_b_is_in_byte_order_of_the_id(tmp_path):
    s = tiny(tmp_path, layout="B")
    assert [u.id for u in s.utterances] == ["u0", "u1", "u2"]
    assert s.rows["train"].utterance.tolist() == [2, 2]


def test_pca_by_hand():
    x = np.array([[3, 0], [-3, 0], [0, 1], [0, -1]], dtype=np.float32) + np.float32(5)
    p = oracle.pca(x, 2)
    assert np.allclose(p.mean, 5) and np.allclose(p.explained_variance, [18 / 3, 2 / 3])
    assert np.allclose(p.explained_variance_ratio, [0.9, 0.1])
    assert np.allclose(p.components, [[1, 0], [0, 1]])  # signs: largest loading positive
    assert np.allclose(p.scores(x)[0], [3, 0])


def test_quartiles_by_hand():
    scores = np.array([[0.0], [1.0], [2.0], [3.0], [4.0]])
    edges = oracle.quartile_edges(scores)
    assert edges.tolist() == [[1, 2, 3]]
    assert oracle.quartile_ids(scores, edges).tolist() == [0, 1, 2, 3, 3]  # an edge counts when edge <= score
    assert oracle.quartile_edges(scores[:2]).tolist() == [[0.25, 0.5, 0.75]]
    two = np.array([[0.0, 9.0]])
    assert oracle.quartile_ids(two, np.array([[1, 2, 3.0], [1, 2, 3.0]])).tolist() == [12]  # 0 + 3 * 4


def test_nearest_is_exact():
    c = np.array([[0.0], [2.0], [2.0]], dtype=np.float32)
    x = np.array([[1.0], [1.5], [-1.0]], dtype=np.float32)
    assert oracle.nearest(x, c).tolist() == [0, 1, 0]  # tie of 0 and 1; tie of 1 and 2
    up = np.nextafter(np.float32(10001), np.float32(2e4))
    assert oracle.nearest(np.array([[up]], np.float32), np.array([[10000], [10002]], np.float32)).tolist() == [1]
    assert oracle.distances(x, c, np.array([0, 1, 0])).tolist() == [1, 0.5, 1]


def test_nearest_equals_direct_differences():
    rng = np.random.default_rng(0)
    x = (rng.standard_normal((500, 7)) + 1e4).astype(np.float32)
    c = x[::50].copy()
    direct = ((x[:, None, :].astype(float) - c[None].astype(float)) ** 2).sum(axis=2).argmin(axis=1)
    assert (oracle.nearest(x, c) == direct).all()


Z = np.array([[0.0], [2.0], [10.0], [12.0]])
IDS = np.array([0, 0, 1, 1])


def test_variance_ratio_by_hand():
    assert om.sse(Z, IDS) == (4.0, 104.0)  # within: 1+1+1+1; total about 6: 36+16+16+36
    assert om.variance_ratio(Z, IDS) == pytest.approx(4 / 104)
    assert om.adjusted_ratio(Z, IDS, 2) == pytest.approx((4 / 2) / (104 / 3))
    assert om.variance_ratio(np.ones((3, 1)), np.array([0, 1, 1])) is None


def test_entropy_by_hand():
    h, hc = om.entropies(Z, IDS)
    assert h == pytest.approx(0.5 * np.log(26)) and hc == pytest.approx(0.0)  # variances 26; 1 and 1
    _, hc = om.entropies(Z, np.array([0, 1, 1, 1]))  # the single row has no variance and no weight
    assert hc == pytest.approx(0.5 * np.log(np.var([2, 10, 12])))
    assert om.entropy(np.zeros((2, 3))) == pytest.approx(1.5 * np.log(1e-10))


def test_split_metrics_by_hand():
    z = np.repeat(np.array([[0.0], [2.0], [10.0], [12.0], [99.0]]), 50, axis=0)
    ids = np.repeat([0, 0, 1, 1, 2], 50)
    speakers = np.array((["p"] * 25 + ["q"] * 25) * 5, dtype=object)
    m = om.split_metrics(z, ids, speakers, np.ones(250, bool), np.array([True, True, False]))
    assert m["n_samples"] == 200 and m["n_samples_total"] == 250 and m["excluded_mass"] == pytest.approx(0.2)
    assert m["variance_ratio"] == pytest.approx(4 / 104)
    assert m["n_speakers"] == 2 and m["speaker_mean"] == pytest.approx(4 / 104)
    assert m["speaker_std"] == pytest.approx(0) and m["speaker_ci_lower"] == pytest.approx(4 / 104)
    assert m["entropy_reduction_nats"] == pytest.approx(0.5 * np.log(26))
    assert m["entropy_reduction"] == pytest.approx(1.0)


def test_speaker_interval_by_hand():
    s = om.speaker_summary([0.4, 0.6])
    assert s["speaker_mean"] == pytest.approx(0.5) and s["speaker_std"] == pytest.approx(0.1)
    half = 12.7062047 * (0.1 * np.sqrt(2)) / np.sqrt(2)  # t(0.975, 1)
    assert s["speaker_ci_upper"] == pytest.approx(0.5 + half)
    assert om.speaker_summary([0.4])["speaker_ci_lower"] is None
    assert om.speaker_summary([])["speaker_mean"] is None


def test_few_rows_per_speaker_are_left_out():
    speakers = np.array(["a"] * 50 + ["b"] * 49, dtype=object)
    z = np.arange(99.0)[:, None]
    assert list(om.speaker_ratios(z, np.zeros(99, int), speakers)) == ["a"]


def test_confidence_by_hand():
    curve = om.confidence_curve(Z, IDS, np.array([0.5, 0.1, 0.1, 0.9]))
    assert [m for _, m, _ in curve] == [1, 1, 2, 2, 2, 3, 3, 4, 4, 4]  # ceil(q n / 100)
    assert curve[0][2] is None  # one row has no variance
    assert curve[2][2] == pytest.approx(0)  # rows 1 and 2, alone in their clusters
    assert curve[5][2] == pytest.approx(2 / om.sse(Z[:3], IDS[:3])[1])  # then row 0
    assert curve[9][2] == pytest.approx(4 / 104)


def test_slices_by_hand():
    rows = oracle.Rows(None, np.arange(3), None, np.array([10 / 100, 80 / 100, 81 / 100]), None,
                       np.array([True, False, True]), None)
    assert om.slice_mask(None, rows).all()
    assert om.slice_mask("energy_above_median", rows).tolist() == [True, False, True]
    assert om.slice_mask("pos_frac_0.1_0.8", rows).tolist() == [True, True, False]  # both ends count


def test_effective_clusters_by_hand():
    assert om.effective_clusters(np.array([0, 0, 2]), 4, 2).tolist() == [True, False, False, False]
    assert om.effective_clusters(np.array([0, 0, 2]), 4, 1).tolist() == [True, False, True, False]


def test_permutations_average_to_n_minus_k():
    rng = np.random.default_rng(3)
    z, ids = rng.standard_normal((400, 3)), rng.integers(0, 40, 400)
    r = om.permutation_ratios(z, ids, {"all": np.ones(400, bool)}, np.ones(40, bool), 200, 1)["all"]
    assert r.mean() == pytest.approx(360 / 399, abs=4 * r.std() / np.sqrt(200))


def cell(slice_name="all", lag=1, train=0.5, ev=0.55, deg=0.1, base=1.0, base_eval=1.0, condition="c"):
    return dict(condition=condition, lag=lag, slice=slice_name, train=dict(variance_ratio=train),
                eval=dict(variance_ratio=ev), cross_speaker_degradation=deg,
                random_baseline_variance_ratio=base, random_baseline_eval_variance_ratio=base_eval)


@pytest.mark.parametrize("change, expected", [
    ({}, True), (dict(train=0.61), False), (dict(ev=0.61), False), (dict(deg=0.21), False),
    (dict(base=0.94), False), (dict(base_eval=1.06), False), (dict(ev=None), False),
    (dict(lag=2, train=0.99), True),
])
def test_decision_by_hand(change, expected):
    cells = [cell(), cell("late", train=0.64, ev=0.64, deg=9)]
    cells[0] = cell(**{k: v for k, v in change.items()}) if change.get("lag") != 2 else cells[0]
    extra = [cell(**change)] if change.get("lag") == 2 else []
    assert om.decide(cells + extra, {}) == {"c": expected}
    assert om.decide(cells + [cell("other", train=0.66)], {}) == {"c": False}
