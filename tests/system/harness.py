"""Runs the phase0 binary and reads what it wrote."""

from __future__ import annotations

import copy
import csv
import dataclasses
import hashlib
import json
import math
import os
import re
import subprocess
from pathlib import Path

import h5py
import hdf5plugin  # noqa: F401
import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
BINARY = Path(os.environ.get("PHASE0_BIN", ROOT / "build" / "release" / "phase0")).absolute()
TIMEOUT = float(os.environ.get("PHASE0_TEST_TIMEOUT", "120"))  # seconds per command; raise it for sanitizer builds
#: Tests of what a sanitizer, which takes memory and time of its own, would not let hold.
no_sanitizer = pytest.mark.skipif(bool(os.environ.get("PHASE0_SANITIZE")), reason="a sanitizer takes memory and time of its own")

CSV_FILES = ("tables.csv", "speakers.csv", "clusters.csv", "confidence.csv", "pca.csv", "kmeans.csv", "metrics.csv")
RUN_FILES = ("config.yaml", "run.json", "features.h5", "models.h5", "assignments.h5", "metrics.json",
             "decision.json", "report.txt", "report.html") + CSV_FILES


@dataclasses.dataclass
class Result:
    code: int
    out: str
    err: str

    def __str__(self):
        return f"exit code {self.code}\n--- stdout\n{self.out[-4000:]}\n--- stderr\n{self.err[-4000:]}"


def run(*args, cwd=None, timeout=None, env=None, preexec_fn=None) -> Result:
    done = subprocess.run([str(BINARY), *map(str, args)], capture_output=True, text=True, cwd=cwd,
                          timeout=timeout or TIMEOUT, env=env, stdin=subprocess.DEVNULL, preexec_fn=preexec_fn)
    return Result(done.returncode, done.stdout, done.stderr)


def _scalar(value) -> str:
    if value is None or isinstance(value, (bool, int, float)):
        return json.dumps(value)
    if re.fullmatch(r"[A-Za-z_/][A-Za-z0-9_./-]*", value) or re.fullmatch(r"[0-9.]+(%|[KMG]iB)", value):
        return value
    return json.dumps(value)


def _flow(value) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{k}: {_flow(v)}" for k, v in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_flow(v) for v in value) + "]"
    return _scalar(str(value) if isinstance(value, Path) else value)


def to_yaml(cfg: dict) -> str:
    """One line per section, or per key of a section."""
    lines = []
    for key, value in cfg.items():
        if isinstance(value, dict) and value:
            lines.append(f"{key}:")
            lines += [f"  {k}: {_flow(v)}" for k, v in value.items()]
        else:
            lines.append(f"{key}: {_flow(value)}")
    return "\n".join(lines) + "\n"


def merged(base: dict, changes: dict) -> dict:
    """`base` with `changes` ("a.b.c": value; value ... removes the key)."""
    out = copy.deepcopy(base)
    for path, value in changes.items():
        *parents, last = path.split(".")
        at = out
        for p in parents:
            at = at.setdefault(p, {})
        if value is ...:
            at.pop(last, None)
        else:
            at[last] = value
    return out


def base_config(latents, run_dir) -> dict:
    """Small but complete; lag 1 is among the lags."""
    return {
        "seed": 7,
        "data": {"latents": str(latents), "min_duration_sec": 5.0},
        "splits": {"n_train_speakers": 16, "n_eval_speakers": 8, "seed": 11, "utt_holdout_frac": 0.1},
        "context": {"window_size": 4, "lags": [1, 3]},
        "features": {"storage": "window"},
        "clustering": {
            "min_cluster_size": 100,
            "kmeans": {"n_init": 2, "max_iter": 30, "tol": 1e-4, "restarts_on": "all"},
            "conditions": [
                {"name": "mean_vq16", "type": "mean_pool_vq", "k": 16},
                {"name": "pca4_vq24", "type": "pca_vq", "pca_dim": 4, "k": 24},
                {"name": "pca3_quartile", "type": "pca_quartile", "pca_dim": 3},
            ],
        },
        "slices": [
            {"name": "all", "filter": None},
            {"name": "loud", "filter": "energy_above_median"},
            {"name": "medial", "filter": "pos_frac_0.17_0.83"},
        ],
        "metrics": {"variance_ratio_threshold": 0.6, "cross_speaker_degradation_max": 0.2, "permutations": 10},
        "compute": {"threads": 2},
        "output": {"dir": str(run_dir)},
    }


def write_config(path, cfg: dict) -> Path:
    Path(path).write_text(to_yaml(cfg))
    return Path(path)


def run_config(cfg: dict, where: Path, *args, command="run") -> Result:
    """Runs `command` on `cfg`, whose YAML goes to where/config-in.yaml."""
    where.mkdir(parents=True, exist_ok=True)
    return run(command, "-c", write_config(where / "config-in.yaml", cfg), "--progress", "none", *args)


def run_ok(cfg: dict, where: Path, *args, command="run") -> Path:
    """The run directory of a run that must succeed."""
    result = run_config(cfg, where, *args, command=command)
    assert result.code == 0, str(result)
    return Path(cfg["output"]["dir"])


def datasets(path) -> dict[str, h5py.Dataset]:
    """Name -> (dtype, shape, sha256 of the bytes) of every dataset."""
    out = {}

    def visit(name, obj):
        if isinstance(obj, h5py.Dataset):
            data = obj[()]
            raw = np.ascontiguousarray(data).tobytes() if data.dtype != object else repr(data.tolist()).encode()
            out[name] = (str(obj.dtype), obj.shape, hashlib.sha256(raw).hexdigest())

    with h5py.File(path, "r") as f:
        f.visititems(visit)
    return out


def fingerprint(run_dir: Path) -> dict:
    """What promise 1 of the specification fixes: dataset bytes of models and assignments, and every CSV."""
    out = {f"models/{k}": v for k, v in datasets(run_dir / "models.h5").items()}
    out.update({f"assignments/{k}": v for k, v in datasets(run_dir / "assignments.h5").items()})
    out.update({name: hashlib.sha256((run_dir / name).read_bytes()).hexdigest() for name in CSV_FILES})
    return out


def read_csv(path) -> list[dict]:
    with open(path, newline="") as f:
        return list(csv.DictReader(f))


def csv_header(path) -> list[str]:
    with open(path, newline="") as f:
        return next(csv.reader(f))


def number(text: str) -> float | None:
    """A CSV field; empty is undefined."""
    return None if text == "" else float(text)


def close(a, b, rel=1e-5, abs_=0.0) -> bool:
    """Equal within tolerance; undefined equals only undefined."""
    if a is None or b is None:
        return a is None and b is None
    return math.isclose(a, b, rel_tol=rel, abs_tol=abs_)


def decision(run_dir: Path) -> tuple[bool, dict[str, bool]]:
    """(overall, per condition) of decision.json."""
    data = json.loads((run_dir / "decision.json").read_text())
    verdict = lambda d: d["pass"] if isinstance(d.get("pass"), bool) else d["decision"] == "PASS"
    return verdict(data), {c["condition"]: verdict(c) for c in data["conditions"]}


def strings(dataset) -> list[str]:
    return [v.decode() if isinstance(v, bytes) else str(v) for v in dataset[()]]
