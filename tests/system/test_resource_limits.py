"""Under limits of the address space and of private memory every command ends soon: with its result, or with exit code 4."""

import os
import signal
import subprocess
import time

import harness
import latents
import pytest

LIMITS = ["as", "data"]  # RLIMIT_AS, RLIMIT_DATA
SIZES_MIB = [8, 64, 96, 128, 160, 192, 224, 256, 288, 320, 384, 512, 1024]
PATIENCE = 60  # seconds; the commands take 2

pytestmark = pytest.mark.skipif(bool(os.environ.get("PHASE0_SANITIZE")),
                                reason="a sanitizer maps terabytes of address space")


@pytest.fixture(autouse=True)
def _binary(binary):
    pass


def limited(limit, mib, *args, env=None):
    done = subprocess.run(["prlimit", f"--{limit}={mib << 20}", str(harness.BINARY), *map(str, args)],
                          capture_output=True, text=True, timeout=PATIENCE, env=env, stdin=subprocess.DEVNULL)
    return harness.Result(done.returncode, done.stdout, done.stderr)


def ended_well(result):
    """Whether the command did its work; else it must have said what it lacks."""
    if result.code == 0:
        return True
    # Below what the libraries take the program never begins: the loader says so, or the kernel ends it in execve.
    if result.code == 127 and "error while loading shared libraries" in result.err:
        return False
    assert result.code == 4, str(result)
    assert any(word in result.err for word in ("memory", "address space")), str(result)
    return False


def sizes(limit):
    """From where the program can be loaded."""
    return [mib for mib in SIZES_MIB if limited(limit, mib, "--version").code == 0]


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    where = tmp_path_factory.mktemp("limits")
    corpus = latents.make(seed=5, n_speakers=24, utterances_each=4, mean_frames=90, dim=64)
    path = latents.write(where / "latents.h5", corpus)
    return harness.base_config(path, where / "run")


@pytest.fixture(scope="module")
def reference(config, tmp_path_factory):
    where = tmp_path_factory.mktemp("unlimited")
    return harness.fingerprint(harness.run_ok(config, where))


@pytest.mark.parametrize("limit", LIMITS)
def test_it_loads_in_little(limit):
    loaded = sizes(limit)
    assert loaded and loaded[0] <= 128, loaded
    assert loaded == [mib for mib in SIZES_MIB if mib >= loaded[0]], "not from one size upwards"


@pytest.mark.parametrize("limit", LIMITS)
def test_plan_and_guard_end(config, tmp_path, limit):
    path = harness.write_config(tmp_path / "config-in.yaml", config)
    done = {"plan": 0, "guard": 0}
    for mib in sizes(limit):
        done["plan"] += ended_well(limited(limit, mib, "plan", "-c", path))
        done["guard"] += ended_well(limited(limit, mib, "guard", "--limit", "1GiB", "--", "true"))
    assert min(done.values()) > 0, done


@pytest.mark.parametrize("limit", LIMITS)
@pytest.mark.parametrize("threads", [1, 4])
def test_a_run_ends_and_can_be_finished(config, reference, tmp_path, limit, threads):
    done = []
    for mib in sizes(limit):
        cfg = harness.merged(config, {"output.dir": str(tmp_path / f"run{mib}"), "compute.threads": threads})
        path = harness.write_config(tmp_path / f"{mib}.yaml", cfg)
        done.append(ended_well(limited(limit, mib, "run", "-c", path, "--progress", "none")))
        if not done[-1]:
            result = harness.run("run", "-c", path, "--progress", "none")
            assert result.code == 0, f"{mib} MiB, then without a limit: {result}"
        assert harness.fingerprint(tmp_path / f"run{mib}") == reference, f"{mib} MiB"
    print(f"{limit}, {threads} thread(s): {dict(zip(sizes(limit), done))}")
    assert done[-1] and not done[0], done


@pytest.mark.skipif(not os.environ.get("PHASE0_FAILING_ALLOCATOR"), reason="needs the library that waits at exit")
def test_a_signal_ends_what_hangs_after_the_command(config, tmp_path):
    # The library opens this file as the program exits, which lasts until somebody reads.
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    env = dict(os.environ, LD_PRELOAD=os.environ["PHASE0_FAILING_ALLOCATOR"], PHASE0_FAIL_COUNT=str(pipe))
    path = harness.write_config(tmp_path / "config-in.yaml", config)
    with open(tmp_path / "out", "wb") as out:
        process = subprocess.Popen([str(harness.BINARY), "plan", "-c", path], env=env, stdout=out,
                                   stderr=subprocess.DEVNULL)
    try:
        for _ in range(200):  # the plan is the last that the command has to say
            if (tmp_path / "out").stat().st_size > 0:
                break
            time.sleep(0.1)
        time.sleep(1)
        assert process.poll() is None, "it does not wait"
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=10) == 0, "not the code of the command"
    finally:
        process.kill()
        process.wait()
