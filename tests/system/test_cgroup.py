"""In a control group whose limit is the budget and a tenth, a run that reads many times the limit is never killed."""

import json
import os
import statistics
import subprocess
import sys
import time
import uuid
from pathlib import Path

import harness
import pytest

MIB = 1 << 20
RUNS = int(os.environ.get("PHASE0_CGROUP_RUNS", "2"))
V1, V2 = Path("/sys/fs/cgroup/memory"), Path("/sys/fs/cgroup")


class Group:
    """A memory control group of its own."""

    def __init__(self, limit_bytes):
        v1 = (V1 / "memory.limit_in_bytes").exists()
        self.folder = (V1 if v1 else V2) / f"phase0-test-{uuid.uuid4().hex}"
        self.folder.mkdir()
        self.limit = self.folder / ("memory.limit_in_bytes" if v1 else "memory.max")
        self.events = self.folder / ("memory.oom_control" if v1 else "memory.events")
        self.limit.write_text(str(limit_bytes))

    def oom_kills(self):
        return next(int(line.split()[1]) for line in self.events.read_text().splitlines() if line.startswith("oom_kill "))

    def remove(self):
        for _ in range(50):
            try:
                return self.folder.rmdir()
            except OSError:
                time.sleep(0.1)  # the last process is still on its way out


@pytest.fixture
def group_of():
    made = []

    def make(limit_bytes):
        made.append(Group(limit_bytes))
        return made[-1]

    try:
        probe = make(64 * MIB)
        probe.oom_kills()
    except (OSError, StopIteration) as error:
        for group in made:
            group.remove()
        pytest.skip(f"control groups cannot be made here: {error}")
    yield make
    for group in made:
        group.remove()


def forget(path):
    """Takes a file out of the page cache, where it would be charged to nobody's group."""
    with open(path, "rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def run_in(group, args):
    """(exit code, stderr, seconds); without a group: unlimited."""
    enter = (lambda: (group.folder / "cgroup.procs").write_text(str(os.getpid()))) if group else None
    start = time.monotonic()
    done = subprocess.run([str(harness.BINARY), *map(str, args)], capture_output=True, text=True, preexec_fn=enter,
                          stdin=subprocess.DEVNULL, timeout=600)
    return done.returncode, done.stderr, time.monotonic() - start


def test_reading_many_times_the_limit_is_never_killed(group_of, tmp_path, capsys):
    path = tmp_path / "latents.h5"
    subprocess.run([sys.executable, harness.ROOT / "bench/make_latents.py", "--frames", "100000", "--dim", "512",
                    "--speakers", "24", "--seed", "1", "--out", path], check=True, stdout=subprocess.DEVNULL)
    cfg = harness.merged(harness.base_config(path, tmp_path / "run"), {
        "data.min_duration_sec": 1.0, "context.lags": [1],
        "clustering.kmeans": {"n_init": 2, "max_iter": 8, "restarts_on": "all"}})
    config = harness.write_config(tmp_path / "config.yaml", cfg)
    budget = 80 * MIB
    limit = budget + budget // 10
    flags = ("run", "-c", config, "--progress", "none", "--fresh", "--memory", f"{budget}B")
    planned = harness.run("plan", "-c", config, "--memory", f"{budget}B", "--json")
    fit = next(stage for stage in json.loads(planned.out)["stages"] if stage["stage"] == "fit")
    forget(path)
    code, err, _ = run_in(None, flags)
    assert code == 0, err
    want = harness.fingerprint(tmp_path / "run")
    # Means are computed from frames in every pass of k-means: the frames are read that often.
    passes = max(int(r["iteration"]) for r in harness.read_csv(tmp_path / "run" / "kmeans.csv"))
    assert path.stat().st_size > 2 * limit and passes * path.stat().st_size > 10 * limit
    unlimited, limited = [], []
    for _ in range(RUNS):
        forget(path)
        unlimited.append(run_in(None, flags)[2])  # in turns: the machine may have other work
        group = group_of(limit)
        forget(path)
        code, err, elapsed = run_in(group, flags)
        assert code == 0, err
        assert group.oom_kills() == 0
        assert harness.fingerprint(tmp_path / "run") == want
        limited.append(elapsed)
        # What a pass needs is read once: nothing drives it out before it is used. Short pieces go through the page
        # cache, which reads some more around them.
        read = json.loads((tmp_path / "run" / "run.json").read_text())["stages"]["fit"]["bytes_read"]
        assert read < 1.3 * fit["bytes_read_max"]
    with capsys.disabled():
        for name, seconds in (("unlimited", unlimited), ("limited", limited)):
            print(f"\n{name}: median {statistics.median(seconds):.2f} s, least {min(seconds):.2f} s of "
                  + ", ".join(f"{s:.2f}" for s in seconds))
        print(f"fit read {read / 1e9:.2f} GB of {fit['bytes_read_max'] / 1e9:.2f} GB planned, {read / limit:.0f} times the limit")
