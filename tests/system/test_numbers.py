"""Data at the edge of what numbers can say: every run ends in a defined result or in a clear error."""

import csv
import json
import re

import h5py
import harness
import latents
import numpy as np
import oracle
import pytest
from test_bad_input import check_no_output, check_rejected, config

FRAMES = 60


def corpus(n_speakers=6, utterances_each=2, dim=3, change=lambda x: x) -> latents.Corpus:
    rng = np.random.default_rng(17)
    n = n_speakers * utterances_each
    xs = [change(rng.standard_normal((FRAMES, dim))) for _ in range(n)]
    return latents.Corpus([f"u{i:02d}" for i in range(n)], [f"s{i // utterances_each}" for i in range(n)], xs,
                          [rng.random(FRAMES).astype(np.float32) for _ in range(n)])


def settings(where, made, **changes):
    """The configuration of a run on `made`, with dense features for the oracle to read."""
    latents.write(where / "latents.h5", made)
    return config(where, **{"features.storage": "dense", "context.window_size": 2, "context.lags": [1], **changes})


def conditions(k=4, pca_dim=2):
    return {"clustering.conditions": [{"name": "vq", "type": "mean_pool_vq", "k": k},
                                      {"name": "pv", "type": "pca_vq", "pca_dim": pca_dim, "k": k},
                                      {"name": "pq", "type": "pca_quartile", "pca_dim": pca_dim}]}


def check_numbers(run_dir):
    """No NaN and no infinity anywhere: a number, or a field that is empty or null."""
    for name in harness.CSV_FILES:
        with open(run_dir / name, newline="") as f:
            for row in csv.reader(f):
                assert not [v for v in row if re.fullmatch(r"[+-]?(nan|inf|infinity)", v, re.I)], f"{name}: {row}"
    refuse = lambda word: pytest.fail(f"{word} in JSON")
    for name in ("metrics.json", "decision.json", "run.json"):
        json.loads((run_dir / name).read_text(), parse_constant=refuse)
    for name in ("report.html", "report.txt"):
        assert not re.search(r"(?<![a-z])(nan|inf)(?![a-z])", (run_dir / name).read_text(), re.I), name
    for name in ("features.h5", "models.h5", "assignments.h5"):
        with h5py.File(run_dir / name) as f:
            f.visititems(lambda key, item: isinstance(item, h5py.Dataset) and item.dtype.kind == "f" and
                         check_finite(f"{name}: {key}", item))


def check_finite(where, dataset):
    assert np.isfinite(dataset[()]).all(), where


def run(where, made, **changes):
    cfg = settings(where, made, **changes)
    run_dir = harness.run_ok(cfg, where)
    check_numbers(run_dir)
    return run_dir


def cells(run_dir, condition="vq"):
    return [c for c in json.loads((run_dir / "metrics.json").read_text()) if c["condition"] == condition]


def check_against_numpy(run_dir, lag=1):
    """Normaliser, labels, and centroids that are the means of their rows where the iterations came to an end."""
    with h5py.File(run_dir / "features.h5") as f, h5py.File(run_dir / "models.h5") as m, \
            h5py.File(run_dir / "assignments.h5") as a:
        delta = f["train/delta"][()].astype(np.float64)
        scale = np.abs(delta).max(axis=0)
        assert (np.abs(m[f"lag{lag}/norm/mu"][()] - delta.mean(axis=0)) <= 1e-12 * scale + 1e-300).all()
        sigma = np.maximum(delta.std(axis=0), 1e-6)
        assert np.allclose(m[f"lag{lag}/norm/sigma"][()], sigma, rtol=1e-9, atol=0)
        centroids = m[f"lag{lag}/vq/kmeans/centroids"][()]
        for split in ("train", "eval"):
            x = f[f"{split}/lag{lag}/mean"][()]
            ids = a[f"lag{lag}/vq/{split}/cluster"][()]
            assert (ids == oracle.nearest(x, centroids)).all()
            assert np.allclose(a[f"lag{lag}/vq/{split}/distance"][()], oracle.distances(x, centroids, ids), rtol=1e-5,
                               atol=2e-45)


def test_constant_dimensions(tmp_path):
    def change(x):
        x[:, 1] = 2.5
        return x
    run_dir = run(tmp_path, corpus(change=change), **conditions())
    check_against_numpy(run_dir)
    with h5py.File(run_dir / "models.h5") as m:
        assert m["lag1/norm/mu"][1] == 0 and m["lag1/norm/sigma"][1] == 1e-6
        loadings = m["lag1/pv/pca/components"][()].reshape(2, 2, 3)
        assert (np.abs(loadings[:, :, 1]) < 1e-6).all()
        assert (m["lag1/vq/kmeans/centroids"][()][:, 1] == 2.5).all()
    assert all(c["train"]["variance_ratio"] > 0 for c in cells(run_dir))


def test_all_dimensions_constant(tmp_path):
    run_dir = run(tmp_path, corpus(change=lambda x: np.full_like(x, -3.0)), **conditions())
    for condition in ("vq", "pv", "pq"):
        assert all(c[s]["variance_ratio"] is None for c in cells(run_dir, condition) for s in ("train", "eval"))
    with h5py.File(run_dir / "models.h5") as m:
        assert (m["lag1/pv/pca/explained_variance"][()] == 0).all()
        assert (m["lag1/pv/pca/explained_variance_ratio"][()] == 0).all()
    assert not harness.decision(run_dir)[0]


def test_every_row_a_cluster(tmp_path):
    made = corpus(n_speakers=2, utterances_each=1)
    rows = FRAMES - 2
    run_dir = run(tmp_path, made, **{"splits.n_train_speakers": 1, "splits.n_eval_speakers": 1,
                                     "splits.utt_holdout_frac": 0, "clustering.min_cluster_size": 1,
                                     **conditions(k=rows)})
    with h5py.File(run_dir / "models.h5") as m:
        assert (m["lag1/vq/kmeans/counts"][()] == 1).all()
        assert m["lag1/vq/kmeans"].attrs["inertia"] < 1e-12  # of centroids rounded to float32
    (cell,) = [c for c in cells(run_dir) if c["slice"] == "all"]
    assert cell["train"]["variance_ratio"] == 0 and cell["n_effective_clusters"] == rows
    # no cluster has two rows: nothing is left over for the entropy within, nor for the adjustment
    assert cell["train"]["variance_ratio_adjusted"] is None and cell["train"]["entropy_reduction"] is None


def test_one_cluster_explains_nothing(tmp_path):
    run_dir = run(tmp_path, corpus(), **conditions(k=1))
    check_against_numpy(run_dir)
    for condition in ("vq", "pv"):
        for cell in cells(run_dir, condition):
            assert cell["n_effective_clusters"] == 1
            for split in ("train", "eval"):
                assert cell[split]["variance_ratio"] == pytest.approx(1, abs=1e-12)
    with h5py.File(run_dir / "features.h5") as f, h5py.File(run_dir / "models.h5") as m:
        mean = f["train/lag1/mean"][()].astype(np.float64).mean(axis=0)
        assert np.allclose(m["lag1/vq/kmeans/centroids"][0], mean, atol=1e-7)


@pytest.mark.parametrize("window, dim", [(1, 1), (1, 3), (2, 1)])
def test_windows_and_dimensions_of_one(tmp_path, window, dim):
    run_dir = run(tmp_path, corpus(dim=dim), **{"context.window_size": window, **conditions(pca_dim=1)})
    check_against_numpy(run_dir)
    with h5py.File(run_dir / "features.h5") as f, h5py.File(run_dir / "models.h5") as m:
        flat = f["train/lag1/flat"][()].astype(np.float64)
        assert flat.shape[1] == window * dim
        variance = np.linalg.eigvalsh(np.atleast_2d(np.cov(flat.T)))[-1]
        assert m["lag1/pv/pca/explained_variance"][0] == pytest.approx(variance, rel=1e-6)
    assert all(c["train"]["variance_ratio"] <= 1 + 1e-12 for c in cells(run_dir))


def test_one_speaker_cannot_be_split(tmp_path):
    cfg = settings(tmp_path, corpus(n_speakers=1), **{"splits.n_train_speakers": 1, "splits.n_eval_speakers": 1})
    check_rejected(harness.run_config(cfg, tmp_path), 2, ["1 + 1", "1 speakers"])
    check_no_output(tmp_path)


def test_one_utterance_for_each_split(tmp_path):
    run_dir = run(tmp_path, corpus(n_speakers=2, utterances_each=1),
                  **{"splits.n_train_speakers": 1, "splits.n_eval_speakers": 1, **conditions()})
    check_against_numpy(run_dir)
    for cell in cells(run_dir):
        for split in ("train", "eval"):
            part = cell[split]
            assert part["speaker_ci_lower"] is None and part["speaker_ci_upper"] is None
            assert part["n_speakers"] <= 1


def one_row_of_each_split(**changes):
    """For settings(): three frames in both utterances."""
    made = corpus(n_speakers=2, utterances_each=1)
    made.xs = [x[:3] for x in made.xs]
    made.energies = [energy[:3] for energy in made.energies]
    return made, {"data.min_duration_sec": 0, "splits.n_train_speakers": 1, "splits.n_eval_speakers": 1,
                  "splits.utt_holdout_frac": 0, "clustering.min_cluster_size": 1, **changes}


def test_one_row(tmp_path):
    """Nothing varies: no ratio is defined, and nothing passes."""
    made, changes = one_row_of_each_split(**{"clustering.conditions": conditions(k=1)["clustering.conditions"][:1]})
    run_dir = run(tmp_path, made, **changes)
    check_against_numpy(run_dir)
    for cell in cells(run_dir):
        assert cell["n_effective_clusters"] == 1
        for split in ("train", "eval"):
            assert cell[split]["n_samples"] == 1 and cell[split]["variance_ratio"] is None
    assert not harness.decision(run_dir)[0]


def test_one_row_is_too_few_for_pca(tmp_path):
    made, changes = one_row_of_each_split(**conditions(k=1, pca_dim=1))
    check_rejected(harness.run_config(settings(tmp_path, made, **changes), tmp_path), 3, ["PCA", "there are 1 rows"])


def test_fewer_rows_than_clusters(tmp_path):
    cfg = settings(tmp_path, corpus(), **conditions(k=5000))
    check_rejected(harness.run_config(cfg, tmp_path), 2, ["k 5000", "464 train rows"])


def test_no_cluster_is_large_enough(tmp_path):
    run_dir = run(tmp_path, corpus(), **{"clustering.min_cluster_size": 10 ** 6, **conditions()})
    for cell in cells(run_dir):
        assert cell["n_effective_clusters"] == 0
        for split in ("train", "eval"):
            assert cell[split]["variance_ratio"] is None and cell[split]["excluded_mass"] == 1
    assert not harness.decision(run_dir)[0]


def test_no_permutations(tmp_path):
    run_dir = run(tmp_path, corpus(), **{"metrics.permutations": 0, **conditions()})
    assert all(c["random_baseline_variance_ratio"] is None for c in cells(run_dir))


@pytest.mark.parametrize("energy", [0.0, 3e38, -1e-45])
def test_equal_energies(tmp_path, energy):
    """None is above the median."""
    made = corpus()
    made.energies = [np.full(FRAMES, energy, np.float32) for _ in made.ids]
    run_dir = run(tmp_path, made, **conditions())
    assert {c["slice"] for c in cells(run_dir)} == {"all", "medial"}


@pytest.mark.parametrize("scale", [1e-10, 1e-20, 1e-30, 1e-38, 1e-42])
def test_tiny_values(tmp_path, scale):
    """Down to denormals, whose squares vanish in float32: exact labels, and a PCA that is right or says so."""
    cfg = settings(tmp_path, corpus(change=lambda x: x * scale), **conditions())
    result = harness.run_config(cfg, tmp_path)
    assert result.code == 0, str(result)
    run_dir = tmp_path / "run"
    check_numbers(run_dir)
    check_against_numpy(run_dir)
    with h5py.File(run_dir / "features.h5") as f, h5py.File(run_dir / "models.h5") as m:
        x, centroids = f["train/lag1/mean"][()].astype(np.float64), m["lag1/vq/kmeans/centroids"][()]
        assert len(np.unique(centroids, axis=0)) == 4
        inertia = (oracle.distances(f["train/lag1/mean"][()], centroids,
                                    oracle.nearest(f["train/lag1/mean"][()], centroids)) ** 2).sum()
        assert m["lag1/vq/kmeans"].attrs["inertia"] == pytest.approx(inertia, rel=1e-9, abs=0)
        assert 0 < inertia < ((x - x.mean(axis=0)) ** 2).sum()
        flat = f["train/lag1/flat"][()].astype(np.float64)
        variance = np.linalg.eigvalsh(np.cov((flat / scale).T))[::-1][:2] * scale * scale
        explained = m["lag1/pv/pca/explained_variance"][()]
    if scale > 1e-16:
        assert np.allclose(explained, variance, rtol=1e-5, atol=0) and "constant" not in result.err
    else:
        assert (explained == 0).all()
        assert scale < 1e-22 or "count as constant" in result.err


@pytest.mark.parametrize("value, shown", [(1.5e15, "1500000000000000"), (-1e16, "-1e+16"), (1e19, "1e+19"),
                                          (1e30, "1e+30"), (-3.4e38, "-3.4e+38")])
def test_huge_values_are_refused_by_name(tmp_path, value, shown):
    made = corpus()
    made.xs[3][17, 2] = value
    cfg = settings(tmp_path, made, **conditions())
    check_rejected(harness.run_config(cfg, tmp_path), 3,
                   ["latents.h5", "u03", "frame 17", f"holds {shown} ", "dimension 2", "1e+15"])
    check_no_output(tmp_path)


def test_a_file_of_huge_values_is_refused(tmp_path):
    cfg = settings(tmp_path, corpus(change=lambda x: x * 1e30), **conditions())
    check_rejected(harness.run_config(cfg, tmp_path), 3, ["latents.h5", "u00", "frame 0", "dimension 0"])


def test_huge_values_can_be_dropped(tmp_path):
    made = corpus()
    made.xs[3][17, 2] = 1e30
    run_dir = run(tmp_path, made, **{"data.non_finite": "drop_utterance", **conditions()})
    with h5py.File(run_dir / "features.h5") as f:
        used = set(f["train/rows/utterance"][()]) | set(f["eval/rows/utterance"][()])
        assert harness.strings(f["utterances/id"]).index("u03") not in used


def test_large_values_cluster_as_ordinary_ones(tmp_path):
    """A power of two is exact everywhere, up to the largest values that are accepted."""
    ids = []
    for name, scale in (("ordinary", 1.0), ("large", 2.0 ** 47), ("small", 2.0 ** -40)):
        where = tmp_path / name
        where.mkdir()
        run_dir = run(where, corpus(change=lambda x: x * scale), **conditions())
        check_against_numpy(run_dir)
        with h5py.File(run_dir / "assignments.h5") as a:
            ids.append({(c, s): a[f"lag1/{c}/{s}/cluster"][()] for c in ("vq", "pq") for s in ("train", "eval")})
    for key, want in ids[0].items():
        assert (ids[1][key] == want).all() and (ids[2][key] == want).all(), key


def with_far_frames(value):
    """One in an utterance of every speaker, so that whoever is trained on has it."""
    made = corpus()
    for x in made.xs[::2]:
        x[30, 1] = value
    return made


@pytest.mark.parametrize("value", [1e4, -1e6])
def test_a_far_frame_takes_no_digits_from_the_others(tmp_path, value):
    made = with_far_frames(value)
    run_dir = run(tmp_path, made, **{"clustering.kmeans": {"n_init": 2, "max_iter": 300, "tol": 0.0},
                                     **conditions(k=6)})
    check_against_numpy(run_dir)
    with h5py.File(run_dir / "features.h5") as f, h5py.File(run_dir / "models.h5") as m, \
            h5py.File(run_dir / "assignments.h5") as a:
        x, ids = f["train/lag1/mean"][()].astype(np.float64), a["lag1/vq/train/cluster"][()]
        for k, centroid in enumerate(m["lag1/vq/kmeans/centroids"][()]):
            mean = x[ids == k].mean(axis=0)
            assert np.allclose(centroid, mean, rtol=1e-6, atol=1e-6), k


@pytest.mark.parametrize("value", [1e13, -9e14])
def test_a_frame_beside_which_the_others_vanish_is_refused(tmp_path, value):
    cfg = settings(tmp_path, with_far_frames(value), **conditions())
    check_rejected(harness.run_config(cfg, tmp_path), 3, ["so far from the other rows", "column 1"])
