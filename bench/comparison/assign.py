"""Rows to their nearest centroids (normal deviates), from memory: the library's search (phase0_assign_rows), FAISS and
scikit-learn. phase0's labels must be those of float64 for every row; a peer's may differ where two centroids are as
near as float32 can tell."""

import json
import subprocess
import sys
import tempfile

import faiss
import numpy as np
from sklearn.metrics import pairwise_distances_argmin
from threadpoolctl import threadpool_limits

import workload
from comparison.turns import Tool, Turn, print_table, timed, take_turns

CASES = ((512, 64, 131_072), (8, 256, 1_048_576))  # D, K, rows
CALLS = 3  # per turn, after one that warms up
PROGRAM = workload.ROOT / "build/release/bench/phase0_assign_rows"


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
    def __init__(self, arguments, folder, x, centroids):
        sizes = (len(x), x.shape[1], len(centroids), arguments.threads, CALLS)
        self.labels, self.facts = f"{folder}/labels", {}
        self.command = [PROGRAM, f"{folder}/x", f"{folder}/c", *map(str, sizes), self.labels]
        x.tofile(f"{folder}/x")
        centroids.tofile(f"{folder}/c")

    def turn(self, _):
        self.facts = json.loads(subprocess.run(self.command, check=True, capture_output=True, text=True).stdout)
        return Turn(self.facts["seconds"], None, np.fromfile(self.labels, np.int32))


def peers(arguments, x, centroids):
    faiss.omp_set_num_threads(arguments.threads)
    index = faiss.IndexFlatL2(x.shape[1])
    index.add(centroids)

    def scikit_learn():
        with threadpool_limits(arguments.threads):
            return pairwise_distances_argmin(x, centroids)

    def turn(call):
        timed_calls = [timed(call) for _ in range(1 + CALLS)][1:]
        seconds = [timed_call.seconds[0] for timed_call in timed_calls]
        return Turn(seconds, timed_calls[-1].cpu_seconds, timed_calls[-1].answer)

    return [
        Tool("FAISS", lambda _: turn(lambda: index.search(x, 1)[1][:, 0])),
        Tool("scikit-learn", lambda _: turn(scikit_learn)),
    ]


def compare_case(arguments, d, k, n, folder):
    random = np.random.default_rng(1)
    x = random.standard_normal((n, d), dtype=np.float32)
    centroids = 0.5 * random.standard_normal((k, d), dtype=np.float32)
    ours = Phase0(arguments, folder, x, centroids)

    def check(tool, labels):
        wrong = wrong_labels(x, centroids, labels)
        if wrong > (0 if tool.name == "phase0" else n // 1000):
            sys.exit(f"assign: {tool.name}: {wrong} of {n} labels are wrong")
        return wrong

    turns = take_turns([Tool("phase0", ours.turn), *peers(arguments, x, centroids)], arguments.rounds, check)
    title = f"assign {d}-d, K {k}, {n:,} rows"
    print_table(title, turns, "labels that float64 does not share", lambda wrong: str(max(wrong)))
    least = min(s for turn in turns["phase0"] for s in turn.seconds)
    rate, flops = x.nbytes / least, 2 * n * d * k / least
    read, peak = ours.facts["read_bytes_per_second"], ours.facts["flop_per_second"]
    print(
        f"\nphase0 ({ours.facts['kernels']} kernels), least time: {rate / 1e9:.2f} GB/s of rows, "
        f"{100 * rate / read:.0f} % of the memory's {read / 1e9:.1f}; {flops / 1e9:.0f} GFLOP/s, "
        f"{100 * flops / peak:.0f} % of the multiply-add peak of {peak / 1e9:.0f}"
    )


def compare(arguments):
    with tempfile.TemporaryDirectory() as folder:
        for d, k, n in CASES:
            compare_case(arguments, d, k, int(n * arguments.fraction), folder)
