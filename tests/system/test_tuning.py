"""What tuning learns is kept for the next run and never changes a result."""

import json
import os

import harness
import pytest


def environment(cache):
    return {**os.environ, "XDG_CACHE_HOME": str(cache)}


def run(cfg, where, cache, *flags):
    cfg = harness.merged(cfg, {"output.dir": str(where / "run")})
    where.mkdir()
    done = harness.run("run", "-c", harness.write_config(where / "config.yaml", cfg), "--progress", "none", *flags,
                       env=environment(cache))
    assert done.code == 0, str(done)
    return harness.fingerprint(where / "run")


@pytest.fixture(scope="module")
def learnt(small_run, tmp_path_factory):
    """(tuning.json of a run, fingerprint of the shared run, which may have used any)."""
    where = tmp_path_factory.mktemp("tuning")
    run(small_run[0], where / "first", where / "cache")
    return where / "cache" / "phase0" / "tuning.json", harness.fingerprint(small_run[1])


def test_a_run_leaves_what_it_learnt_by_stage(learnt):
    table = json.loads(learnt[0].read_text())
    assert table["version"] == 1
    assert {"fit", "analyze"} <= set(table["stages"])
    assert any(key.startswith("k-means, ") for key in table["stages"]["fit"])
    assert all(isinstance(n, int) and n >= 1 for stage in table["stages"].values() for n in stage.values())


@pytest.mark.parametrize("blocks", [1, 7, 1_000_000])
def test_any_start_gives_the_same_bytes(small_run, learnt, tmp_path, blocks):
    table = json.loads(learnt[0].read_text())
    for stage in table["stages"].values():
        for key in stage:
            stage[key] = blocks
    (tmp_path / "cache" / "phase0").mkdir(parents=True)
    (tmp_path / "cache" / "phase0" / "tuning.json").write_text(json.dumps(table))
    assert run(small_run[0], tmp_path / "again", tmp_path / "cache") == learnt[1]


@pytest.mark.parametrize("text", ["", "{", '{"version": 99}', "\0" * 100, '{"version": 1, "stages": {"fit": 3}}'])
def test_a_damaged_table_is_ignored_and_replaced(small_run, learnt, tmp_path, text):
    path = tmp_path / "cache" / "phase0" / "tuning.json"
    path.parent.mkdir(parents=True)
    path.write_text(text)
    assert run(small_run[0], tmp_path / "again", tmp_path / "cache") == learnt[1]
    assert json.loads(path.read_text())["version"] == 1


def test_a_cache_that_cannot_be_written_is_no_error(small_run, learnt, tmp_path):
    (tmp_path / "cache").write_text("not a folder")
    assert run(small_run[0], tmp_path / "again", tmp_path / "cache") == learnt[1]
