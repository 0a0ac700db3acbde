#!/usr/bin/env python3
"""What people use today for phase0's work: the three reference conditions in h5py, NumPy and scikit-learn, in memory.

    python_pipeline.py LATENTS TRAIN_SPEAKERS EVAL_SPEAKERS RESULTS_JSON

One lag, three slices, 20 shuffles each; variance ratios of train and eval with their random baselines. phase0 does more
(entropies, intervals by speaker, confidence curves, ids on disk, a report). For bench/compare.py.
"""

import json
import sys
from pathlib import Path

import h5py
import numpy as np
from scipy.sparse import csr_array
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA

WINDOW, LAG = 8, 1
MIN_SECONDS, MIN_CLUSTER_SIZE = 3.0, 100
SHUFFLES = 20
KMEANS = {"n_init": 10, "max_iter": 100, "tol": 1e-4, "random_state": 42}


class Split:
    """The rows of the utterances of some speakers."""

    def __init__(self, file, speakers):
        offset = file["utterances/offset"][:]
        length = np.diff(offset)
        known = np.isin(file["utterances/speaker"].asstr()[:], speakers)
        self.utterances = np.flatnonzero(known & (length / file.attrs["frame_rate_hz"] >= MIN_SECONDS))
        first = WINDOW - 1 + LAG
        t = [np.arange(first, length[u]) for u in self.utterances]
        self.frame = np.concatenate([offset[u] + rows for u, rows in zip(self.utterances, t)])
        self.pos_frac = np.concatenate([rows / length[u] for u, rows in zip(self.utterances, t)])
        self.frames_of_utterances = np.concatenate([np.arange(offset[u], offset[u + 1]) for u in self.utterances])

    def windows(self, x):
        """[N, W D], oldest frame first."""
        ends = self.frame - LAG
        return x[ends[:, None] + np.arange(1 - WINDOW, 1)].reshape(len(ends), -1)

    def delta(self, x):
        return x[self.frame] - x[self.frame - 1]


def fit(flat, k_mean=64, k_pca=256, pca_dim=8):
    """{condition: (train ids, eval ids)}, and how many ids there can be."""
    mean = {name: rows.reshape(len(rows), WINDOW, -1).mean(axis=1) for name, rows in flat.items()}
    kmeans = KMeans(k_mean, **KMEANS).fit(mean["train"])
    ids = {"mean_vq64": ({name: kmeans.predict(rows) for name, rows in mean.items()}, k_mean)}

    pca = PCA(pca_dim, svd_solver="randomized", random_state=42).fit(flat["train"])
    scores = {name: pca.transform(rows) for name, rows in flat.items()}
    kmeans = KMeans(k_pca, **KMEANS).fit(scores["train"])
    ids["pca8_vq256"] = ({name: kmeans.predict(rows) for name, rows in scores.items()}, k_pca)

    edges = np.percentile(scores["train"], [25, 50, 75], axis=0)
    digits = {name: (rows[None] >= edges[:, None]).sum(axis=0) for name, rows in scores.items()}
    quartile = {name: rows @ 4 ** np.arange(pca_dim) for name, rows in digits.items()}
    ids["pca8_quartile"] = (quartile, 4**pca_dim)
    return ids


def variance_ratio(z, ids, effective):
    keep = effective[ids]
    z, ids = z[keep], ids[keep]
    n = len(z)
    squares = np.sum(z**2, dtype=np.float64)
    one_hot = csr_array((np.ones(n, np.float32), ids, np.arange(n + 1)), shape=(n, len(effective)))
    counts = np.bincount(ids, minlength=len(effective))
    sums = (one_hot.T @ z).astype(np.float64)
    within = squares - np.sum(sums[counts > 0] ** 2 / counts[counts > 0, None])
    return within / (squares - np.sum(sums.sum(axis=0) ** 2) / n)


def main():
    latents, train_file, eval_file, results = sys.argv[1:]
    with h5py.File(latents) as file:
        x, energy = file["x"][:], file["energy"][:]
        speakers = {"train": Path(train_file).read_text().split(), "eval": Path(eval_file).read_text().split()}
        splits = {name: Split(file, names) for name, names in speakers.items()}

    conditions = fit({name: split.windows(x) for name, split in splits.items()})
    delta = {name: split.delta(x) for name, split in splits.items()}
    mu = delta["train"].mean(axis=0, dtype=np.float64)
    sigma = np.maximum(delta["train"].std(axis=0, dtype=np.float64), 1e-6)
    z = {name: ((rows - mu) / sigma).astype(np.float32) for name, rows in delta.items()}
    loud = np.median(energy[splits["train"].frames_of_utterances])
    slices = {
        name: {
            "all": np.ones(len(split.frame), bool),
            "high_energy": energy[split.frame] > loud,
            "utterance_medial": (split.pos_frac >= 0.17) & (split.pos_frac <= 0.83),
        }
        for name, split in splits.items()
    }

    rng = np.random.default_rng(42)
    table = []
    for condition, (ids, k) in conditions.items():
        effective = np.bincount(ids["train"], minlength=k) >= MIN_CLUSTER_SIZE
        for slice_name in slices["train"]:
            row = {"condition": condition, "slice": slice_name}
            for name in splits:
                rows = slices[name][slice_name]
                row[name] = variance_ratio(z[name][rows], ids[name][rows], effective)
                shuffled = (rng.permutation(ids[name])[rows] for _ in range(SHUFFLES))
                row[f"{name}_random"] = np.mean([variance_ratio(z[name][rows], some, effective) for some in shuffled])
            table.append(row)
    Path(results).write_text(json.dumps(table, indent=1))


if __name__ == "__main__":
    main()
