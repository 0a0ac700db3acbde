"""Promise 2 of the specification: measured memory stays within the plan and the budget. bench/bounds.py, small."""

import sys

import harness
import pytest

sys.path.insert(0, str(harness.ROOT / "bench"))
import bounds  # noqa: E402


@pytest.mark.parametrize("case", bounds.SMALL, ids=lambda case: case.name())
def test_every_stage_stays_within_its_plan_and_budget(case, tmp_path_factory):
    folder = tmp_path_factory.getbasetemp() / "bounds"
    folder.mkdir(exist_ok=True)
    rows = bounds.run_case(case, folder, harness.BINARY)
    assert [row.stage for row in rows] == ["collect", "fit", "analyze"]
    assert [row for row in rows if row.wrong] == []


def test_the_smallest_budget_does_not_grow_with_the_threads(tmp_path):
    budgets = []
    for threads in (1, 2, 8):
        case = bounds.Case(5_000, 64, 8, 8, threads, "minimum", "window")
        budgets.append(bounds.smallest_budget(harness.BINARY, bounds.write_config(case, tmp_path)))
    assert len(set(budgets)) == 1, budgets
    assert int(budgets[0].removesuffix("MiB")) < 64
