"""Any matrix as latents whose k-means sees exactly its rows."""

import h5py
import numpy as np

import workload


def write_rows(path, rows):
    """Layout A in which the contexts of lag 1 and window 1 of the train speaker are the rows: an utterance of them all
    and one frame more. A short one stands for the eval speaker."""
    frames = np.concatenate([rows, rows[:1], rows[:3]])
    with h5py.File(path, "w") as file:
        file.attrs.update({"format": "phase0-latents", "version": 1, "frame_rate_hz": 12.5})
        file["x"] = frames
        file["utterances/id"] = ["rows", "other"]
        file["utterances/speaker"] = ["train", "eval"]
        file["utterances/offset"] = np.array([0, len(rows) + 1, len(frames)])


def rows_configuration(latents, out, kmeans, condition):
    """For one condition on what write_rows wrote; the files of the speakers are made beside it."""
    speakers = {name: latents.with_name(f"{latents.stem}_{name}.txt") for name in ("train", "eval")}
    for name, path in speakers.items():
        path.write_text(f"{name}\n")
    return workload.configuration(
        latents,
        out,
        data={"min_duration_sec": 0},
        context={"window_size": 1},
        clustering={"kmeans": kmeans, "conditions": [condition]},
        slices=[workload.ALL],
    ) | {"splits": {f"{name}_speakers_file": str(path) for name, path in speakers.items()}}


def inertia(rows, centroids):
    c = centroids.astype(np.float64)
    total = 0.0
    for first in range(0, len(rows), 16384):
        x = rows[first : first + 16384].astype(np.float64)
        squared = (x**2).sum(1)[:, None] - 2 * x @ c.T + (c**2).sum(1)
        total += squared.min(axis=1).sum()
    return total
