"""k-means with restarts: `phase0 fit` with one condition against scikit-learn and FAISS on the rows in memory."""

import statistics
import sys

import faiss
import h5py
import numpy as np
from sklearn.cluster import KMeans
from threadpoolctl import threadpool_limits

import workload
from comparison.rows import inertia, rows_configuration, write_rows
from comparison.turns import Tool, Turn, print_table, timed, take_turns

FRAMES, ROWS = 106_000, 100_000
WINDOW, K = 8, 64
WORST = 1.002  # inertia of phase0 over that of the best tool
OPTIONS = {"n_init": 10, "max_iter": 100, "tol": 1e-4}


def mean_windows(latents, n_rows):
    """Means of windows inside utterances, [n_rows, D]: rows with structure."""
    with h5py.File(latents) as file:
        x, offset = file["x"][:], file["utterances/offset"][:]
    position = np.arange(len(x)) - np.repeat(offset[:-1], np.diff(offset))
    ends = np.flatnonzero(position >= WINDOW - 1)[:n_rows]
    return np.mean([x[ends - back] for back in range(WINDOW)], axis=0, dtype=np.float64).astype(np.float32)


class Phase0:
    def __init__(self, arguments, rows, restarts_on):
        self.name = "phase0" if restarts_on == "auto" else f"phase0, restarts_on {restarts_on}"
        self.phase0, self.n = arguments.phase0, len(rows)
        self.out = arguments.folder / f"kmeans_run_{restarts_on}"
        options = OPTIONS | {"restarts_on": restarts_on}
        config = rows_configuration(arguments.folder / "kmeans_rows.h5", self.out, options, workload.MEAN_VQ)
        path = workload.write_configuration(arguments.folder / f"kmeans_{restarts_on}.json", config)
        self.flags = ["-c", path, "-q", "--progress", "none", "--memory", "512MiB", "--threads", arguments.threads]

    def turn(self, i):
        flags = [*self.flags, "--fresh", "--set", f"seed={i}"]
        workload.measured([self.phase0, "collect", *flags])
        taken = workload.measured([self.phase0, "fit", *flags])
        with h5py.File(self.out / "models.h5") as models:
            model = models["lag1/mean_vq64/kmeans"]
            if model.attrs["n_total"] != self.n:
                sys.exit(f"kmeans: phase0 fitted {model.attrs['n_total']} of {self.n} rows")
            answer = model["centroids"][:], model.attrs["n_iter"], model.attrs["inertia"]
        return Turn([taken.seconds], taken.cpu_seconds, answer)


def peers(arguments, rows):
    iterations = {}

    def scikit_learn(i):
        with threadpool_limits(arguments.threads):
            turn = timed(lambda: KMeans(K, random_state=i, **OPTIONS).fit(rows))
        model = turn.answer
        iterations["scikit-learn"] = model.n_iter_
        turn.answer = model.cluster_centers_, model.n_iter_, model.inertia_
        return turn

    def faiss_kmeans(i):
        faiss.omp_set_num_threads(arguments.threads)
        n_iter = iterations["scikit-learn"]  # FAISS has no stopping rule
        options = {"niter": n_iter, "nredo": OPTIONS["n_init"], "max_points_per_centroid": len(rows), "seed": i + 1}
        model = faiss.Kmeans(rows.shape[1], K, **options)
        turn = timed(lambda: model.train(rows))
        turn.answer = model.centroids, n_iter, None
        return turn

    return [Tool("scikit-learn", scikit_learn), Tool("FAISS", faiss_kmeans, most_rounds=1)]


def compare(arguments):
    latents = workload.make_latents(int(FRAMES * arguments.fraction), arguments.folder)
    rows = mean_windows(latents, int(ROWS * arguments.fraction))
    write_rows(arguments.folder / "kmeans_rows.h5", rows)
    ours = [Phase0(arguments, rows, restarts_on) for restarts_on in ("auto", "all")]

    def check(tool, answer):
        centroids, n_iter, stated = answer
        value = inertia(rows, centroids)
        if stated is not None and not abs(stated / value - 1) <= 1e-4:
            sys.exit(f"kmeans: {tool.name} states an inertia of {stated}, its centroids have {value}")
        return value, int(n_iter)

    tools = [*(Tool(phase0.name, phase0.turn) for phase0 in ours), *peers(arguments, rows)]
    turns = take_turns(tools, arguments.rounds, check)
    # Restarts are luck: tools are held against each other by their means over the turns.
    means = {name: statistics.mean(turn.answer[0] for turn in tool) for name, tool in turns.items()}
    best = min(means.values())
    if max(means[phase0.name] for phase0 in ours) > WORST * best:
        sys.exit(f"kmeans: phase0 has a larger inertia than another tool: {means}")

    def cell(answers):
        ratios = [value / best for value, _ in answers]
        spread = f"{statistics.mean(ratios):.5f} ({min(ratios):.5f} to {max(ratios):.5f})"
        return f"{spread}; {', '.join(str(n_iter) for _, n_iter in answers)}"

    title = f"k-means, K {K}, {OPTIONS['n_init']} restarts, {len(rows):,} x {rows.shape[1]}"
    print_table(title, turns, "inertia / least mean of a tool; iterations of the best restart", cell)
