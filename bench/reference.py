#!/usr/bin/env python3
"""The reference workload by number of frames: time and peak memory of every stage, whether time grows linearly, and how
far it is from what the disk, the memory and the arithmetic units allow.

512 dimensions, 251 speakers, W 8, lags 1, 2 and 4, three conditions, three slices, 20 permutations, in 1 GiB. The file
is dropped from the page cache before every run (--warm leaves it there). Labels are checked against float64.

    tools/python_env.sh
    cmake --preset release -DPHASE0_BUILD_BENCH=ON && cmake --build --preset release
    .venv/bin/python bench/reference.py --frames 500000 1000000

The limits are seconds that no program of the same method can go below, each as if the others were free:
    disk     what the stage read from it (run.json), at the rate at which this script reads the file cold
    memory   the frames once, at the rate of phase0_assign_rows
    products at its rate of multiply-adds: the spectral products of one covariance for all lags, the scores, the k-means
             iterations that kmeans.csv records (of 512 values the first three of every run, as bounds save most of the
             later ones), and the ids; in analyze an addition for every value and permutation, and for every condition
             and lag those of the values and their squares

All sizes together take 17 GB of disk for the latents.
"""

import argparse
import csv
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

import numpy as np

import workload
from scaling import check_labels

STAGES = ("collect", "fit", "analyze")
DIM, WINDOW, LAGS, PERMUTATIONS = 512, 8, (1, 2, 4), 20
PCA_DIM, K_MEAN, K_PCA = 8, 64, 256
CONDITIONS = 3
SPECTRAL_PRODUCTS = 92 / 57  # of D x D values a row (src/models/spectral_products.h)
WHOLE_ITERATIONS = 3
PROGRAM = workload.ROOT / "build/release/bench/phase0_assign_rows"


def drop_from_cache(path):
    with open(path, "rb") as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def disk_rate(path, most_bytes=1 << 30):
    """Bytes per second of reading a file from front to back that is not in the page cache."""
    drop_from_cache(path)
    buffer = bytearray(8 << 20)
    total = 0
    with open(path, "rb", buffering=0) as file:
        start = time.perf_counter()
        while total < most_bytes and (n := file.readinto(buffer)) > 0:
            total += n
    return total / (time.perf_counter() - start)


def machine_rates(threads):
    """Bytes per second from memory and float32 operations per second, as phase0_assign_rows measures them beside a
    search that is of no interest here."""
    with tempfile.TemporaryDirectory() as folder:
        np.zeros((1008, 8), np.float32).tofile(f"{folder}/x")
        np.eye(8, dtype=np.float32).tofile(f"{folder}/c")
        sizes = ["1008", "8", "8", str(threads), "1"]
        command = [PROGRAM, f"{folder}/x", f"{folder}/c", *sizes, f"{folder}/labels"]
        facts = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return facts["read_bytes_per_second"], facts["flop_per_second"]


def operations(run, n_train, n_rows):
    """Float32 operations of each stage, as the page's head counts them."""
    with open(run / "kmeans.csv", newline="") as file:
        iterations = list(csv.DictReader(file))
    kmeans = 0
    for row in iterations:
        on_mean = row["condition"] == "mean_vq64"
        if not on_mean or int(row["iteration"]) <= WHOLE_ITERATIONS:
            kmeans += 2 * int(row["n_rows"]) * (K_MEAN * DIM if on_mean else K_PCA * PCA_DIM)
    covariance = 2 * n_train * SPECTRAL_PRODUCTS * DIM**2
    ids = 2 * n_rows * (WINDOW * DIM * PCA_DIM + K_MEAN * DIM + K_PCA * PCA_DIM)
    sums = n_rows * DIM * (PERMUTATIONS + 2 * CONDITIONS * len(LAGS))
    return {"collect": 0, "fit": covariance + kmeans + len(LAGS) * ids, "analyze": sums}


def run_workload(frames, arguments):
    """run.json's stages, seconds of the whole process, and the run directory."""
    latents = workload.make_latents(frames, arguments.folder)
    out = arguments.folder / f"reference_{frames}"
    config = workload.configuration(latents, out, context={"lags": list(LAGS)}, features={"storage": "auto"})
    path = workload.write_configuration(out.with_suffix(".json"), config)
    if not arguments.warm:
        drop_from_cache(latents)
    flags = ["--fresh", "-q", "--progress", "none", "--memory", arguments.memory, "--threads", arguments.threads]
    taken = workload.measured([arguments.phase0, "run", "-c", path, *flags])
    check_labels(out, latents)
    stages = json.loads((out / "run.json").read_text())["stages"]
    for stage in STAGES:
        if stages[stage]["peak_rss_bytes"] > stages[stage]["budget_bytes"]:
            sys.exit(f"{frames} frames: {stage} took {stages[stage]['peak_rss_bytes']} bytes, more than its budget")
    return stages, taken.seconds, out


def print_rows(frames, stages, whole, limits):
    for stage in STAGES:
        seconds, peak = stages[stage]["seconds"], stages[stage]["peak_rss_bytes"] / 2**20
        largest = max(limits[stage])
        cells = " | ".join(f"{limit:.2f}" for limit in limits[stage])
        print(f"| {frames:,} | {stage} | {seconds:.1f} | {peak:.0f} | {cells} | {seconds / largest:.1f} |", flush=True)
    peak = max(stages[stage]["peak_rss_bytes"] for stage in STAGES) / 2**20
    print(f"| {frames:,} | whole run | {whole:.1f} | {peak:.0f} | | | | |", flush=True)


def print_growth(seconds):
    """`seconds`: {stage: {frames: seconds}}. The straight line nearest to the times, relative to them."""
    print("\n| stage | s per million frames | s at none | farthest from the line |\n|---|---|---|---|")
    for stage, times in seconds.items():
        millions, taken = np.array(list(times)) / 1e6, np.array(list(times.values()))
        slope, start = np.polyfit(millions, taken, 1, w=1 / taken)
        off = np.max(np.abs(start + slope * millions - taken) / taken)
        print(f"| {stage} | {slope:.2f} | {start:.2f} | {100 * off:.0f} % |")


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    sizes = [500_000, 1_000_000, 2_000_000, 4_500_000]
    parser.add_argument("--frames", type=int, nargs="+", default=sizes, help="40,000 and more, for 251 speakers")
    parser.add_argument("--memory", default="1GiB")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--warm", action="store_true", help="leave the latents in the page cache")
    parser.add_argument("--phase0", type=pathlib.Path, default=workload.ROOT / "build/release/phase0")
    parser.add_argument("--folder", type=pathlib.Path, default=workload.FOLDER)
    return parser.parse_args()


def main():
    arguments = parse_arguments()
    read, multiply_add = machine_rates(arguments.threads)
    limit_titles = "disk limit s | memory limit s | products limit s | seconds / largest"
    print(f"| frames | stage | seconds | peak MiB | {limit_titles} |")
    print("|---|---|---|---|---|---|---|---|")
    seconds = {stage: {} for stage in (*STAGES, "whole run")}
    rates = []
    for frames in arguments.frames:
        rates.append(disk_rate(workload.make_latents(frames, arguments.folder)))
        stages, whole, out = run_workload(frames, arguments)
        facts = stages["collect"]
        flops = operations(out, facts["n_train"], facts["rows"])
        n_bytes = 4 * DIM * frames
        limits = {
            stage: (stages[stage]["bytes_read"] / rates[-1], n_bytes / read, flops[stage] / multiply_add)
            for stage in STAGES
        }
        print_rows(frames, stages, whole, limits)
        for stage in STAGES:
            seconds[stage][frames] = stages[stage]["seconds"]
        seconds["whole run"][frames] = whole
    if len(arguments.frames) > 1:
        print_growth(seconds)
    print(
        f"\n{arguments.threads} thread(s), budget {arguments.memory}; disk {min(rates) / 1e9:.2f} to "
        f"{max(rates) / 1e9:.2f} GB/s, memory {read / 1e9:.1f} GB/s, multiply-adds {multiply_add / 1e9:.0f} GFLOP/s; "
        f"{workload.machine()}, this included"
    )


if __name__ == "__main__":
    main()
