"""SIGKILL at random times and at every step of the commit protocol: every file opens, and the next start ends with the bytes of an undisturbed run."""

import os
import random
import shutil
import subprocess
import time

import h5py
import harness
import pytest

KILLS = int(os.environ.get("PHASE0_KILLS", "100")) // 2  # for each stage and each of two inputs
STAGES = ("collect", "fit", "analyze")


def start(cfg_path, stage):
    return subprocess.Popen([harness.BINARY, stage, "-c", cfg_path, "--progress", "none", "--checkpoint", "0"],
                            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def open_all(run_dir):
    """Stock h5py opens and lists every HDF5 file that is there, unfinished ones too."""
    for path in [*run_dir.glob("*.h5"), *run_dir.glob("*.h5.partial")]:
        with h5py.File(path, "r") as file:
            file.visititems(lambda name, obj: obj.shape if isinstance(obj, h5py.Dataset) else None)


HDF5_STEPS = ("created", "metadata_closed", "metadata_synced", "reserved", "streamed", "synced", "renamed",
              "folder_synced")
FILE_STEPS = ("created", "written", "synced", "renamed", "folder_synced")
NAMED_STEPS = [f"{name}{end}:{step}" for name in ("features.h5", "models.h5", "assignments.h5")
               for step in HDF5_STEPS for end in ("", ".partial") if end == "" or step in ("renamed", "folder_synced")]
NAMED_STEPS += [f"{name}:{step}" for name in ("journal.json", "run.json", "config.yaml", "metrics.json", "decision.json",
                                              "report.txt", "report.html", *harness.CSV_FILES) for step in FILE_STEPS]
NAMED_STEPS += [f"{name}:{step}:{number}" for name in (".unit", "journal.json", "run.json") for step in FILE_STEPS
                for number in (2, 3)]


def test_killed_at_any_commit_step_a_run_ends_with_the_same_bytes(reference, tmp_path):
    cfg, want = reference
    steps = NAMED_STEPS if KILLS >= 500 else random.Random(7).sample(NAMED_STEPS, 30)
    for step in steps:
        where = tmp_path / step.replace(":", "_")
        where.mkdir()
        cfg_path = harness.write_config(where / "config.yaml", harness.merged(cfg, {"output.dir": str(where / "run")}))
        command = ("run", "-c", cfg_path, "--progress", "none", "--checkpoint", "0")
        killed = harness.run(*command, env={**os.environ, "PHASE0_KILL_AT": step})
        assert killed.code == -9, f"{step} was not reached: {killed}"
        open_all(where / "run")
        again = harness.run(*command)
        assert again.code == 0, f"{step}: {again}"
        got = harness.fingerprint(where / "run")
        assert {k for k in want.keys() | got.keys() if want.get(k) != got.get(k)} == set(), step
        assert not [p for p in (where / "run").rglob("*") if p.suffix in (".partial", ".new")], step
        shutil.rmtree(where)


@pytest.mark.parametrize("stage", STAGES)
def test_killed_again_and_again_a_stage_ends_with_the_same_bytes(reference, tmp_path, stage):
    cfg, want = reference
    rng = random.Random(f"kills of {stage}")
    before, run_dir = tmp_path / "before", tmp_path / "run"
    cfg_path = harness.write_config(tmp_path / "config.yaml", harness.merged(cfg, {"output.dir": str(run_dir)}))
    before.mkdir()
    for earlier in STAGES[:STAGES.index(stage)]:
        assert harness.run(earlier, "-c", cfg_path, "--progress", "none").code == 0
    if run_dir.exists():
        shutil.copytree(run_dir, before, dirs_exist_ok=True)
    begin = time.monotonic()
    assert start(cfg_path, stage).wait(timeout=harness.TIMEOUT) == 0
    whole = time.monotonic() - begin
    kills = ends = in_a_row = 0
    while kills < KILLS or in_a_row > 0:
        if in_a_row == 0:  # from the end of the stage before
            shutil.rmtree(run_dir, ignore_errors=True)
            shutil.copytree(before, run_dir)
        begin = time.monotonic()
        child = start(cfg_path, stage)
        # Later kills of a row give it more time, or it might never end.
        try:
            code = child.wait(timeout=rng.uniform(0, 1.2 * whole) * (1 + in_a_row / 5))
        except subprocess.TimeoutExpired:
            child.kill()
            code = child.wait()
        open_all(run_dir)
        if code == -9:
            kills += 1
            in_a_row += 1
            continue
        assert code == 0, child.stderr.read().decode()
        if in_a_row == 0:
            whole = min(whole, time.monotonic() - begin)  # the first may have had company
        for later in STAGES[STAGES.index(stage) + 1:]:
            assert harness.run(later, "-c", cfg_path, "--progress", "none").code == 0
        got = harness.fingerprint(run_dir)
        assert {k for k in want.keys() | got.keys() if want.get(k) != got.get(k)} == set()
        assert not [p for p in run_dir.rglob("*") if p.suffix in (".partial", ".new")], "temporary files stay behind"
        ends, in_a_row = ends + 1, 0
    print(f"{stage}: {kills} kills, {ends} runs brought to their end")
    assert ends > 1
