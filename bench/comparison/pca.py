"""Top components of windows: `phase0 fit` with one PCA condition against scikit-learn on the windows in memory."""

import sys

import h5py
import numpy as np
from sklearn.decomposition import PCA, IncrementalPCA
from threadpoolctl import threadpool_limits

import workload
from comparison.turns import Tool, Turn, print_table, timed, take_turns

FRAMES = 106_000  # about 100,000 rows
WINDOW, COMPONENTS = 8, 8
ACCURATE = 1e-5  # of phase0: 1 - cosine of the largest angle between the subspaces
CREDIBLE = 0.99  # of the peers, whose methods approximate: variance kept over the most that can be


def windows(latents, run):
    """The train rows of a run as a matrix [N, W D]."""
    with h5py.File(latents) as source, h5py.File(run / "features.h5") as features:
        x, offset = source["x"][:], source["utterances/offset"][:]
        ends = offset[features["train/rows/utterance"][:]] + features["train/rows/t"][:] - 1
    return x[ends[:, None] + np.arange(1 - WINDOW, 1)].reshape(len(ends), -1)


class Exact:
    """Of the float64 covariance."""

    def __init__(self, flat):
        mean = flat.mean(axis=0, dtype=np.float64)
        self.covariance = np.zeros((flat.shape[1], flat.shape[1]))
        for first in range(0, len(flat), 4096):
            rows = flat[first : first + 4096] - mean
            self.covariance += rows.T @ rows
        values, vectors = np.linalg.eigh(self.covariance)
        self.most, self.components = values[-COMPONENTS:].sum(), vectors[:, -COMPONENTS:].T

    def compare(self, components):
        """1 - cosine of the largest angle to the subspace of these components, and their share of the variance that
        as many can have."""
        basis = np.linalg.qr(components.astype(np.float64).T)[0]
        cosine = np.linalg.svd(self.components @ basis, compute_uv=False).min()
        return 1 - cosine, np.trace(basis.T @ self.covariance @ basis) / self.most


def compare(arguments):
    latents = workload.make_latents(int(FRAMES * arguments.fraction), arguments.folder)
    out = arguments.folder / "pca_run"
    clustering = {"conditions": [workload.PCA_QUARTILE]}
    n_speakers = len(set(h5py.File(latents)["utterances/speaker"][:]))
    splits = {"n_train_speakers": n_speakers - 1, "n_eval_speakers": 1}
    config = workload.configuration(latents, out, clustering=clustering, splits=splits, slices=[workload.ALL])
    path = workload.write_configuration(arguments.folder / "pca.json", config)
    flags = ["-c", path, "-q", "--progress", "none", "--memory", "512MiB", "--threads", arguments.threads, "--fresh"]
    workload.measured([arguments.phase0, "collect", *flags])

    def phase0(_):
        taken = workload.measured([arguments.phase0, "fit", *flags])
        with h5py.File(out / "models.h5") as models:
            return Turn([taken.seconds], taken.cpu_seconds, models["lag1/pca8_quartile/pca/components"][:])

    def scikit_learn(model):
        with threadpool_limits(arguments.threads):
            turn = timed(lambda: model.fit(flat))
        turn.answer = turn.answer.components_
        return turn

    flat = windows(latents, out)
    exact = Exact(flat)

    def check(tool, components):
        off, share = exact.compare(components)
        if not (off <= ACCURATE if tool.name == "phase0" else share >= CREDIBLE):
            sys.exit(f"pca: {tool.name}: subspace is off by {off} and has {share} of the variance")
        return off, share

    tools = [
        Tool("phase0", phase0),
        Tool(
            "scikit-learn PCA, randomized",
            lambda i: scikit_learn(PCA(COMPONENTS, svd_solver="randomized", random_state=i)),
        ),
        Tool(
            "scikit-learn IncrementalPCA, batch 1024",
            lambda _: scikit_learn(IncrementalPCA(COMPONENTS, batch_size=1024)),
            most_rounds=1,
        ),
    ]
    turns = take_turns(tools, arguments.rounds, check)
    def cell(answers):
        return f"{max(off for off, _ in answers):.1e}; {min(share for _, share in answers):.6f}"

    title = f"top {COMPONENTS} of {flat.shape[1]}-d windows, {len(flat):,} rows"
    print_table(title, turns, "1 - cosine to float64, at most; share of the variance", cell)
