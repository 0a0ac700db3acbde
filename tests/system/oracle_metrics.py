"""Float64 oracle of spec section 5, given the ids and distances of each row.

Readings chosen where the specification leaves room:
  * K_eff of the adjusted ratio is n_effective_clusters (the train set of effective clusters), also for eval and slices.
  * Hc weighs by the counts of the clusters that enter it (those with >= 2 rows), over included rows.
  * The Student-t interval uses the sample standard deviation (ddof 1); with one speaker it is undefined.
  * pos_frac is compared in float64, t / T_u as it stands, with the decimal bounds of the filter.
  * A ratio with a zero denominator is undefined (None).
"""

from __future__ import annotations

import math
import re

import numpy as np
from scipy import sparse, stats

MIN_SPEAKER_ROWS = 50
VARIANCE_FLOOR = 1e-10


def effective_clusters(train_ids: np.ndarray, n_clusters: int, min_size: int) -> np.ndarray:
    """bool [K]"""
    return np.bincount(train_ids, minlength=n_clusters) >= min_size


def slice_mask(filter_name: str | None, rows) -> np.ndarray:
    if filter_name is None:
        return np.ones(len(rows), bool)
    if filter_name == "energy_above_median":
        return rows.high_energy.astype(bool)
    a, b = re.fullmatch(r"pos_frac_([0-9.]+)_([0-9.]+)", filter_name).groups()
    return (rows.pos_frac >= float(a)) & (rows.pos_frac <= float(b))


def _membership(ids: np.ndarray) -> tuple[sparse.csr_matrix, np.ndarray]:
    values, inverse, counts = np.unique(ids, return_inverse=True, return_counts=True)
    one_hot = sparse.csr_matrix((np.ones(len(ids)), (inverse, np.arange(len(ids)))), shape=(len(values), len(ids)))
    return one_hot, counts


def sse(z: np.ndarray, ids: np.ndarray) -> tuple[float, float]:
    """(within clusters, total), over the rows given."""
    if len(z) == 0:
        return 0.0, 0.0
    one_hot, counts = _membership(ids)
    means = (one_hot @ z) / counts[:, None]
    within = ((z - one_hot.T @ means) ** 2).sum()
    return float(within), float(((z - z.mean(axis=0)) ** 2).sum())


def variance_ratio(z, ids) -> float | None:
    within, total = sse(z, ids)
    return within / total if total > 0 else None


def adjusted_ratio(z, ids, n_effective) -> float | None:
    within, total = sse(z, ids)
    n = len(z)
    if total <= 0 or n <= n_effective or n < 2:
        return None
    return (within / (n - n_effective)) / (total / (n - 1))


def entropy(z: np.ndarray) -> float:
    return float(0.5 * np.log(np.maximum(z.var(axis=0), VARIANCE_FLOOR)).sum())


def entropies(z: np.ndarray, ids: np.ndarray) -> tuple[float | None, float | None]:
    """(unconditional, conditional)"""
    if len(z) == 0:
        return None, None
    total, weight = 0.0, 0
    for k in np.unique(ids):
        members = z[ids == k]
        if len(members) >= 2:
            total += len(members) * entropy(members)
            weight += len(members)
    return entropy(z), (total / weight if weight else None)


def speaker_ratios(z, ids, speakers) -> dict[str, tuple[int, float]]:
    out = {}
    for name in sorted(set(speakers)):
        mine = speakers == name
        if mine.sum() < MIN_SPEAKER_ROWS:
            continue
        ratio = variance_ratio(z[mine], ids[mine])
        if ratio is not None:
            out[name] = (int(mine.sum()), ratio)
    return out


def speaker_summary(ratios: list[float]) -> dict:
    n = len(ratios)
    out = dict(n_speakers=n, speaker_mean=None, speaker_std=None, speaker_ci_lower=None, speaker_ci_upper=None)
    if n >= 1:
        out["speaker_mean"], out["speaker_std"] = float(np.mean(ratios)), float(np.std(ratios))
    if n >= 2:
        half = stats.t.ppf(0.975, n - 1) * np.std(ratios, ddof=1) / math.sqrt(n)
        out["speaker_ci_lower"], out["speaker_ci_upper"] = out["speaker_mean"] - half, out["speaker_mean"] + half
    return out


def confidence_curve(z, ids, distance) -> list[tuple[int, int, float | None]]:
    """(percent, rows, variance ratio) over the closest rows, ties by row order."""
    n = len(z)
    order = np.argsort(distance, kind="stable")
    out = []
    for percent in range(10, 101, 10):
        m = -(-percent * n // 100)
        chosen = order[:m]
        out.append((percent, m, variance_ratio(z[chosen], ids[chosen])))
    return out


def split_metrics(z, ids, speakers, mask, effective) -> dict:
    """Metrics of one split; all arrays are over all rows of the split. Includes `included`, the row mask used."""
    included = mask & effective[ids]
    n_slice, n = int(mask.sum()), int(included.sum())
    zi, idi = z[included], ids[included]
    h, hc = entropies(zi, idi)
    have = h is not None and hc is not None
    nats = h - hc if have else None
    out = dict(
        n_samples=n, n_samples_total=n_slice,
        excluded_mass=1 - n / n_slice if n_slice else None,
        variance_ratio=variance_ratio(zi, idi),
        variance_ratio_adjusted=adjusted_ratio(zi, idi, int(effective.sum())),
        entropy_unconditional=h, entropy_conditional=hc,
        entropy_reduction=nats / h if have and h != 0 else None,
        entropy_reduction_nats=nats,
        entropy_reduction_nats_per_dim=nats / z.shape[1] if have else None,
    )
    per_speaker = speaker_ratios(zi, idi, speakers[included])
    out.update(speaker_summary([ratio for _, ratio in per_speaker.values()]))
    out["speakers"], out["included"] = per_speaker, included
    return out


def permutation_ratios(z, ids, masks: dict, effective, n: int, seed: int) -> dict[str, np.ndarray]:
    """Variance ratios of `n` permutations of the ids over all rows, per slice."""
    rng = np.random.default_rng(seed)
    out = {name: [] for name in masks}
    for _ in range(n):
        shuffled = ids[rng.permutation(len(ids))]
        for name, mask in masks.items():
            included = mask & effective[shuffled]
            out[name].append(variance_ratio(z[included], shuffled[included]))
    return {name: np.array(values, dtype=float) for name, values in out.items()}


def degradation(train_vr, eval_vr) -> float | None:
    if train_vr is None or eval_vr is None or train_vr == 0:
        return None
    return (eval_vr - train_vr) / train_vr


def decide(cells: list[dict], metrics_cfg: dict) -> dict[str, bool]:
    """PASS per condition from the cells of metrics.json."""
    threshold = metrics_cfg.get("variance_ratio_threshold", 0.6)
    worst = metrics_cfg.get("cross_speaker_degradation_max", 0.20)
    tolerance = metrics_cfg.get("random_baseline_tolerance", 0.05)
    at_most = lambda value, bound: value is not None and value <= bound
    out = {}
    for cell in cells:
        if cell["lag"] != 1:
            continue
        ratios = (cell["train"]["variance_ratio"], cell["eval"]["variance_ratio"])
        if cell["slice"] == "all":
            baselines = (cell["random_baseline_variance_ratio"], cell["random_baseline_eval_variance_ratio"])
            ok = (all(at_most(r, threshold) for r in ratios) and at_most(cell["cross_speaker_degradation"], worst)
                  and all(b is not None and abs(b - 1) <= tolerance for b in baselines))
        else:
            ok = all(at_most(r, threshold + 0.05) for r in ratios)
        out[cell["condition"]] = out.get(cell["condition"], True) and ok
    return out
