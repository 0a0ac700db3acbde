#!/usr/bin/env python3
"""Time and peak memory of every stage against the number of rows, as a Markdown table.

Makes synthetic latents (bench/make_latents.py), runs `phase0 run` on each with the three conditions of the reference
configuration at one lag, checks the answer (labels of a sample of rows against a float64 brute force), and prints what
run.json recorded. Needs the virtual environment of tools/python_env.sh.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys

import h5py
import numpy as np

ROOT = pathlib.Path(__file__).resolve().parent.parent

CONFIG = """\
seed: 42
data: {{latents: {latents}, min_duration_sec: 3.0}}
splits: {{n_train_speakers: 200, n_eval_speakers: 51}}
context: {{window_size: 8, lags: [1]}}
features: {{storage: {storage}}}
clustering:
  min_cluster_size: 100
  kmeans: {{n_init: 10, max_iter: 100, tol: 1.0e-4, restarts_on: auto}}
  conditions:
    - {{name: mean_vq64, type: mean_pool_vq, k: 64}}
    - {{name: pca8_vq256, type: pca_vq, pca_dim: 8, k: 256}}
    - {{name: pca8_quartile, type: pca_quartile, pca_dim: 8}}
slices:
  - {{name: all, filter: null}}
  - {{name: high_energy, filter: energy_above_median}}
  - {{name: utterance_medial, filter: pos_frac_0.17_0.83}}
metrics: {{permutations: 20}}
output: {{dir: {out}}}
"""


def make(frames, folder):
    path = folder / f"latents_{frames}.h5"
    if not path.exists():
        subprocess.run([sys.executable, ROOT / "bench/make_latents.py", "--frames", str(frames), "--dim", "512",
                        "--speakers", "251", "--seed", "1", "--out", path], check=True, stdout=subprocess.DEVNULL)
    return path


def check_labels(run, latents, n=200):
    """Ids of the mean-pool condition for the first train rows, against a float64 brute force."""
    with h5py.File(run / "features.h5") as f, h5py.File(latents) as x, h5py.File(run / "models.h5") as m, \
            h5py.File(run / "assignments.h5") as a:
        offsets = x["utterances/offset"][:]
        utterance, t = f["train/rows/utterance"][:n], f["train/rows/t"][:n]
        centroids = m["lag1/mean_vq64/kmeans/centroids"][:].astype(np.float64)
        for row in range(n):
            end = offsets[utterance[row]] + t[row] - 1
            mean = x["x"][end - 7:end + 1].astype(np.float64).mean(0).astype(np.float32).astype(np.float64)
            label = ((mean - centroids) ** 2).sum(1).argmin()
            assert label == a["lag1/mean_vq64/train/cluster"][row], f"row {row}: wrong label"


def measure(frames, storage, args):
    latents = make(frames, args.folder)
    run = args.folder / f"run_{frames}_{storage}"
    config = args.folder / f"{run.name}.yaml"
    config.write_text(CONFIG.format(latents=latents, out=run, storage=storage))
    command = [args.phase0, "run", "-c", config, "--fresh", "--progress", "none", "-q", "--memory", args.memory]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    check_labels(run, latents)
    facts = json.loads((run / "run.json").read_text())
    rows = facts["stages"]["collect"]["rows"]
    for stage in ("collect", "fit", "analyze"):
        s = facts["stages"][stage]
        print(f"| {rows:,} | {storage} | {stage} | {s['seconds']:.1f} | {s['peak_rss_bytes'] / 2**20:.0f} | "
              f"{s['planned_peak_bytes'] / 2**20:.0f} |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--phase0", default=ROOT / "build/release/phase0")
    parser.add_argument("--folder", type=pathlib.Path, default=pathlib.Path("/tmp/phase0-bench"))
    parser.add_argument("--frames", type=int, nargs="+", default=[55_000, 218_000, 872_000])
    parser.add_argument("--storage", nargs="+", default=["window"])
    parser.add_argument("--memory", default="1GiB")
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    print(f"{os.cpu_count()} cores, budget {args.memory}\n")
    print("| rows | storage | stage | seconds | peak MiB | planned MiB |\n|---|---|---|---|---|---|", flush=True)
    for storage in args.storage:
        for frames in args.frames:
            measure(frames, storage, args)


if __name__ == "__main__":
    main()
