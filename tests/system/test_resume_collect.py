"""`collect` killed at random times and at every commit step goes on where it was and ends with the same bytes."""

from __future__ import annotations

import hashlib
import os
import random
import re
import signal
import subprocess
import time
from pathlib import Path

import h5py
import harness
import latents
import numpy as np
import pytest

DIM = 64
THERE = re.compile(r"(\w[\w ]*): (\d+) of (\d+) rows are there from an earlier start")
HDF5_STEPS = ["features.h5:created", "features.h5:metadata_closed", "features.h5:metadata_synced",
              "features.h5.partial:renamed", "features.h5.partial:folder_synced", "features.h5:reserved",
              "features.h5:streamed", "features.h5:synced", "features.h5:renamed", "features.h5:folder_synced"]
UNIT_STEPS = [f".unit:{step}:{n}" for step, n in (("created", 1), ("written", 3), ("synced", 4), ("renamed", 5),
                                                  ("folder_synced", 9))]
OTHER_STEPS = ["journal.json:synced", "run.json:renamed"]


@pytest.fixture(scope="module")
def chunked_latents(tmp_path_factory):
    """Frames that have to be staged, in three blocks."""
    rng = np.random.default_rng(5)
    corpus = latents.from_frames(rng.standard_normal((70_000, DIM)).astype(np.float32), 10, 1)
    corpus.energies = [np.abs(x[:, 0]).astype(np.float32) for x in corpus.xs]
    return latents.write_a(tmp_path_factory.mktemp("resume") / "latents.h5", corpus, storage="zstd")


def config(latents_path, run_dir, storage="window") -> dict:
    return harness.merged(harness.base_config(latents_path, run_dir), {
        "splits.n_train_speakers": 6, "splits.n_eval_speakers": 4, "splits.utt_holdout_frac": 0,
        "context.window_size": 2, "context.lags": [1], "features.storage": storage})


def sha(path) -> str:
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory, chunked_latents, binary):
    """By storage: seconds, and sha256 of features.h5, without a kill."""
    out = {}
    for storage in ("window", "dense"):
        where = tmp_path_factory.mktemp("undisturbed")
        begin = time.monotonic()
        run_dir = harness.run_ok(config(chunked_latents, where / "run", storage), where, command="collect")
        out[storage] = time.monotonic() - begin, sha(run_dir / "features.h5")
    return out


both_storages = pytest.mark.parametrize("storage", ["window", "dense"])


class Collect:
    """Starts of `collect` on one run directory, with progress kept whenever it can be."""

    def __init__(self, latents_path, where, storage="window"):
        self.run_dir = where / "run"
        self.config = harness.write_config(where / "config.yaml", config(latents_path, self.run_dir, storage))

    def command(self, *args):
        return [harness.BINARY, "collect", "-c", self.config, "--progress", "none", "--checkpoint", "0", *args]

    def killed_at(self, step) -> str:
        """What a start says until it is killed there."""
        result = harness.run(*self.command()[1:], env={**os.environ, "PHASE0_KILL_AT": step})
        assert result.code == -signal.SIGKILL, str(result)
        self.check_files()
        return result.err

    def killed_after(self, seconds) -> int:
        process = subprocess.Popen(self.command(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(seconds)
        process.kill()
        code = process.wait(harness.TIMEOUT)
        self.check_files()
        return code

    def finished(self, *args) -> str:
        """What a start that must succeed says."""
        result = harness.run(*self.command(*args)[1:])
        assert result.code == 0, str(result)
        return result.err

    def check_files(self):
        """Stock h5py opens what is there, and the final name is complete."""
        for name in ("features.h5", "features.h5.partial"):
            if (self.run_dir / name).exists():
                with h5py.File(self.run_dir / name) as f:
                    assert f.attrs["format"] == "phase0-features"
                    f.visit(lambda object_name, file=f: str(file[object_name]) and None)

    def expect(self, digest, killed_behind_the_end=False):
        """A kill between the journal's entry and the removal of the units leaves these until the stage is next begun."""
        assert sha(self.run_dir / "features.h5") == digest
        self.finished()
        left = [str(p.relative_to(self.run_dir)) for p in self.run_dir.rglob("*")]
        assert not [p for p in left if p.endswith((".partial", ".new"))], left
        assert killed_behind_the_end or not [p for p in left if p.startswith("cache")], left


@both_storages
def test_killed_at_random_times(chunked_latents, tmp_path, undisturbed, storage):
    seconds, digest = undisturbed[storage]
    rng = random.Random(storage)
    collect = Collect(chunked_latents, tmp_path, storage)
    killed = 0
    for _ in range(5):
        if collect.killed_after(rng.uniform(0.1, 0.9) * seconds) == 0:
            break
        killed += 1
    assert killed >= 1
    text = collect.finished()
    collect.expect(digest, killed_behind_the_end="already done" in text)


@pytest.mark.parametrize("step", HDF5_STEPS + UNIT_STEPS + OTHER_STEPS)
def test_killed_at_a_commit_step(chunked_latents, tmp_path, undisturbed, step):
    collect = Collect(chunked_latents, tmp_path)
    collect.killed_at(step)
    collect.finished()
    collect.expect(undisturbed["window"][1])


def test_goes_on_in_the_frames(chunked_latents, tmp_path, undisturbed):
    collect = Collect(chunked_latents, tmp_path)
    # The units: checked input, energy median, then the progress of the first and the second block of frames.
    block = (8 << 20) // (4 * DIM)
    collect.killed_at(".unit:folder_synced:4")
    collect.killed_at(".unit:synced:1")
    text = collect.finished()
    assert "checking input: done by an earlier start" in text
    assert THERE.findall(text) == [("staging frames", str(2 * block), "70000")]
    collect.expect(undisturbed["window"][1])


def test_goes_on_in_the_features(chunked_latents, tmp_path, undisturbed):
    collect = Collect(chunked_latents, tmp_path, "dense")
    # 2 units as above, 3 blocks of frames, 6 utterances, then blocks of features.
    collect.killed_at(".unit:renamed:9")
    there = {task: int(rows) for task, rows, _ in THERE.findall(collect.killed_at(".unit:renamed:3"))}
    assert there == {"staging frames": 70_000, "train row index": 4 * (7_000 - 2)}
    there = {task: int(rows) for task, rows, _ in THERE.findall(collect.finished())}
    assert there["train row index"] == 6 * (7_000 - 2)
    assert 0 < there["train features"] < 6 * (7_000 - 2) and there["train features"] % 8192 == 0
    collect.expect(undisturbed["dense"][1])


def test_a_signal_leaves_what_can_be_gone_on_from(chunked_latents, tmp_path, undisturbed):
    collect = Collect(chunked_latents, tmp_path, "dense")
    # Without a checkpoint before: kept on the way out.
    command = [*collect.command()[:-1], "3600"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not (collect.run_dir / "features.h5.partial").exists():
        assert process.poll() is None
        time.sleep(0.001)
    time.sleep(0.1)
    process.terminate()
    assert process.wait(harness.TIMEOUT) == 6
    collect.check_files()
    assert THERE.search(collect.finished())
    collect.expect(undisturbed["dense"][1])


def test_fresh_discards_what_was_kept(chunked_latents, tmp_path, undisturbed):
    collect = Collect(chunked_latents, tmp_path)
    collect.killed_at(".unit:renamed:6")
    text = collect.finished("--fresh")
    assert not THERE.search(text) and "earlier start" not in text
    collect.expect(undisturbed["window"][1])


def test_another_configuration_starts_over_and_says_so(chunked_latents, tmp_path, undisturbed):
    collect = Collect(chunked_latents, tmp_path)
    collect.killed_at(".unit:renamed:6")
    text = collect.finished("--set", "context.lags=[2]")
    assert not THERE.search(text) and "kept for another input or configuration" in text
    assert sha(collect.run_dir / "features.h5") != undisturbed["window"][1]
    collect.finished()
    collect.expect(undisturbed["window"][1])


def test_an_input_of_the_same_size_and_time_is_another_one(small_corpus, tmp_path):
    path = latents.write(tmp_path / "latents.h5", small_corpus)
    cfg = harness.base_config(path, tmp_path / "run")
    harness.run_ok(cfg, tmp_path, command="collect")
    size, times = path.stat().st_size, path.stat().st_mtime_ns
    result = harness.run_config(cfg, tmp_path, command="collect")
    assert "already done" in result.err
    latents.write(path, small_corpus.map(lambda i, x: -x))
    os.utime(path, ns=(times, times))
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (size, times)
    result = harness.run_config(cfg, tmp_path, command="collect")
    assert result.code == 0 and "already done" not in result.err
