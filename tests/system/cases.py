"""Runs that the oracle checks: both storages, both layouts, all element types. `case` is one finished run."""

from __future__ import annotations

import json
from types import SimpleNamespace

import h5py
import harness
import latents
import numpy as np
import oracle
import pytest

SPLITS = ("train", "eval")
CELLS = [(name, lag) for name in ("mean_vq16", "pca4_vq24", "pca3_quartile") for lag in (1, 3)]

# name: (layout, writer options, storage, corpus options, configuration changes)
CASES = {
    "window_f4": ("A", {}, "window", {}, {}),
    "dense_f4": ("A", {}, "dense", {}, {}),
    "window_f2": ("A", {"dtype": "f2"}, "window", {"dim": 33}, {"context.window_size": 5}),
    "dense_f8_gzip": ("A", {"dtype": "f8", "storage": "gzip", "speaker_kind": "fixed"}, "dense", {}, {}),
    "window_f8_chunked": ("A", {"dtype": "f8", "storage": "chunked"}, "window", {"dim": 17}, {}),
    "window_b_zstd": ("B", {"storage": "zstd", "speaker_kind": "i8"}, "window", {"numeric_speakers": True}, {}),
    "dense_b_f2": ("B", {"dtype": "f2", "storage": "chunked"}, "dense", {}, {"clustering.holdout": "exclude"}),
    "window_offset": ("A", {}, "window", {"offset": 1e4}, {}),
    "dense_offset": ("A", {"storage": "zstd"}, "dense", {"offset": 1e4}, {}),
    "sample_restarts": ("A", {"speaker_kind": "i4"}, "window", {"numeric_speakers": True, "mean_frames": 120},
                        {"clustering.kmeans.restarts_on": "sample", "metrics.permutations": 0}),
}
PERMUTED = ("window_f4", "dense_b_f2")  # cases whose random baseline is checked against own permutations


def speaker_split(cfg, corpus, where):
    """Speaker files, so that the split is known; one speaker belongs to neither."""
    names = corpus.speaker_names
    rng = np.random.default_rng(2)
    order = [names[i] for i in rng.permutation(len(names))]
    train, ev = order[:15], order[15:23]
    for key, members in (("train", train), ("eval", ev)):
        path = where / f"{key}.txt"
        path.write_text("\n".join(members) + "\n")
        cfg["splits"][f"{key}_speakers_file"] = str(path)
    del cfg["splits"]["n_train_speakers"], cfg["splits"]["n_eval_speakers"]
    return set(train), set(ev)


@pytest.fixture(scope="session", params=CASES)
def case(request, tmp_path_factory, binary):
    layout, writer, storage, corpus_options, changes = CASES[request.param]
    where = tmp_path_factory.mktemp(request.param)
    corpus = latents.make(seed=len(request.param), **corpus_options)
    path = latents.write(where / "latents.h5", corpus, layout=layout, **writer)
    cfg = harness.merged(harness.base_config(path, where / "run"), {"features.storage": storage, **changes})
    train, ev = speaker_split(cfg, corpus, where)
    run_dir = harness.run_ok(cfg, where)
    c = SimpleNamespace(name=request.param, cfg=cfg, dir=run_dir, storage=storage, cache={},
                        samples=oracle.Samples(path, cfg, train, ev))
    c.features = h5py.File(run_dir / "features.h5", "r")
    c.models = h5py.File(run_dir / "models.h5", "r")
    c.assignments = h5py.File(run_dir / "assignments.h5", "r")
    c.metrics = json.loads((run_dir / "metrics.json").read_text())
    yield c
    for f in (c.features, c.models, c.assignments):
        f.close()


def once(case, key, compute):
    if key not in case.cache:
        case.cache[key] = compute()
    return case.cache[key]


def ids(case, name, lag, split):
    return case.assignments[f"lag{lag}/{name}/{split}/cluster"][()]


def feature_matrix(case, name, lag, split):
    """What the condition clusters: float32 means, or scores from the stored PCA."""
    def compute():
        if name.startswith("mean"):
            return case.samples.mean(split, lag)
        g = case.models[f"lag{lag}/{name}/pca"]
        p = oracle.Pca(g["mean"][()].astype(float), g["components"][()].astype(float), None, None)
        return p.scores(case.samples.flat(split, lag))
    return once(case, ("features", name[:4], name if name.startswith("pca") else "", lag, split), compute)


def normalised(case, split):
    return once(case, ("z", split), lambda: case.samples.normalised(split))
