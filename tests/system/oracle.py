"""Float64 oracle of spec sections 3 and 4: samples, features, normaliser, PCA, quartiles, nearest centroids.

Written from the specification alone and simple on purpose: everything is held in memory, nothing is fused.
Metrics (section 5) are in oracle_metrics.py. test_oracle_self.py checks both against hand-computed cases.
"""

from __future__ import annotations

import dataclasses
from fractions import Fraction

import h5py
import hdf5plugin  # noqa: F401  registers the zstd filter
import numpy as np


@dataclasses.dataclass
class Utterance:
    id: str
    speaker: str
    x: np.ndarray  # [T_u, D] float32
    energy: np.ndarray | None  # [T_u] float32


@dataclasses.dataclass
class Rows:
    """The sample rows of one split, in canonical order."""

    utterance: np.ndarray  # index into the file's utterances
    t: np.ndarray
    speaker: np.ndarray  # names
    pos_frac: np.ndarray  # float64
    energy: np.ndarray | None
    high_energy: np.ndarray  # bool
    delta: np.ndarray  # [N, D] float32

    def __len__(self):
        return len(self.t)


def _text(value) -> str:
    if isinstance(value, bytes):
        return value.decode()
    return str(value)


def read_latents(path) -> tuple[list[Utterance], float]:
    """Utterances in the order of spec section 2 (file order in A, byte order of the id in B) and the frame rate."""
    with h5py.File(path, "r") as f:
        rate = float(f.attrs["frame_rate_hz"])
        if "utterances" not in f:
            names = sorted(f.keys(), key=lambda name: name.encode())
            return [Utterance(n, _text(f[n].attrs["speaker_id"]), f[n]["x"][()].astype(np.float32),
                              f[n]["energy"][()] if "energy" in f[n] else None) for n in names], rate
        x = f["x"][()].astype(np.float32)
        energy = f["energy"][()] if "energy" in f else None
        offset = f["utterances/offset"][()]
        ids, speakers = f["utterances/id"][()], f["utterances/speaker"][()]
        return [Utterance(_text(ids[u]), _text(speakers[u]), x[a:b], None if energy is None else energy[a:b])
                for u, (a, b) in enumerate(zip(offset[:-1], offset[1:]))], rate


def first_t(window: int, lags) -> int:
    return max(window - 1 + max(lags), 1)


class Samples:
    """Everything `collect` defines, for a given assignment of speakers to splits."""

    def __init__(self, path, cfg: dict, train_speakers: set[str], eval_speakers: set[str]):
        self.utterances, self.rate = read_latents(path)
        self.window = cfg["context"]["window_size"]
        self.lags = cfg["context"]["lags"]
        self.dim = self.utterances[0].x.shape[1]
        self.speakers = {"train": set(train_speakers), "eval": set(eval_speakers)}
        minimum = cfg["data"].get("min_duration_sec", 3.0)
        drop = cfg["data"].get("non_finite", "error") == "drop_utterance"
        self.kept = {split: [i for i, u in enumerate(self.utterances)
                             if u.speaker in names and len(u.x) / self.rate >= minimum
                             and not (drop and not self._finite(u))]
                     for split, names in self.speakers.items()}
        self.median_energy = self._median_energy()
        self.rows = {split: self._rows(split) for split in ("train", "eval")}

    @staticmethod
    def _finite(u: Utterance) -> bool:
        return bool(np.isfinite(u.x).all() and (u.energy is None or np.isfinite(u.energy).all()))

    def _median_energy(self):
        parts = [self.utterances[i].energy for i in self.kept["train"]]
        if not parts or parts[0] is None:
            return None
        return float(np.median(np.concatenate(parts).astype(np.float64)))

    def _rows(self, split: str) -> Rows:
        utterance, t, speaker, pos, energy, delta = [], [], [], [], [], []
        start = first_t(self.window, self.lags)
        for i in self.kept[split]:
            u = self.utterances[i]
            ts = np.arange(start, len(u.x))
            utterance.append(np.full(len(ts), i))
            t.append(ts)
            speaker += [u.speaker] * len(ts)
            pos.append(ts / len(u.x))
            delta.append(u.x[start:] - u.x[start - 1:-1] if len(ts) else np.zeros((0, self.dim), np.float32))
            energy.append(np.zeros(len(ts), np.float32) if u.energy is None else u.energy[ts])
        energy = np.concatenate(energy)
        have = self.median_energy is not None
        high = energy.astype(np.float64) > self.median_energy if have else np.zeros(len(energy), bool)
        return Rows(np.concatenate(utterance), np.concatenate(t), np.array(speaker, dtype=object),
                    np.concatenate(pos), energy if have else None, high, np.concatenate(delta))

    def flat(self, split: str, lag: int) -> np.ndarray:
        """[N, W*D] float32: frames e-W+1 .. e with e = t - lag, oldest first."""
        rows, out = self.rows[split], []
        for u, t in zip(rows.utterance, rows.t):
            end = t - lag
            out.append(self.utterances[u].x[end - self.window + 1:end + 1].reshape(-1))
        return np.array(out, dtype=np.float32).reshape(len(rows), self.window * self.dim)

    def mean(self, split: str, lag: int) -> np.ndarray:
        """[N, D]: the float64 average of the window, rounded to float32."""
        flat = self.flat(split, lag).reshape(-1, self.window, self.dim)
        return flat.astype(np.float64).mean(axis=1).astype(np.float32)

    def normaliser(self) -> tuple[np.ndarray, np.ndarray]:
        delta = self.rows["train"].delta.astype(np.float64)
        return delta.mean(axis=0), np.maximum(delta.std(axis=0), 1e-6)

    def normalised(self, split: str) -> np.ndarray:
        mu, sigma = self.normaliser()
        return (self.rows[split].delta.astype(np.float64) - mu) / sigma


@dataclasses.dataclass
class Pca:
    mean: np.ndarray
    components: np.ndarray  # [k, F]
    explained_variance: np.ndarray
    explained_variance_ratio: np.ndarray

    def scores(self, flat: np.ndarray) -> np.ndarray:
        return (flat.astype(np.float64) - self.mean) @ self.components.T


def pca(flat: np.ndarray, k: int) -> Pca:
    x = flat.astype(np.float64)
    mean = x.mean(axis=0)
    _, s, vt = np.linalg.svd(x - mean, full_matrices=False)
    variance = s ** 2 / (len(x) - 1)
    components = vt[:k].copy()
    largest = components[np.arange(k), np.abs(components).argmax(axis=1)]
    components *= np.sign(largest)[:, None]
    return Pca(mean, components, variance[:k], variance[:k] / variance.sum())


def quartile_edges(scores: np.ndarray) -> np.ndarray:
    """[k, 3] float64 of float32 scores."""
    return np.percentile(scores.astype(np.float32).astype(np.float64), [25, 50, 75], axis=0, method="linear").T


def quartile_ids(scores: np.ndarray, edges: np.ndarray) -> np.ndarray:
    digits = (edges[None, :, :] <= scores[:, :, None]).sum(axis=2)
    return (digits * 4 ** np.arange(scores.shape[1])).sum(axis=1)


def _exact_squared_distance(x, c) -> Fraction:
    return sum((Fraction(float(a)) - Fraction(float(b))) ** 2 for a, b in zip(x, c))


def nearest(x: np.ndarray, centroids: np.ndarray) -> np.ndarray:
    """The nearest centroid of every row in exact arithmetic on float32 values, ties to the lowest id.

    Float64 on centred values proposes; rows whose candidates lie within a generous rounding bound are decided with
    rational numbers.
    """
    assert x.dtype == np.float32 and centroids.dtype == np.float32
    centre = centroids.astype(np.float64).mean(axis=0)
    c = centroids.astype(np.float64) - centre
    out = np.empty(len(x), dtype=np.int64)
    for at in range(0, len(x), 4096):
        part = x[at:at + 4096].astype(np.float64) - centre
        d2 = (part ** 2).sum(axis=1)[:, None] + (c ** 2).sum(axis=1)[None, :] - 2 * part @ c.T
        bound = 1e-12 * ((part ** 2).sum(axis=1) + (c ** 2).sum(axis=1).max() + 1e-300)
        best = d2.min(axis=1)
        out[at:at + 4096] = d2.argmin(axis=1)
        close = d2 <= (best + 2 * bound)[:, None]
        for r in np.flatnonzero(close.sum(axis=1) > 1):
            candidates = np.flatnonzero(close[r])
            exact = {k: _exact_squared_distance(x[at + r], centroids[k]) for k in candidates}
            out[at + r] = min(candidates, key=lambda k: (exact[k], k))
    return out


def distances(x: np.ndarray, centroids: np.ndarray, ids: np.ndarray) -> np.ndarray:
    return np.sqrt(((x.astype(np.float64) - centroids.astype(np.float64)[ids]) ** 2).sum(axis=1))
