#!/usr/bin/env python3
"""What restarts on a sample cost in quality: inertia of `restarts_on: sample` against `all` on five data sets, and
processor seconds of `phase0 fit`, as a Markdown table. Ends with code 1 when the mean over the seeds is more than 0.1 %
worse on one of them. Inertias are taken afresh, in float64, from the centroids. Every seed has restarts of its own, so
that the ratio of two is uncertain by as much as inertias of restarts on all rows differ: the column `all`.

    .venv/bin/python bench/sample_quality.py
"""

import argparse
import os
import pathlib
import sys

import h5py
import numpy as np

import workload
from comparison.rows import inertia, rows_configuration, write_rows

WORST = 1e-3
OPTIONS = {"n_init": 10, "max_iter": 100, "tol": 1e-4}


def uniform(_):
    return np.random.default_rng(1).uniform(-1, 1, (119_800, 8))


def student(_):
    return np.random.default_rng(2).standard_t(4, (88_053, 64))


def blobs(_):
    """Apart from each other: a solution is as good as it has few centroids that share a blob."""
    rng = np.random.default_rng(3)
    centres = rng.uniform(-10, 10, (200, 32))
    return centres[rng.integers(0, 200, 96_439)] + 4 * rng.standard_normal((96_439, 32))


def demo(arguments, feature):
    out = arguments.folder / "quality_demo"
    sets = [f"data.latents={workload.ROOT / 'data/demo/latents.h5'}", "features.storage=dense"]
    sets += ["context.lags=[1]", f"output.dir={out}"]
    flags = [word for each in sets for word in ("--set", each)]
    workload.measured([arguments.phase0, "collect", "-c", workload.ROOT / "configs/demo.yaml", "-q", *flags])
    with h5py.File(out / "features.h5") as features:
        return features[f"train/lag1/{feature}"][:]


def demo_means(arguments):
    return demo(arguments, "mean")


def demo_components(arguments):
    x = demo(arguments, "flat").astype(np.float64)
    x = (x - x.mean(0)) / x.std(0)
    _, axes = np.linalg.eigh(x.T @ x)
    return x @ axes[:, -8:]


SETS = {
    "uniform": (uniform, 256),
    "Student t, 4 degrees of freedom": (student, 64),
    "200 blobs": (blobs, 200),
    "demo, means": (demo_means, 64),
    "demo, 8 components": (demo_components, 128),
}


def fitted(arguments, rows, k, restarts_on, seed):
    """Inertia and processor seconds."""
    out = arguments.folder / "quality_run"
    condition = {"name": "vq", "type": "mean_pool_vq", "k": k}
    options = OPTIONS | {"restarts_on": restarts_on}
    config = rows_configuration(arguments.folder / "quality_rows.h5", out, options, condition)
    path = workload.write_configuration(arguments.folder / "quality.json", config)
    flags = ["-c", path, "-q", "--progress", "none", "--threads", arguments.threads, "--set", f"seed={seed}"]
    workload.measured([arguments.phase0, "collect", *flags, "--fresh"])
    taken = workload.measured([arguments.phase0, "fit", *flags, "--fresh"])
    with h5py.File(out / "models.h5") as models:
        model = models["lag1/vq/kmeans"]
        if model.attrs["n_total"] != len(rows):
            sys.exit(f"phase0 fitted {model.attrs['n_total']} of {len(rows)} rows")
        return inertia(rows, model["centroids"][:]), taken.cpu_seconds


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[42, 43, 44, 45])
    parser.add_argument("--sets", nargs="+", choices=SETS, default=SETS)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--phase0", type=pathlib.Path, default=workload.ROOT / "build/release/phase0")
    parser.add_argument("--folder", type=pathlib.Path, default=workload.FOLDER, help="for data and runs")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    print("| data | rows x dimensions | K | sample / all - 1 | mean | all | CPU of all, s | CPU of sample, s |")
    print("|---|---|---|---|---|---|---|---|")
    missed = []
    for name in arguments.sets:
        make, k = SETS[name]
        rows = make(arguments).astype(np.float32)
        write_rows(arguments.folder / "quality_rows.h5", rows)
        runs = {way: [fitted(arguments, rows, k, way, seed) for seed in arguments.seeds] for way in ("all", "sample")}
        values = {way: np.array([value for value, _ in of_way]) for way, of_way in runs.items()}
        seconds = {way: np.mean([cpu for _, cpu in of_way]) for way, of_way in runs.items()}
        ratios = values["sample"] / values["all"] - 1
        mean = values["sample"].mean() / values["all"].mean() - 1
        spread = np.abs(values["all"] / values["all"].mean() - 1).max()
        if mean > WORST:
            missed.append(name)
        each = ", ".join(f"{100 * ratio:+.3f} %" for ratio in ratios)
        shape = f"{len(rows):,} x {rows.shape[1]} | {k}"
        cells = f"{100 * mean:+.3f} % | +-{100 * spread:.3f} % | {seconds['all']:.1f} | {seconds['sample']:.1f}"
        print(f"| {name} | {shape} | {each} | {cells} |", flush=True)
    if missed:
        sys.exit(f"more than {100 * WORST} % worse: {', '.join(missed)}")


if __name__ == "__main__":
    main()
