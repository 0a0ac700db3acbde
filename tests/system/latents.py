"""Writes latents files (spec section 2): both layouts, every accepted element type and dataset layout."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import h5py
import hdf5plugin
import numpy as np


@dataclasses.dataclass
class Corpus:
    """Utterances in the order in which layout A stores them."""

    ids: list[str]
    speakers: list[str]
    xs: list[np.ndarray]  # [T_u, D] float64
    energies: list[np.ndarray] | None  # [T_u] float32
    rate: float = 12.5

    @property
    def dim(self) -> int:
        return self.xs[0].shape[1]

    @property
    def n_frames(self) -> int:
        return sum(len(x) for x in self.xs)

    @property
    def speaker_names(self) -> list[str]:
        return sorted(set(self.speakers))

    def map(self, fn) -> "Corpus":
        """The same corpus with `fn(index, x)` in place of each utterance's frames."""
        return dataclasses.replace(self, xs=[fn(i, x) for i, x in enumerate(self.xs)])


def _lengths(rng, n, mean_frames):
    return rng.integers(int(mean_frames * 0.6), int(mean_frames * 1.4) + 1, size=n)


def orbit(rng, n_frames, basis, noise):
    """Points on two noisy circles: the phase, which a window shows, decides the next change."""
    x = np.zeros((n_frames, basis.shape[2]))
    for plane, (amplitude, omega) in enumerate(((1.0, 0.45), (0.6, 0.8))):
        phase = rng.uniform(0, 2 * np.pi) + np.cumsum(omega + 0.05 * rng.standard_normal(n_frames))
        x += amplitude * (np.outer(np.cos(phase), basis[plane, 0]) + np.outer(np.sin(phase), basis[plane, 1]))
    return x + noise * rng.standard_normal(x.shape)


def make(seed=1, n_speakers=24, utterances_each=4, mean_frames=100, dim=24, noise=0.3, offset=0.0,
         energy=True, numeric_speakers=False) -> Corpus:
    """Planted structure: orbits in planes shared by all speakers, plus noise and a small speaker offset."""
    rng = np.random.default_rng(seed)
    basis = rng.standard_normal((2, 2, dim))
    ids, speakers, xs, energies = [], [], [], []
    for s in range(n_speakers):
        name = str(100 + 7 * s) if numeric_speakers else f"spk{s:03d}"
        shift = 0.1 * rng.standard_normal(dim)
        for u, n in enumerate(_lengths(rng, utterances_each, mean_frames)):
            x = orbit(rng, n, basis, noise) + shift
            ids.append(f"utt_{name}_{u}")
            speakers.append(name)
            xs.append(x + offset)
            energies.append(np.abs(x[:, 0] + rng.standard_normal(n)).astype(np.float32))
    order = rng.permutation(len(ids))  # so that file order, id order and speaker order all differ
    pick = lambda items: [items[i] for i in order]
    return Corpus(pick(ids), pick(speakers), pick(xs), pick(energies) if energy else None)


def shuffle_deltas(corpus: Corpus, seed=5) -> Corpus:
    """Deltas permuted over all utterances and summed up again: the context says nothing of the next change."""
    rng = np.random.default_rng(seed)
    deltas = np.concatenate([np.diff(x, axis=0) for x in corpus.xs])
    deltas = deltas[rng.permutation(len(deltas))]
    out, at = [], 0
    for x in corpus.xs:
        d = deltas[at:at + len(x) - 1]
        at += len(d)
        out.append(np.concatenate([x[:1], x[:1] + np.cumsum(d, axis=0)]))
    return dataclasses.replace(corpus, xs=out)


def shuffle_frames(corpus: Corpus, seed=5) -> Corpus:
    """Frames permuted over all utterances."""
    rng = np.random.default_rng(seed)
    frames = np.concatenate(corpus.xs)[rng.permutation(corpus.n_frames)]
    cuts = np.cumsum([len(x) for x in corpus.xs])[:-1]
    return dataclasses.replace(corpus, xs=np.split(frames, cuts))


def from_frames(frames: np.ndarray, n_speakers: int, utterances_each: int) -> Corpus:
    """Cuts a frame matrix into equal utterances."""
    parts = np.array_split(np.asarray(frames, dtype=np.float64), n_speakers * utterances_each)
    ids = [f"u{i:04d}" for i in range(len(parts))]
    speakers = [f"s{i // utterances_each:03d}" for i in range(len(parts))]
    return Corpus(ids, speakers, parts, None)


def _storage_args(storage: str, shape) -> dict:
    chunks = tuple(max(1, min(n, c)) for n, c in zip(shape, (97, 16)))
    if storage == "contiguous":
        return {}
    if storage == "chunked":
        return {"chunks": chunks}
    if storage == "gzip":
        return {"chunks": chunks, "compression": "gzip"}
    if storage == "gzip_shuffle":
        return {"chunks": chunks, "compression": "gzip", "shuffle": True}
    if storage == "zstd":
        return {"chunks": chunks, **hdf5plugin.Zstd()}
    if storage == "lz4":
        return {"chunks": chunks, **hdf5plugin.LZ4()}
    raise ValueError(storage)


def _speaker_array(speakers: list[str], kind: str):
    if kind in ("i4", "i8"):
        return np.array([int(s) for s in speakers], dtype=kind), None
    if kind == "fixed":
        return np.array([s.encode() for s in speakers]), None
    return np.array(speakers, dtype=object), h5py.string_dtype("utf-8")


def write_a(path, corpus: Corpus, dtype="f4", storage="contiguous", speaker_kind="vlen") -> Path:
    with h5py.File(path, "w", libver="earliest") as f:
        f.attrs["format"] = "phase0-latents"
        f.attrs["version"] = 1
        f.attrs["frame_rate_hz"] = np.float64(corpus.rate)
        x = np.concatenate(corpus.xs).astype(dtype)
        f.create_dataset("x", data=x, **_storage_args(storage, x.shape))
        if corpus.energies is not None:
            energy = np.concatenate(corpus.energies)
            f.create_dataset("energy", data=energy, **_storage_args(storage, energy.shape))
        g = f.create_group("utterances")
        g.create_dataset("id", data=np.array(corpus.ids, dtype=object), dtype=h5py.string_dtype("utf-8"))
        names, kind = _speaker_array(corpus.speakers, speaker_kind)
        g.create_dataset("speaker", data=names, dtype=kind)
        offsets = np.concatenate([[0], np.cumsum([len(x) for x in corpus.xs])]).astype(np.int64)
        g.create_dataset("offset", data=offsets)
    return Path(path)


def write_b(path, corpus: Corpus, dtype="f4", storage="contiguous", speaker_kind="vlen") -> Path:
    with h5py.File(path, "w", libver="earliest") as f:
        f.attrs["frame_rate_hz"] = np.float64(corpus.rate)
        for i, (name, speaker, x) in enumerate(zip(corpus.ids, corpus.speakers, corpus.xs)):
            g = f.create_group(name)
            g.attrs["speaker_id"] = np.int64(speaker) if speaker_kind in ("i4", "i8") else speaker
            g.create_dataset("x", data=x.astype(dtype), **_storage_args(storage, x.shape))
            if corpus.energies is not None:
                e = corpus.energies[i]
                g.create_dataset("energy", data=e, **_storage_args(storage, e.shape))
    return Path(path)


def write(path, corpus: Corpus, layout="A", **kwargs) -> Path:
    return (write_a if layout == "A" else write_b)(path, corpus, **kwargs)
