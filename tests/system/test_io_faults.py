"""Every call on a file fails in turn, once and then for good: the right result or a documented exit code, nothing half-written,
and the same command ends with the same bytes once the fault is gone."""

import collections
import itertools
import json
import os
import shutil
from pathlib import Path

import harness
import io_faults
import pytest
from io_faults import LIBRARY, STRIDE, check_what_is_left, files, report, run

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


@pytest.fixture(scope="module")
def base():
    with io_faults.folder_in_memory() as path:
        yield path


@pytest.fixture
def place(base):
    path = base / "case"
    path.mkdir()
    yield path
    shutil.rmtree(path)


@pytest.fixture(scope="module")
def cases(base):
    out = {}
    for storage, layout in (("dense", "contiguous"), ("window", "zstd")):
        (base / storage).mkdir()
        out[storage] = io_faults.small_case(base / storage, storage, layout)
    return out


@pytest.fixture(scope="module")
def references(cases, base):
    """storage -> (fingerprint, files, family -> number of calls) of undisturbed runs."""
    out = {}
    for storage, case in cases.items():
        calls = {}
        for family in FAULTS:
            where = base / f"{storage}-{family}"
            case.prepare(where)
            result = run(where, family=family)
            assert result.code == 0, str(result)
            calls[family] = report(where)[0]
        out[storage] = harness.fingerprint(where / "runs" / "one"), files(where), calls
    return out


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
    run_dir = case.prepare(where)
    result = run(where, family=family, fault=fault, at=at, always=always)
    if report(where)[1] == 0:
        assert result.code == 0, f"{what}: {result}"
        return None
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
    """Numbers of calls: without end, or a few."""
    if STRIDE:
        return itertools.count(1, STRIDE)
    return sorted({1 + (salt * 7919 + i * total // ATTEMPTS) % total for i in range(ATTEMPTS)})


CASES = [(family, fault, always) for family, faults in FAULTS.items() for fault in faults for always in (False, True)]


def summarise(key, outcomes):
    if not SUMMARY:
        return
    path = Path(SUMMARY)
    known = json.loads(path.read_text()) if path.exists() else {}
    known[key] = {str(code): n for code, n in outcomes.items()}
    path.write_text(json.dumps(known, indent=1))


@pytest.mark.parametrize("family,fault,always", CASES, ids=["-".join((a, b, "always" if c else "once")) for a, b, c in CASES])
def test_a_failed_call_ends_well(cases, references, place, family, fault, always):
    salt = CASES.index((family, fault, always))
    for storage in ("dense", "window") if STRIDE else (("dense", "window")[salt // 2 % 2],):
        total = references[storage][2][family]
        assert total > 0, f"no {family} is ever called"
        outcomes = collections.Counter()
        for n in attempts(total, salt):
            where = place / f"{storage}{n}"
            code = disturb(cases[storage], references[storage], where, family, fault, n, always)
            shutil.rmtree(where)
            if code is None:  # a clean run: there is no such call
                break
            outcomes[code] += 1
        summarise(f"{storage} {family} {fault} {'always' if always else 'once'}", outcomes)
