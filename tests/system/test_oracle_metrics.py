"""Metrics and tables of the binary against the float64 oracle (spec sections 5 and 8), given the ids it wrote."""

import harness
import numpy as np
import oracle_metrics as om
import pytest
from cases import CELLS, PERMUTED, SPLITS, ids, normalised, once
from scipy import stats

SCORES = []  # of all random baselines, in standard errors


def expected(case, name, lag, split):
    """Oracle metrics of every slice of a cell, given the ids that phase0 wrote."""
    def compute():
        clusters = 4 ** 3 if name.endswith("quartile") else int(name.split("vq")[1])
        effective = om.effective_clusters(ids(case, name, lag, "train"), clusters,
                                          case.cfg["clustering"]["min_cluster_size"])
        rows = case.samples.rows[split]
        return {s["name"]: om.split_metrics(normalised(case, split), ids(case, name, lag, split), rows.speaker,
                                            om.slice_mask(s["filter"], rows), effective)
                for s in case.cfg["slices"]}, int(effective.sum())
    return once(case, ("expected", name, lag, split), compute)


def cell(case, name, lag, slice_name):
    (found,) = [c for c in case.metrics if (c["condition"], c["lag"], c["slice"]) == (name, lag, slice_name)]
    return found


def test_cells_are_complete_and_in_order(case):
    want = [(c["name"], lag, s["name"]) for c in case.cfg["clustering"]["conditions"]
            for lag in case.cfg["context"]["lags"] for s in case.cfg["slices"]]
    assert [(c["condition"], c["lag"], c["slice"]) for c in case.metrics] == want


PLAIN = ("excluded_mass", "variance_ratio", "variance_ratio_adjusted", "speaker_mean", "speaker_std",
         "speaker_ci_lower", "speaker_ci_upper")
ENTROPIES = ("entropy_unconditional", "entropy_conditional", "entropy_reduction_nats",
             "entropy_reduction_nats_per_dim")


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("name, lag", CELLS)
def test_metrics(case, name, lag, split):
    slices, n_effective = expected(case, name, lag, split)
    for slice_name, want in slices.items():
        whole = cell(case, name, lag, slice_name)
        got = whole[split]
        assert whole["n_effective_clusters"] == n_effective and n_effective >= 2
        for key in ("n_samples", "n_samples_total", "n_speakers"):
            assert got[key] == want[key], (slice_name, key)
        for key in PLAIN:
            assert harness.close(got[key], want[key], abs_=1e-12), (slice_name, key, got[key], want[key])
        for key in ENTROPIES:
            assert harness.close(got[key], want[key], abs_=1e-6), (slice_name, key, got[key], want[key])
        check_entropy_ratio(got["entropy_reduction"], want, case.samples.dim)


def check_entropy_ratio(got, want, dim):
    """(H - Hc) / H magnifies every error by 1/H: compared as far as 1e-9 per dimension in H and Hc allows."""
    h = abs(want["entropy_unconditional"])
    if h < 1e-6 * dim:
        assert got is None or abs(got) > 1  # H is 0 to rounding: the ratio is noise or undefined
        return
    slack = 1e-9 * dim * (1 + abs(want["entropy_reduction"])) / h
    assert harness.close(got, want["entropy_reduction"], abs_=slack)


@pytest.mark.parametrize("name, lag", CELLS)
def test_degradation_and_cluster_stats(case, name, lag):
    train, ev = expected(case, name, lag, "train")[0], expected(case, name, lag, "eval")[0]
    for slice_name in train:
        want = om.degradation(train[slice_name]["variance_ratio"], ev[slice_name]["variance_ratio"])
        got = cell(case, name, lag, slice_name)["cross_speaker_degradation"]
        assert harness.close(got, want, abs_=2e-5)  # a difference of ratios
    counts = np.bincount(ids(case, name, lag, "train"))
    stats = cell(case, name, lag, "all")["cluster_stats"]
    occupied = counts[counts > 0]
    for key, want in (("min_size", occupied.min()), ("max_size", occupied.max()),
                      ("median_size", np.median(occupied)), ("n_occupied", len(occupied))):
        assert stats.get(key, want) == want, key
    assert stats


@pytest.mark.parametrize("name, lag", CELLS)
def test_random_baseline(case, name, lag):
    """The baseline is random: compared with own permutations, or with the exact expectation of slice `all`."""
    n_perm = case.cfg["metrics"]["permutations"]
    train_ids = ids(case, name, lag, "train")
    effective = om.effective_clusters(train_ids, 64, case.cfg["clustering"]["min_cluster_size"])
    for split, key in (("train", "random_baseline_variance_ratio"), ("eval", "random_baseline_eval_variance_ratio")):
        if n_perm == 0:
            assert all(c[key] is None for c in case.metrics)
            continue
        wanted = expected(case, name, lag, split)[0]
        whole = cell(case, name, lag, "all")
        n, k = wanted["all"]["n_samples"], int(effective.sum())
        error = whole[split]["random_baseline_std"] / np.sqrt(n_perm - 1)  # the std has ddof 0
        score = (whole[key] - (n - k) / (n - 1)) / error
        # Hundreds of these are drawn: the two-sided 1e-6 point of Student's t with n_perm - 1 degrees of freedom.
        assert abs(score) <= stats.t.ppf(1 - 5e-7, n_perm - 1)
        SCORES.append(score)
        assert whole[key] == whole[split]["random_baseline_mean"]
        if case.name in PERMUTED:
            check_against_own_permutations(case, name, lag, split, key, effective, n_perm)


def test_random_baselines_are_unbiased():
    """Over all cases together: Student's t has variance m / (m - 2), so the mean of many scores is near 0."""
    if len(SCORES) < 20:
        pytest.skip("runs after test_random_baseline")
    assert abs(np.mean(SCORES)) <= 4 * np.sqrt(9 / 7 / len(SCORES))


def check_against_own_permutations(case, name, lag, split, key, effective, n_perm):
    rows = case.samples.rows[split]
    masks = {s["name"]: om.slice_mask(s["filter"], rows) for s in case.cfg["slices"]}
    own = om.permutation_ratios(normalised(case, split), ids(case, name, lag, split), masks, effective, 20, seed=lag)
    for slice_name, values in own.items():
        whole = cell(case, name, lag, slice_name)
        got = whole[split]
        error = np.sqrt(values.var(ddof=1) / len(values) + values.var(ddof=1) / n_perm)
        assert abs(whole[key] - values.mean()) <= 4.5 * error
        assert values.std() / 4 < got["random_baseline_std"] < values.std() * 4
        # planted structure is far below every permutation, so the p-value is the smallest possible
        assert got["variance_ratio"] < values.min() - 5 * values.std()
        assert got["random_baseline_p_value"] == pytest.approx(1 / (1 + n_perm))


# ---- files


def test_speakers_csv(case):
    got = {(r["condition"], int(r["lag"]), r["slice"], r["split"], r["speaker"]): r
           for r in harness.read_csv(case.dir / "speakers.csv")}
    matched = 0
    for name, lag in CELLS:
        for split in SPLITS:
            for slice_name, want in expected(case, name, lag, split)[0].items():
                for speaker, (n, ratio) in want["speakers"].items():
                    row = got[(name, lag, slice_name, split, speaker)]
                    assert int(row["n_samples"]) == n and harness.close(float(row["variance_ratio"]), ratio)
                    matched += 1
    rest = [r for r in got.values() if r["variance_ratio"] != ""]
    assert len(rest) == matched > 100


def test_clusters_csv(case):
    got = {(r["condition"], int(r["lag"]), int(r["cluster"])): r for r in harness.read_csv(case.dir / "clusters.csv")}
    seen = set()
    for name, lag in CELLS:
        counts = {s: np.bincount(ids(case, name, lag, s), minlength=64) for s in SPLITS}
        for k in np.flatnonzero(counts["train"] + counts["eval"]):
            row = got[(name, lag, k)]
            seen.add((name, lag, k))
            effective = counts["train"][k] >= case.cfg["clustering"]["min_cluster_size"]
            assert (row["effective"] in ("1", "true", "True")) == effective
            for s in SPLITS:
                assert int(row[f"{s}_count"]) == counts[s][k]
                value = harness.number(row[f"{s}_variance"])
                z = normalised(case, s)[ids(case, name, lag, s) == k]
                want = z.var(axis=0).mean() if effective and len(z) else None
                assert harness.close(value, want, abs_=1e-12), (name, lag, k, s)
    assert seen == set(got)


def test_confidence_csv(case):
    rows = harness.read_csv(case.dir / "confidence.csv")
    got = {(r["condition"], int(r["lag"]), r["slice"], r["split"], int(r["percent"])): r for r in rows}
    assert len(got) == len(rows) == len(CELLS) * 3 * 2 * 10
    for name, lag in CELLS:
        for split in SPLITS:
            z, labels = normalised(case, split), ids(case, name, lag, split)
            distance = case.assignments[f"lag{lag}/{name}/{split}/distance"][()]
            for slice_name, want in expected(case, name, lag, split)[0].items():
                keep = want["included"]
                for percent, m, ratio in om.confidence_curve(z[keep], labels[keep], distance[keep]):
                    row = got[(name, lag, slice_name, split, percent)]
                    assert int(row["n_samples"]) == m
                    assert harness.close(harness.number(row["variance_ratio"]), ratio)
                    if "max_distance" in row:
                        assert float(row["max_distance"]) == pytest.approx(np.sort(distance[keep])[m - 1], rel=1e-6)


TABLE_COLUMNS = """condition lag slice train_variance_ratio eval_variance_ratio train_entropy_reduction
    eval_entropy_reduction cross_speaker_degradation random_baseline random_baseline_eval n_effective_clusters
    train_n_samples eval_n_samples train_excluded_mass eval_excluded_mass train_speaker_ci_lower
    train_speaker_ci_upper""".split()
JSON_KEYS = """condition type lag slice n_effective_clusters train eval cross_speaker_degradation
    random_baseline_variance_ratio random_baseline_eval_variance_ratio cluster_stats""".split()
SPLIT_KEYS = """variance_ratio entropy_reduction n_samples n_samples_total excluded_mass speaker_mean speaker_std
    speaker_ci_lower speaker_ci_upper n_speakers""".split()


def test_tables_csv_agrees_with_metrics_json(case):
    header = harness.csv_header(case.dir / "tables.csv")
    assert header[:len(TABLE_COLUMNS)] == TABLE_COLUMNS and len(set(header)) == len(header)
    rows = harness.read_csv(case.dir / "tables.csv")
    assert len(rows) == len(case.metrics)
    for row, c in zip(rows, case.metrics):
        assert set(JSON_KEYS) <= set(c) and all(set(SPLIT_KEYS) <= set(c[s]) for s in SPLITS)
        assert (row["condition"], int(row["lag"]), row["slice"]) == (c["condition"], c["lag"], c["slice"])
        values = {"cross_speaker_degradation": c["cross_speaker_degradation"],
                  "random_baseline": c["random_baseline_variance_ratio"],
                  "random_baseline_eval": c["random_baseline_eval_variance_ratio"],
                  "n_effective_clusters": c["n_effective_clusters"]}
        for s in SPLITS:
            for key in ("variance_ratio", "entropy_reduction", "n_samples", "excluded_mass"):
                values[f"{s}_{key}"] = c[s][key]
        for key in ("speaker_ci_lower", "speaker_ci_upper"):
            values[f"train_{key}"] = c["train"][key]
        # numbers print in the shortest form that reads back exactly, so both files read back equal
        assert {k: harness.number(row[k]) for k in values} == values


def test_metrics_csv_agrees_with_metrics_json(case):
    assert harness.csv_header(case.dir / "metrics.csv") == "condition type lag slice split metric value".split()
    tidy = {(r["condition"], r["type"], int(r["lag"]), r["slice"], r["split"], r["metric"]): harness.number(r["value"])
            for r in harness.read_csv(case.dir / "metrics.csv")}
    for c in case.metrics:
        for s in SPLITS:
            for key in SPLIT_KEYS + list(ENTROPIES):
                assert tidy[(c["condition"], c["type"], c["lag"], c["slice"], s, key)] == c[s][key]
    assert {k[1] for k in tidy} == {"mean_pool_vq", "pca_vq", "pca_quartile"}


def test_numbers_print_in_their_shortest_form(case):
    for row in harness.read_csv(case.dir / "metrics.csv"):
        digits = row["value"].lower().split("e")[0].replace("-", "").replace(".", "").strip("0")
        if digits:
            shortest = repr(float(row["value"])).lower().split("e")[0].replace(".", "").replace("-", "").strip("0")
            assert len(digits) <= len(shortest), row


def test_decision(case):
    overall, conditions = harness.decision(case.dir)
    want = om.decide(case.metrics, case.cfg["metrics"])
    assert conditions == want and overall == any(want.values())
