"""A power cut at every step of the commit protocol: whatever subset of pages and names since the last fsync is lost,
the next start ends with the bytes of an undisturbed run."""

import os
import random
import subprocess
from pathlib import Path

import harness
import pytest

LIBRARY = os.environ.get("PHASE0_POWER_CUT", "")
STRIDE = int(os.environ.get("PHASE0_CUT_STRIDE", "9"))  # 1: every step
STATES = int(os.environ.get("PHASE0_CUT_STATES", "2"))  # tried for every step, beside all lost and nothing lost
PAGE = 4096

pytestmark = pytest.mark.skipif(not LIBRARY, reason="needs the preloaded library (ctest sets it)")


class Disk:
    """What the cut left of a folder, and what of it was durable."""

    def __init__(self, below: Path, durable: Path):
        self.below, self.durable = below, durable
        self.paths = {path.stat(follow_symlinks=False).st_ino: path for path in [below, *below.rglob("*")]}

    def names(self, inode):
        """(durable, current) entries of a folder, by name."""
        durable = self.durable / f"folder-{inode}"
        lines = durable.read_text().splitlines() if durable.exists() else []
        old = {name: int(number) for number, name in (line.split(" ", 1) for line in lines)}
        path = self.paths.get(inode)
        new = {p.name: p.stat(follow_symlinks=False).st_ino for p in path.iterdir()} if path else {}
        return old, new

    def is_folder(self, inode):
        path = self.paths.get(inode)
        return path.is_dir() if path else (self.durable / f"folder-{inode}").exists()

    def contents(self, inode):
        """(durable, current) bytes of a file."""
        durable, path = self.durable / f"file-{inode}", self.paths.get(inode)
        old = durable.read_bytes() if durable.exists() else b""
        return old, path.read_bytes() if path else old


def torn(old: bytes, new: bytes, keeps) -> bytes:
    """Of every page and of the size, the old or the new."""
    if old == new:
        return new
    size = len(new) if keeps() else len(old)
    pages = []
    for at in range(0, size, PAGE):
        page = (new if keeps() else old)[at:at + PAGE]
        pages.append(page.ljust(min(PAGE, size - at), b"\0"))
    return b"".join(pages)


def after_the_cut(disk: Disk, inode: int, out: Path, keeps):
    """Writes a state in which the folder may be found; `keeps()` says whether something unsynced is there."""
    out.mkdir()
    old, new = disk.names(inode)
    for name in sorted(old.keys() | new.keys()):
        entry = new.get(name) if keeps() else old.get(name)
        if old.get(name) == new.get(name):
            entry = new[name]
        if entry is None:
            continue
        if disk.is_folder(entry):
            after_the_cut(disk, entry, out / name, keeps)
        else:
            (out / name).write_bytes(torn(*disk.contents(entry), keeps))


def cut_at(step, cfg, where: Path):
    """Runs until the cut. (the disk, whether there was one)"""
    below, durable = where / "disk", where / "durable"
    below.mkdir(parents=True)
    durable.mkdir()
    (durable / f"folder-{below.stat().st_ino}").write_text("")
    config = harness.write_config(where / "config-in.yaml", harness.merged(cfg, {"output.dir": str(below / "run")}))
    env = {**os.environ, "LD_PRELOAD": LIBRARY, "PHASE0_CUT_BELOW": str(below), "PHASE0_CUT_DURABLE": str(durable),
           "PHASE0_CUT_AT": str(step), "PHASE0_CUT_STEPS": str(where / "steps")}
    done = subprocess.run([harness.BINARY, "run", "-c", config, "--progress", "none", "--checkpoint", "0"], env=env,
                          capture_output=True, text=True, timeout=harness.TIMEOUT)
    assert done.returncode in (0, -9), done.stderr
    return Disk(below, durable), done.returncode == -9


def expect_same_end(cfg, want, state: Path, where: Path, step):
    got = harness.run_config(harness.merged(cfg, {"output.dir": str(state / "run")}), where)
    assert got.code == 0, f"step {step}: {got}"
    bytes_ = harness.fingerprint(state / "run")
    assert {k for k in want.keys() | bytes_.keys() if want.get(k) != bytes_.get(k)} == set(), f"step {step}"


def test_the_next_start_ends_with_the_same_bytes(reference, tmp_path):
    cfg, want = reference
    rng = random.Random(1)
    step, n_states = 1 + rng.randrange(STRIDE), 0
    while True:
        where = tmp_path / str(step)
        disk, was_cut = cut_at(step, cfg, where)
        if not was_cut:
            break
        states = [lambda: False, lambda: True] + [lambda: rng.random() < 0.5] * STATES
        for i, keeps in enumerate(states):
            state = where / f"state{i}"
            after_the_cut(disk, disk.below.stat().st_ino, state, keeps)
            expect_same_end(cfg, want, state, where, step)
            n_states += 1
        step += STRIDE
    n_steps = len((where / "steps").read_text().splitlines())
    print(f"{n_states} states of a cut, every {STRIDE} of {n_steps} steps")
    assert n_steps > 40 and n_states >= (len(states) * (n_steps // STRIDE)) - len(states)
