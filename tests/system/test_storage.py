"""Storage that fails as a whole: files cut under a map, folders that vanish, full and read-only disks, a second writer."""

import os
import shutil
import socket
import subprocess

import harness
import io_faults
import pytest
from io_faults import LIBRARY, check_what_is_left, files, report, run

pytestmark = pytest.mark.skipif(not LIBRARY, reason="PHASE0_FAILING_IO names no library")


@pytest.fixture(scope="module")
def base():
    with io_faults.folder_in_memory() as path:
        yield path


@pytest.fixture(scope="module")
def case(base):
    (base / "source").mkdir()
    return io_faults.small_case(base / "source", "dense", "contiguous")


@pytest.fixture(scope="module")
def reference(case, base):
    """(fingerprint, files) of an undisturbed run."""
    run_dir = case.prepare(base / "reference")
    result = run(base / "reference")
    assert result.code == 0, str(result)
    return harness.fingerprint(run_dir), files(base / "reference")


@pytest.fixture
def place(base):
    path = base / "case"
    path.mkdir()
    yield path
    shutil.rmtree(path)


def calls(case, where, family):
    case.prepare(where)
    assert run(where, family=family).code == 0
    return report(where)[0]


CUTS = {
    "latents.h5": 3,
    "runs/one/features.h5": 5,
    "runs/one/features.h5.partial": 5,
    "runs/one/assignments.h5": 5,
    "runs/one/models.h5": 5,
}
MAPPED = "the file ends too early: it was cut while it was in use"


@pytest.mark.parametrize("name", CUTS)
def test_a_file_that_is_cut_is_named(case, reference, place, name):
    """Cut to nothing after every mmap in turn: the next touch of the map is a SIGBUS."""
    want, want_files = reference
    messages = []
    total = calls(case, place / "count", "mmap")
    for n in sorted({*io_faults.some(total, 2 if name.endswith(".partial") else 8), total}):
        where = place / str(n)
        run_dir = case.prepare(where)
        result = run(where, family="mmap", fault="cut", at=n, file=where / name)
        if result.code == 2:  # between two stages
            assert name == "latents.h5" and "is of another input" in result.err, f"mmap {n}: {result}"
        elif result.code != 0:
            assert result.code == CUTS[name], f"mmap {n}: {result}"
            assert str(where / name) in result.err, f"mmap {n}: {result}"
            messages.append(result.err)
        shutil.copy2(case.source / "latents.h5", where / "latents.h5")
        again = run(where)
        assert again.code == 0, f"starting again after mmap {n}: {again}"
        assert harness.fingerprint(run_dir) == want and files(where) == want_files, f"starting again after mmap {n}"
        shutil.rmtree(where)
    assert messages, "no cut was noticed"
    through_the_map = [text for text in messages if MAPPED in text]
    if name != "runs/one/models.h5":  # which is only read
        assert through_the_map and all(": offset " in text for text in through_the_map)


@pytest.mark.parametrize("family", ["open", "mmap", "rename", "fsync", "fallocate"])
def test_a_run_directory_that_vanishes(case, reference, place, family):
    """Renamed away before a call, and back before the next start."""
    want, want_files = reference
    total = calls(case, place / "count", family)
    for n in io_faults.some(total, max(1, total // 5)):
        where = place / str(n)
        run_dir = case.prepare(where)
        result = run(where, family=family, fault="away", at=n, file=run_dir)
        # 2: between two stages; the next one asks for the one before, which indeed is not there.
        assert result.code in (0, 2, 5), f"{family} {n}: {result}"
        if result.code != 0:
            assert str(run_dir) in result.err, f"{family} {n}: {result}"
        if result.code == 2:
            assert "run `phase0 collect` first" in result.err or "run `phase0 fit` first" in result.err, str(result)
        away = run_dir.with_name("one.away")
        if away.exists():
            shutil.rmtree(run_dir, ignore_errors=True)
            away.rename(run_dir)
            check_what_is_left(run_dir, want)
        again = run(where)
        assert again.code == 0, f"starting again after {family} {n}: {again}"
        assert harness.fingerprint(run_dir) == want and files(where) == want_files, f"{family} {n}"
        shutil.rmtree(where)


@pytest.fixture
def disk(place):
    """Mounts a file system of a size in memory; skips where that is not allowed."""
    at = place / "disk"
    at.mkdir()

    def mount(options):
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "phase0-test", at], capture_output=True, text=True)
        if done.returncode != 0:
            pytest.skip(f"cannot mount: {done.stderr.strip()}")
        return at

    yield mount
    while os.path.ismount(at):
        subprocess.run(["umount", at], check=True)


def test_a_full_disk(case, reference, place, disk):
    """Sizes from nothing to enough; space is made after each failure."""
    want, _ = reference
    case.prepare(place / "in")
    at = disk("size=8M")
    failures = 0
    for kib in io_faults.some(6000, 384, 128):
        subprocess.run(["mount", "-o", f"remount,size={kib}k", at], check=True)
        run_dir = at / f"run{kib}"
        flag = ("--run-dir", run_dir)
        env = io_faults.disturbed_environment(place)
        result = harness.run(*io_faults.arguments(place / "in"), *flag, env=env)
        if result.code != 0:
            failures += 1
            assert result.code == 5 and " free" in result.err and str(at) in result.err, f"{kib} KiB: {result}"
            check_what_is_left(run_dir, want)
            subprocess.run(["mount", "-o", "remount,size=16M", at], check=True)
            again = harness.run(*io_faults.arguments(place / "in"), *flag, env=env)
            assert again.code == 0, f"{kib} KiB, after space was made: {again}"
        assert harness.fingerprint(run_dir) == want, f"{kib} KiB"
        shutil.rmtree(run_dir)
        if result.code == 0:
            break
    assert failures >= 3 and result.code == 0


def test_a_read_only_file_system(case, place, disk):
    case.prepare(place / "in")
    at = disk("ro")
    result = harness.run(*io_faults.arguments(place / "in"), "--run-dir", at / "run")
    assert result.code == 5 and str(at / "run") in result.err and "Read-only file system" in result.err, str(result)


def test_a_second_writer_is_told_who_is_at_work(case, reference, place):
    want, _ = reference
    where = place / "one"
    run_dir = case.prepare(where)
    with io_faults.stopped_run(where, "mmap", 5) as pid:
        assert (run_dir / ".lock").exists()
        result = run(where)
        assert result.code == 5, str(result)
        assert str(run_dir) in result.err, str(result)
        assert f"another phase0 (process {pid} on {socket.gethostname()} since 20" in result.err, str(result)
    again = run(where)  # the lock file is still there, and holds nobody up
    assert again.code == 0, str(again)
    assert harness.fingerprint(run_dir) == want


def test_no_descriptor_is_inherited(case, place):
    """A child of a program that phase0 is part of must not keep its lock, nor its files, open."""
    total = calls(case, place / "count", "mmap")
    looked_at = set()
    for n in io_faults.some(total, max(1, total // 12)):
        where = place / str(n)
        case.prepare(where)
        with io_faults.stopped_run(where, "mmap", n) as pid:
            for fd in os.listdir(f"/proc/{pid}/fd"):
                target = os.readlink(f"/proc/{pid}/fd/{fd}")
                if int(fd) <= 2 or not target.startswith(str(where)):
                    continue
                looked_at.add(os.path.basename(target).split(" ")[0])
                with open(f"/proc/{pid}/fdinfo/{fd}") as f:
                    flags = int(next(line for line in f if line.startswith("flags:")).split()[1], 8)
                assert flags & os.O_CLOEXEC, f"{target} at mmap {n}"
    assert {".lock", "latents.h5", "features.h5"} <= looked_at
