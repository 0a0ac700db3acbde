"""Runs of the program whose calls on files fail or are watched (tests/faults/failing_io.cpp)."""

import contextlib
import dataclasses
import json
import os
import shutil
import struct
import subprocess
import tempfile
from pathlib import Path

import h5py
import harness
import latents

LIBRARY = os.environ.get("PHASE0_FAILING_IO")
STRIDE = int(os.environ.get("PHASE0_FAIL_STRIDE", "0"))  # 1: every call; 0: a few, spread over all

FILES_OF = {"collect": {"features.h5"}, "fit": {"models.h5", "assignments.h5"},
            "analyze": {*harness.CSV_FILES, "metrics.json", "decision.json", "report.txt", "report.html"}}


@dataclasses.dataclass
class Case:
    """A run that is disturbed: its folder holds all files that it reads or writes."""

    source: Path  # latents and lists of speakers
    changes: dict

    def prepare(self, where: Path) -> Path:
        """A folder of its own for a run; the run directory in it."""
        where.mkdir(parents=True)
        for file in self.source.iterdir():
            shutil.copy2(file, where / file.name)  # with its time, by which the program knows an input again
        cfg = harness.merged(harness.base_config(where / "latents.h5", where / "runs" / "one"), self.changes)
        cfg["splits"] = {"train_speakers_file": str(where / "train.txt"), "eval_speakers_file": str(where / "eval.txt"),
                         "seed": 1, "utt_holdout_frac": 0.2}
        harness.write_config(where / "config-in.yaml", cfg)
        return where / "runs" / "one"


def small_case(where, storage, layout):
    """Contiguous latents are mapped, zstd ones are staged."""
    corpus = latents.make(seed=3, n_speakers=4, utterances_each=3, mean_frames=80, dim=6)
    latents.write(where / "latents.h5", corpus, storage=layout)
    names = corpus.speaker_names
    (where / "train.txt").write_text("\n".join(names[:3]) + "\n")
    (where / "eval.txt").write_text("\n".join(names[3:]) + "\n")
    return Case(where, {
        "features.storage": storage,
        "context.lags": [1],
        "clustering.min_cluster_size": 5,
        "clustering.kmeans": {"n_init": 2, "max_iter": 5, "restarts_on": "all"},
        "clustering.conditions": [{"name": "mean_vq", "type": "mean_pool_vq", "k": 4},
                                  {"name": "pca_vq", "type": "pca_vq", "pca_dim": 2, "k": 4},
                                  {"name": "quartile", "type": "pca_quartile", "pca_dim": 2}],
        "metrics.permutations": 2,
    })


def disturbed_environment(where, family="", fault="", at=0, always=False, file=None):
    env = dict(os.environ, XDG_CACHE_HOME=str(where / "cache"), LD_PRELOAD=LIBRARY, PHASE0_IO_DISK="1")
    if family:
        env.update(PHASE0_IO_BELOW=str(where), PHASE0_IO_FAMILY=family, PHASE0_IO_FAULT=fault,
                   PHASE0_IO_AT=str(at), PHASE0_IO_REPORT=str(where) + ".report")
    if always:
        env["PHASE0_IO_ALWAYS"] = "1"
    if file:
        env["PHASE0_IO_FILE"] = str(file)
    return env


def arguments(where):
    return ["run", "-c", str(where / "config-in.yaml"), "--progress", "none", "--checkpoint", "0"]


def run(where, **fault):
    return harness.run(*arguments(where), env=disturbed_environment(where, **fault))


@contextlib.contextmanager
def stopped_run(where, family, at):
    """A run that has stopped itself before a call; killed in the end."""
    env = disturbed_environment(where, family=family, fault="stop", at=at)
    process = subprocess.Popen([str(harness.BINARY), *arguments(where)], env=env, stdin=subprocess.DEVNULL,
                               stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        _, status = os.waitpid(process.pid, os.WUNTRACED)
        assert os.WIFSTOPPED(status), f"ended before call {at} of {family}: {process.stderr.read()}"
        yield process.pid
    finally:
        process.kill()
        process.communicate()


def report(where):
    """(calls counted, faults made) of the run before."""
    return struct.unpack("qq", Path(str(where) + ".report").read_bytes())


def some(last, step, least=1):
    """Numbers from 1 to `last`: each `step`-th, in the long form each `least`-th."""
    return range(1, last + 1, least * STRIDE if STRIDE else step)


def files(where):
    return {str(p.relative_to(where)) for p in where.rglob("*") if p.is_file() and "cache" not in p.parts}


def check_what_is_left(run_dir: Path, want):
    """Of a run that failed: HDF5 files open, stages in the journal have all their files, and no file is half-written."""
    if not run_dir.exists():
        return
    for path in run_dir.glob("*.h5"):
        with h5py.File(path, "r") as f:
            f.visit(lambda name: None)
    for path in run_dir.glob("*.json"):
        json.loads(path.read_text())
    for path in run_dir.glob("*.csv"):
        assert harness.hashlib.sha256(path.read_bytes()).hexdigest() == want[path.name], path
    if (run_dir / "journal.json").exists():
        for stage in json.loads((run_dir / "journal.json").read_text())["stages"]:
            assert set(stage["files"]) == FILES_OF[stage["stage"]]
            for name, file in stage["files"].items():
                assert (run_dir / name).stat().st_size == file["bytes"], name


@contextlib.contextmanager
def folder_in_memory():
    """A folder in memory where there is one: thousands of runs fsync many files each."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else None, prefix="phase0-faults-") as path:
        yield Path(path)
