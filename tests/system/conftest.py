"""Shared fixtures. Runs of the binary are shared by session-scoped fixtures: a run is seconds, its checks are not."""

import os

import harness
import latents
import pytest
import threadpoolctl
from cases import case  # noqa: F401  a fixture


@pytest.fixture(scope="session", autouse=True)
def one_thread_for_the_oracle():
    """Its BLAS threads and those of phase0 fighting for two cores make the suite ten times slower."""
    with threadpoolctl.threadpool_limits(1):  # of what the test files have loaded by now
        yield


@pytest.fixture(scope="session", autouse=True)
def cache_of_the_tests(tmp_path_factory):
    """Rates of the machine are kept, but not among the user's own."""
    os.environ["XDG_CACHE_HOME"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="session")
def binary():
    if not harness.BINARY.exists():
        pytest.fail(f"no binary at {harness.BINARY}; set PHASE0_BIN")
    return harness.BINARY


@pytest.fixture(scope="session")
def small_corpus():
    return latents.make(seed=3, n_speakers=24, utterances_each=4, mean_frames=90, dim=24)


@pytest.fixture(scope="session")
def small_latents(tmp_path_factory, small_corpus):
    return latents.write(tmp_path_factory.mktemp("small") / "latents.h5", small_corpus)


@pytest.fixture(scope="session")
def small_run(tmp_path_factory, small_latents, binary):
    """(config, run directory, result) of a plain run that tests may read but must not change."""
    where = tmp_path_factory.mktemp("small_run")
    cfg = harness.base_config(small_latents, where / "run")
    result = harness.run_config(cfg, where)
    assert result.code == 0, str(result)
    return cfg, where / "run", result
