"""What fit has done is not done again, in the same run or a later one, and never mistaken for something else."""

import json
import os
import shutil

import harness
import pytest


def differing(a, b):
    return sorted(k for k in a.keys() | b.keys() if a.get(k) != b.get(k))


@pytest.fixture()
def used(small_run, tmp_path):
    """(config, run directory) of a finished run, with what it has kept."""
    cfg, run_dir, _ = small_run
    shutil.copytree(run_dir, tmp_path / "run")
    return harness.merged(cfg, {"output.dir": str(tmp_path / "run")}), tmp_path / "run"


def kept_cells(run_dir):
    return json.loads((run_dir / "run.json").read_text())["stages"]["fit"]["n_cells_kept"]


def clean_run(cfg, where):
    where.mkdir(parents=True)
    return harness.fingerprint(harness.run_ok(harness.merged(cfg, {"output.dir": str(where / "run")}), where))


@pytest.mark.parametrize("index, change, kept", [
    (0, {"k": 9}, 4),  # of 3 conditions at 2 lags
    (1, {"k": 9}, 4),
    (2, {"pca_dim": 2}, 4),
    (2, {"pca_dim": 6}, 2),  # more components than any had: another PCA
    (0, {"name": "another"}, 4),
], ids=str)
def test_another_condition_leaves_the_others_as_they_are(used, tmp_path, index, change, kept):
    cfg, run_dir = used
    conditions = [dict(c) for c in cfg["clustering"]["conditions"]]
    conditions[index].update(change)
    cfg = harness.merged(cfg, {"clustering.conditions": conditions})
    result = harness.run_config(cfg, tmp_path)
    assert result.code == 0, str(result)
    assert kept_cells(run_dir) == kept == result.err.count(": kept from an earlier start")
    assert differing(harness.fingerprint(run_dir), clean_run(cfg, tmp_path / "clean")) == []


@pytest.mark.parametrize("change", [{"seed": 8}, {"context.window_size": 5}, {"clustering.kmeans.tol": 1e-3}], ids=str)
def test_what_depends_on_a_change_is_done_again(used, tmp_path, change):
    cfg, run_dir = used
    cfg = harness.merged(cfg, change)
    assert harness.run_config(cfg, tmp_path).code == 0
    assert kept_cells(run_dir) == (2 if "clustering.kmeans.tol" in change else 0)  # no k-means in the quartiles
    assert differing(harness.fingerprint(run_dir), clean_run(cfg, tmp_path / "clean")) == []


@pytest.mark.parametrize("lags, kept", [([3, 1], 6), ([1, 2, 3], 2), ([3], 1), ([1], 0)], ids=str)
def test_other_lags_leave_cells_of_the_same_rows_as_they_are(used, tmp_path, lags, kept):
    """Rows begin behind the largest lag: 1 alone has more of them. The last bits of a PCA depend on all its lags."""
    cfg, run_dir = used
    cfg = harness.merged(cfg, {"context.lags": lags})
    assert harness.run_config(cfg, tmp_path).code == 0
    assert kept_cells(run_dir) == kept
    assert differing(harness.fingerprint(run_dir), clean_run(cfg, tmp_path / "clean")) == []


def test_fresh_collect_leaves_nothing_for_fit(used, tmp_path):
    cfg, run_dir = used
    assert harness.run_config(cfg, tmp_path, "--fresh", command="collect").code == 0
    assert harness.run_config(cfg, tmp_path, command="fit").code == 0
    assert kept_cells(run_dir) == 0


def test_fresh_does_everything_again(used, tmp_path):
    cfg, run_dir = used
    assert harness.run_config(cfg, tmp_path, "--fresh").code == 0
    assert kept_cells(run_dir) == 0


def test_a_damaged_unit_is_told_and_done_again(used, tmp_path):
    cfg, run_dir = used
    want = harness.fingerprint(run_dir)
    units = sorted((run_dir / "cache" / "fit").glob("*.unit"))
    for i, unit in enumerate(units):
        data = bytearray(unit.read_bytes())
        data[len(data) * (i + 1) // (len(units) + 1)] ^= 1
        unit.write_bytes(data)
    (run_dir / "assignments.h5").unlink()
    result = harness.run_config(cfg, tmp_path)
    assert result.code == 0, str(result)
    assert result.err.count("cannot be used and is done again") == len(units), result.err
    assert kept_cells(run_dir) == 0
    assert differing(harness.fingerprint(run_dir), want) == []


def test_inspect_lists_what_is_kept(used):
    _, run_dir = used
    shown = harness.run("inspect", run_dir)
    assert shown.code == 0
    # Six conditions at lags, two PCAs or one for both lags, the normaliser.
    units = list((run_dir / "cache").rglob("*.unit"))
    assert f"{len(units)} finished parts, {sum(u.stat().st_size for u in units)} bytes" in shown.out
    for name in ("normaliser", "lag 1: mean_vq16", "lag 3: pca3_quartile", "PCA"):
        assert name in shown.out, shown.out
    (run_dir / "cache" / "fit" / "other.unit").write_bytes(b"nothing")
    assert "damaged" in harness.run("inspect", run_dir).out


def killed(cfg, where, step):
    """What a start says that comes after a fit that was killed at the step; None when it was not reached."""
    where.mkdir(parents=True, exist_ok=True)
    config = harness.write_config(where / "config-in.yaml", cfg)
    flags = ("-c", config, "--progress", "none", "--checkpoint", "0")
    assert harness.run("collect", *flags).code == 0
    code = harness.run("fit", *flags, env={**os.environ, "PHASE0_KILL_AT": step}).code
    assert code in (0, -9)
    again = harness.run("run", *flags)
    assert again.code == 0, str(again)
    return again if code == -9 else None


@pytest.mark.parametrize("kind, goes_on", [("pca_vq", "k-means: goes on"), (None, "PCA covariance: goes on")], ids=str)
def test_the_way_to_a_result_is_kept_until_the_result_is(small_run, tmp_path, kind, goes_on):
    """A kill where the result is about to be kept, long after its last iteration or row."""
    cfg, run_dir, _ = small_run
    names = [c["name"] for c in cfg["clustering"]["conditions"] if c["type"] == kind]
    name = f"lag {cfg['context']['lags'][0]}: {names[0]}" if names else ": PCA"
    file, = [unit.name for unit in (run_dir / "cache" / "fit").glob("*.unit")
             if name.encode() in unit.read_bytes()[:200]][:1]
    cfg = harness.merged(cfg, {"output.dir": str(tmp_path / "run")})
    again = killed(cfg, tmp_path, f"{file}:created")
    assert again is not None and goes_on in again.err, str(again)
    assert differing(harness.fingerprint(tmp_path / "run"), harness.fingerprint(run_dir)) == []
    assert not [line for line in harness.run("inspect", tmp_path / "run").out.splitlines() if "under way" in line]


def killed_at(cfg, where, numbers):
    """What later starts say of where they go on, after fits that were killed once so many units were saved."""
    want = clean_run(cfg, where / "clean")
    seen = set()
    for number in numbers:
        cfg_here = harness.merged(cfg, {"output.dir": str(where / str(number) / "run")})
        again = killed(cfg_here, where / str(number), f".unit:folder_synced:{number}")
        if again is None:
            break
        assert differing(harness.fingerprint(where / str(number) / "run"), want) == []
        seen |= {word for word in ("PCA covariance: goes on", "k-means: goes on", "kept from an earlier start")
                 if word in again.err}
    return seen


def test_a_killed_fit_says_where_it_goes_on(small_run, tmp_path):
    cfg = small_run[0]
    on_components = [c for c in cfg["clustering"]["conditions"] if "pca_dim" in c]
    pca_first = harness.merged(cfg, {"clustering.conditions": on_components})
    assert "PCA covariance: goes on" in killed_at(pca_first, tmp_path / "pca", [1, 2, 3])
    seen = killed_at(cfg, tmp_path / "all", [1, 2, *(round(1.6**i) for i in range(2, 20))])
    assert seen == {"k-means: goes on", "kept from an earlier start"}
