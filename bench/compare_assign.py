#!/usr/bin/env python3
"""Assigning rows to their nearest centroids: phase0 against FAISS and scikit-learn, as a Markdown table.

All three get the same rows and centroids (normal deviates) from memory and the same number of threads, take turns, and
the table shows medians, and the least time for a machine that does other work too. phase0's labels must be those of float64 for every row before a time counts; a peer may differ
where two centroids are as near as float32 can tell.

    python3 -m venv build/peers && build/peers/bin/pip install -r bench/peers.txt
    cmake --preset release -DPHASE0_BUILD_BENCH=ON && cmake --build --preset release --target phase0_assign_rows
    build/peers/bin/python bench/compare_assign.py
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5, help="turns of each tool")
    parser.add_argument("--bin", default=str(ROOT / "build/release/bench/phase0_assign_rows"))
    parser.add_argument("--cases", nargs="*", default=["512,64,131072", "8,256,1048576"], metavar="D,K,N")
    return parser.parse_args()


ARGUMENTS = parse_arguments()
for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = str(ARGUMENTS.threads)  # before the libraries start their threads

import faiss  # noqa: E402
import numpy as np  # noqa: E402
from sklearn.metrics import pairwise_distances_argmin  # noqa: E402
from threadpoolctl import threadpool_limits  # noqa: E402


def wrong_labels(x, centroids, labels):
    """Rows whose label is not a nearest centroid in float64 (within the rounding of float64)."""
    wrong = 0
    c = centroids.astype(np.float64)
    for first in range(0, len(x), 65536):
        rows = x[first : first + 65536].astype(np.float64)
        scores = (c**2).sum(1) - 2 * rows @ c.T
        taken = scores[np.arange(len(rows)), labels[first : first + 65536]]
        scale = (rows**2).sum(1) + (c**2).sum(1).max()
        wrong += int((taken > scores.min(1) + 1e-13 * scale).sum())
    return wrong


class Phase0:
    name = "phase0"

    def __init__(self, folder, x, centroids):
        self.command = [ARGUMENTS.bin, f"{folder}/x", f"{folder}/c", *map(str, (len(x), x.shape[1], len(centroids)))]
        self.command += [str(ARGUMENTS.threads), "3", f"{folder}/labels"]
        self.folder, self.facts = folder, []
        x.tofile(f"{folder}/x")
        centroids.tofile(f"{folder}/c")

    def turn(self):
        out = subprocess.run(self.command, check=True, capture_output=True, text=True).stdout
        self.facts.append(json.loads(out))
        return self.facts[-1]["seconds"], np.fromfile(f"{self.folder}/labels", np.int32)


class Peer:
    def __init__(self, name, call):
        self.name, self.call = name, call

    def turn(self):
        seconds = []
        for _ in range(4):
            start = time.perf_counter()
            labels = self.call()
            seconds.append(time.perf_counter() - start)
        return seconds[1:], labels  # the first warms up


def peers(x, centroids):
    faiss.omp_set_num_threads(ARGUMENTS.threads)
    index = faiss.IndexFlatL2(x.shape[1])
    index.add(centroids)

    def scikit_learn():
        with threadpool_limits(ARGUMENTS.threads):
            return pairwise_distances_argmin(x, centroids)

    return [Peer("FAISS", lambda: index.search(x, 1)[1][:, 0]), Peer("scikit-learn", scikit_learn)]


def compare(d, k, n, folder):
    random = np.random.default_rng(1)
    x = random.standard_normal((n, d), dtype=np.float32)
    centroids = 0.5 * random.standard_normal((k, d), dtype=np.float32)
    ours = Phase0(folder, x, centroids)
    tools = [ours, *peers(x, centroids)]
    seconds = {tool.name: [] for tool in tools}
    for _ in range(ARGUMENTS.rounds):
        for tool in tools:
            times, labels = tool.turn()
            seconds[tool.name] += times
            wrong = wrong_labels(x, centroids, labels)
            if wrong > (0 if tool is ours else n // 1000):
                sys.exit(f"{tool.name}: {wrong} of {n} labels are wrong")
    read = max(fact["read_bytes_per_second"] for fact in ours.facts)
    peak = max(fact["flop_per_second"] for fact in ours.facts)
    medians = {name: statistics.median(times) for name, times in seconds.items()}
    for name, times in seconds.items():
        least = min(times)
        rate, flops = x.nbytes / least, 2 * n * d * k / least
        print(
            f"| {d}-d, K {k}, {n:,} rows | {name} | {1e3 * medians[name]:.0f} | {1e3 * least:.0f} | "
            f"{rate / 1e9:.2f} ({100 * rate / read:.0f} %) | {flops / 1e9:.0f} ({100 * flops / peak:.0f} %) | "
            f"{medians[name] / medians['phase0']:.1f} | {least / min(seconds['phase0']):.1f} |"
        )
    return read, peak, ours.facts[-1]["kernels"]


def main():
    print(
        "| case | tool | median ms | least ms | GB/s of rows at least (of the read rate) | "
        "GFLOP/s (of the peak) | median / phase0 | least / phase0 |"
    )
    print("|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for case in ARGUMENTS.cases:
            read, peak, kernels = compare(*map(int, case.split(",")), folder)
    print(
        f"\n{ARGUMENTS.threads} thread(s), {kernels} kernels, memory read {read / 1e9:.1f} GB/s, multiply-add peak "
        f"{peak / 1e9:.0f} GFLOP/s; FAISS {faiss.__version__} ({faiss.get_compile_options().strip()}); "
        f"load average {os.getloadavg()[0]:.1f} with this"
    )


if __name__ == "__main__":
    main()
