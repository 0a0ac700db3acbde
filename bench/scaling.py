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

import h5py
import numpy as np

import workload


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
    latents = workload.make_latents(frames, args.folder)
    run = args.folder / f"run_{frames}_{storage}"
    config = workload.configuration(latents, run, features={"storage": storage})
    config = workload.write_configuration(args.folder / f"{run.name}.json", config)
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
    parser.add_argument("--phase0", default=workload.ROOT / "build/release/phase0")
    parser.add_argument("--folder", type=pathlib.Path, default=workload.FOLDER)
    parser.add_argument("--frames", type=int, nargs="+", default=[55_000, 218_000, 872_000])
    parser.add_argument("--storage", nargs="+", default=["window"])
    parser.add_argument("--memory", default="1GiB")
    args = parser.parse_args()
    print(f"{os.cpu_count()} cores, budget {args.memory}\n")
    print("| rows | storage | stage | seconds | peak MiB | planned MiB |\n|---|---|---|---|---|---|", flush=True)
    for storage in args.storage:
        for frames in args.frames:
            measure(frames, storage, args)


if __name__ == "__main__":
    main()
