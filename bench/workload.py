"""What the measurements share: synthetic latents, configurations, and processes with the time and memory they took.

Standard library only. Linux counts what a process holds when it starts another into the other's peak memory, so the
starter has to be small.
"""

import dataclasses
import json
import os
import pathlib
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
FOLDER = pathlib.Path("/tmp/phase0-bench")

MEAN_VQ = {"name": "mean_vq64", "type": "mean_pool_vq", "k": 64}
PCA_VQ = {"name": "pca8_vq256", "type": "pca_vq", "pca_dim": 8, "k": 256}
PCA_QUARTILE = {"name": "pca8_quartile", "type": "pca_quartile", "pca_dim": 8}
ALL = {"name": "all", "filter": None}
SLICES = [
    ALL,
    {"name": "high_energy", "filter": "energy_above_median"},
    {"name": "utterance_medial", "filter": "pos_frac_0.17_0.83"},
]


def configuration(latents, out, **sections):
    """The reference configuration (configs/reference.yaml) at lag 1; `sections` replace keys of its sections."""
    config = {
        "seed": 42,
        "data": {"latents": str(latents), "min_duration_sec": 3.0},
        "splits": {"n_train_speakers": 200, "n_eval_speakers": 51},
        "context": {"window_size": 8, "lags": [1]},
        "features": {"storage": "window"},
        "clustering": {
            "min_cluster_size": 100,
            "kmeans": {"n_init": 10, "max_iter": 100, "tol": 1e-4, "restarts_on": "auto"},
            "conditions": [MEAN_VQ, PCA_VQ, PCA_QUARTILE],
        },
        "slices": SLICES,
        "metrics": {"permutations": 20},
        "output": {"dir": str(out)},
    }
    for name, value in sections.items():
        config[name] = config[name] | value if isinstance(value, dict) else value
    return config


def write_configuration(path, config):
    path.write_text(json.dumps(config, indent=1))  # JSON is YAML
    return path


def make_latents(frames, folder=FOLDER):
    """Layout A, 512 dimensions, 251 speakers. Made once."""
    path = folder / f"latents_{frames}.h5"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        command = [sys.executable, ROOT / "bench/make_latents.py", "--frames", frames, "--dim", 512, "--speakers", 251]
        measured([*command, "--seed", 1, "--out", part])
        part.rename(path)
    return path


@dataclasses.dataclass
class Taken:
    """By one process, all its threads."""

    seconds: float
    cpu_seconds: float
    peak_bytes: int  # of its resident set, mapped files included


def measured(command):
    """Runs a command to its end; ends with its code if it fails."""
    start = time.perf_counter()
    child = subprocess.Popen([str(word) for word in command], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    seconds = time.perf_counter() - start
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}: exit code {child.returncode}")
    return Taken(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024)


def machine():
    """One line."""
    lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
    models = {line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")}
    cores = len(os.sched_getaffinity(0))
    return f"{', '.join(sorted(models))}, {cores} core(s), load average {os.getloadavg()[0]:.1f}"
