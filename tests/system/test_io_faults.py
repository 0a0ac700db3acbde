"""Every call on a file fails in turn, once and then for good: the right result or a documented exit code, nothing half-written,
and the same command ends with the same bytes once the fault is gone."""

import collections
import dataclasses
import json
import os
import shutil
import struct
from pathlib import Path

import h5py
import harness
import latents
import pytest

LIBRARY = os.environ.get("PHASE0_FAILING_IO")
STRIDE = int(os.environ.get("PHASE0_FAIL_STRIDE", "0"))  # 1: every call; 0: a few, spread over all
SUMMARY = os.environ.get("PHASE0_IO_SUMMARY")  # a JSON file for the figures of bench/README.md
ATTEMPTS = 2  # of each case with stride 0

pytestmark = pytest.mark.skipif(not LIBRARY, reason="PHASE0_FAILING_IO names no library")

FAULTS = {
    "write": ("EIO", "ENOSPC", "short", "EINTR"),
    "read": ("EIO", "short", "EINTR"),
    "fsync": ("EIO", "ENOSPC", "EINTR"),
    "sync_range": ("EIO", "ENOSPC"),
    "fallocate": ("EIO", "ENOSPC", "EINTR", "EOPNOTSUPP"),
    "mmap": ("EIO", "ENOMEM"),
    "rename": ("EIO", "ENOSPC"),
    "open": ("EIO", "EINTR", "EMFILE"),
    "create": ("EROFS", "ENOSPC"),
    "close": ("EIO", "ENOSPC", "EINTR"),
    "truncate": ("EIO", "EINTR"),
    "unlink": ("EIO",),
    "mkdir": ("EIO", "ENOSPC"),
}
HARMLESS = ("short", "EINTR", "EOPNOTSUPP")  # the work goes on
FILES_OF = {"collect": {"features.h5"}, "fit": {"models.h5", "assignments.h5"},
            "analyze": {*harness.CSV_FILES, "metrics.json", "decision.json", "report.txt", "report.html"}}


@dataclasses.dataclass
class Case:
    """A run that is disturbed: its folder holds all files that it reads or writes."""

    source: Path  # latents and lists of speakers
    changes: dict

    def prepare(self, where: Path) -> dict:
        where.mkdir(parents=True)
        for file in self.source.iterdir():
            os.link(file, where / file.name)
        cfg = harness.merged(harness.base_config(where / "latents.h5", where / "runs" / "one"), self.changes)
        cfg["splits"] = {"train_speakers_file": str(where / "train.txt"), "eval_speakers_file": str(where / "eval.txt"),
                         "seed": 1, "utt_holdout_frac": 0.2}
        harness.write_config(where / "config-in.yaml", cfg)
        return cfg


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


@pytest.fixture(scope="module")
def cases(tmp_path_factory):
    return {storage: small_case(tmp_path_factory.mktemp(storage), storage, layout)
            for storage, layout in (("dense", "contiguous"), ("window", "zstd"))}


def environment(where, family="", fault="", at=0, always=False, file=None):
    env = dict(os.environ, XDG_CACHE_HOME=str(where / "cache"))
    if family:
        env.update(LD_PRELOAD=LIBRARY, PHASE0_IO_BELOW=str(where), PHASE0_IO_FAMILY=family, PHASE0_IO_FAULT=fault,
                   PHASE0_IO_AT=str(at), PHASE0_IO_REPORT=str(where) + ".report")
    if always:
        env["PHASE0_IO_ALWAYS"] = "1"
    if file:
        env["PHASE0_IO_FILE"] = str(file)
    return env


def run(where, **fault):
    return harness.run("run", "-c", where / "config-in.yaml", "--progress", "none", env=environment(where, **fault))


def report(where):
    """(calls counted, faults made) of the run before."""
    return struct.unpack("qq", Path(str(where) + ".report").read_bytes())


def files(where):
    return {str(p.relative_to(where)) for p in where.rglob("*") if p.is_file() and "cache" not in p.parts}


@pytest.fixture(scope="module")
def references(cases, tmp_path_factory):
    """storage -> (fingerprint, files, family -> number of calls) of undisturbed runs."""
    out = {}
    for storage, case in cases.items():
        calls = {}
        for family in FAULTS:
            where = tmp_path_factory.mktemp("reference") / family
            case.prepare(where)
            result = run(where, family=family)
            assert result.code == 0, str(result)
            calls[family] = report(where)[0]
        out[storage] = harness.fingerprint(where / "runs" / "one"), files(where), calls
    return out


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
            for name, size in stage["files"].items():
                assert (run_dir / name).stat().st_size == size, name


def reason(family, fault):
    """What the message must say."""
    if fault == "ENOSPC" and family in ("write", "fallocate"):
        return "disk full: needs "
    return {"EIO": "Input/output error", "ENOSPC": " free)", "EMFILE": "Too many open files", "EROFS": "Read-only file system",
            "ENOMEM": "Cannot allocate memory"}[fault]


def expected_codes(fault):
    if fault in HARMLESS:
        return {0}
    return {0, 4, 5} if fault == "ENOMEM" else {0, 5}


def disturb(case, reference, where, family, fault, at, always):
    """Runs with one fault; the exit code, or None when there was no such call."""
    want, want_files, _ = reference
    what = f"{family} {fault} at {at}{' and after' if always else ''}"
    case.prepare(where)
    result = run(where, family=family, fault=fault, at=at, always=always)
    if report(where)[1] == 0:
        assert result.code == 0, f"{what}: {result}"
        return None
    run_dir = where / "runs" / "one"
    assert result.code in expected_codes(fault), f"{what}: {result}"
    if result.code == 0:
        assert harness.fingerprint(run_dir) == want, what
        return 0
    assert str(where) in result.err, f"{what}: the message names no file\n{result}"
    assert reason(family, fault) in result.err, f"{what}: {result}"
    check_what_is_left(run_dir, want)
    again = run(where)
    assert again.code == 0, f"starting again after {what}: {again}"
    assert harness.fingerprint(run_dir) == want, f"starting again after {what}"
    assert files(where) == want_files, f"starting again after {what}"
    return result.code


def attempts(total, salt):
    """Numbers of calls, the one behind the last included: that run must be clean."""
    if STRIDE:
        return [*range(1, total + 1, STRIDE), total + 1]
    return sorted({1 + (salt * 7919 + i * total // ATTEMPTS) % total for i in range(ATTEMPTS)}) if total else []


CASES = [(family, fault, always) for family, faults in FAULTS.items() for fault in faults for always in (False, True)]


def summarise(key, outcomes):
    if not SUMMARY:
        return
    path = Path(SUMMARY)
    known = json.loads(path.read_text()) if path.exists() else {}
    known[key] = {str(code): n for code, n in outcomes.items()}
    path.write_text(json.dumps(known, indent=1))


@pytest.mark.parametrize("family,fault,always", CASES, ids=["-".join((a, b, "always" if c else "once")) for a, b, c in CASES])
def test_a_failed_call_ends_well(cases, references, tmp_path, family, fault, always):
    salt = CASES.index((family, fault, always))
    for storage in ("dense", "window") if STRIDE else (("dense", "window")[salt // 2 % 2],):
        total = references[storage][2][family]
        assert total > 0, f"no {family} is ever called"
        outcomes = collections.Counter()
        for n in attempts(total, salt):
            where = tmp_path / f"{storage}{n}"
            outcomes[disturb(cases[storage], references[storage], where, family, fault, n, always)] += 1
            shutil.rmtree(where)
        if STRIDE == 1:
            assert outcomes[None] > 0, "the sweep did not reach its end"
        summarise(f"{storage} {family} {fault} {'always' if always else 'once'}", outcomes)
