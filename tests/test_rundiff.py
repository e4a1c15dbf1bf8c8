from __future__ import annotations

import json
from dataclasses import replace

import pytest

from khoci.results import CellResult, Expected, Judgement
from khoci.rundiff import Change, Kind, against, compare
from khoci.verdicts import Verdict

ORDER = ("v6.17.13", "v6.18.15", "v7.3.4")
JUDGED = [verdict for verdict in Verdict if verdict not in (Verdict.ABSENT, Verdict.ERROR)]


def cell(
    verdict: Verdict, pair: str = "01", scenario: str = "memfd", fault: str = ""
) -> CellResult:
    producer, consumer = (ORDER[int(number)] for number in pair)
    components = {"root": Judgement(Verdict.RESTORED), "memfd": Judgement(verdict)}
    return CellResult(producer, consumer, scenario, verdict, components, fault=fault)


def changed(before: CellResult | None, after: CellResult | None) -> Change | None:
    found = compare([before] if before else [], [after] if after else [], ORDER)
    assert len(found) <= 1
    return found[0] if found else None


def kind(before: CellResult | None, after: CellResult | None) -> Kind | None:
    change = changed(before, after)
    return change.kind if change else None


@pytest.mark.parametrize("before", JUDGED)
@pytest.mark.parametrize("after", JUDGED)
def test_a_worse_verdict_is_a_regression_and_a_better_one_a_fix(
    before: Verdict, after: Verdict
) -> None:
    steps = after.rank - before.rank
    expected = None if not steps else Kind.REGRESSED if steps > 0 else Kind.FIXED
    assert kind(cell(before), cell(after)) is expected


@pytest.mark.parametrize("nothing", [None, cell(Verdict.ABSENT), cell(Verdict.ERROR)])
def test_cells_that_one_run_did_not_judge(nothing: CellResult | None) -> None:
    assert kind(nothing, cell(Verdict.PANIC)) is Kind.NEW
    assert kind(cell(Verdict.RESTORED), nothing) is Kind.GONE
    assert kind(nothing, nothing) is None


def test_a_cell_that_is_absent_was_as_good_as_not_run() -> None:
    assert kind(None, cell(Verdict.ABSENT)) is None
    assert kind(cell(Verdict.ABSENT), None) is None


def test_a_failure_of_the_harness_is_never_silent_and_never_a_regression() -> None:
    assert kind(None, cell(Verdict.ERROR)) is Kind.NEW
    assert kind(cell(Verdict.ERROR), cell(Verdict.ABSENT)) is Kind.GONE


def test_what_the_worst_component_hides() -> None:
    before = cell(Verdict.PANIC)
    worse = replace(before, components={**before.components, "root": Judgement(Verdict.CORRUPT)})
    change = changed(before, worse)
    assert change
    assert change.kind is Kind.REGRESSED
    assert change.components == {"root": (Verdict.RESTORED, Verdict.CORRUPT)}
    assert kind(worse, before) is Kind.FIXED


def test_a_component_that_is_handed_over_now_is_no_regression() -> None:
    before = cell(Verdict.PANIC)
    more = replace(before, components={**before.components, "luo": Judgement(Verdict.DROPPED)})
    change = changed(before, more)
    assert change
    assert change.kind is Kind.CHANGED
    assert change.components == {"luo": (Verdict.ABSENT, Verdict.DROPPED)}


def test_a_warning_is_a_regression() -> None:
    quiet = cell(Verdict.RESTORED)
    noisy = replace(quiet, splats=("consumer: WARNING: CPU: 0 PID: 1 at mm/x.c:12",))
    change = changed(quiet, noisy)
    assert change
    assert change.kind is Kind.REGRESSED
    assert change.splats == ([], list(noisy.splats))
    assert kind(noisy, quiet) is Kind.FIXED


def test_numbers_in_a_warning_do_not_matter() -> None:
    lines = [
        "consumer: BUG: unable to handle page fault for address: ffd40000010368e8",
        "consumer: BUG: unable to handle page fault for address: ffd40000010767a8",
    ]
    before, after = (replace(cell(Verdict.PANIC), splats=(line,)) for line in lines)
    assert changed(before, after) is None
    other = replace(after, splats=("consumer: BUG: unable to handle kernel NULL pointer",))
    assert kind(before, other) is Kind.REGRESSED


def test_a_prediction_that_does_not_come_true_any_more() -> None:
    def predicted(verdict: Verdict) -> CellResult:
        right = {"root": Expected(Verdict.RESTORED, "x"), "memfd": Expected(verdict, "y")}
        return replace(cell(Verdict.CORRUPT), prediction=right)

    right, wrong = predicted(Verdict.CORRUPT), predicted(Verdict.PANIC)
    change = changed(right, wrong)
    assert change
    assert (change.kind, change.predictions) == (Kind.CHANGED, {"memfd": False})
    assert changed(right, right) is None
    assert changed(cell(Verdict.CORRUPT), wrong) is None
    better = replace(wrong, verdict=Verdict.RESTORED, components=cell(Verdict.RESTORED).components)
    change = changed(right, better)
    assert change
    assert (change.kind, change.predictions) == (Kind.FIXED, {})


def test_the_same_run_has_no_changes() -> None:
    run = [cell(verdict, scenario=verdict) for verdict in Verdict]
    assert compare(run, run, ORDER) == []
    assert compare(run, [replace(item, seconds=9, joint=("x",)) for item in run], ORDER) == []


def test_cells_are_told_apart_by_pair_scenario_and_fault() -> None:
    good = [cell(Verdict.RESTORED, fault=fault) for fault in ("", "cut")]
    bad = [cell(Verdict.PANIC, pair, name) for pair, name in (("10", "memfd"), ("01", "memfd:a=1"))]
    assert {change.kind for change in compare(good, bad, ORDER)} == {Kind.NEW, Kind.GONE}
    (change,) = compare(good, [good[0], cell(Verdict.PANIC, fault="cut")], ORDER)
    assert (change.kind, change.cell.fault) == (Kind.REGRESSED, "cut")


def test_worst_first_then_by_scenario_and_pair() -> None:
    names = [("12", "b"), ("00", "b"), ("02", "a"), ("20", "a")]
    before = [cell(Verdict.REFUSED, pair, scenario) for pair, scenario in names]
    after = [cell(Verdict.RESTORED, *names[0]), *(cell(Verdict.PANIC, *name) for name in names[1:])]
    found = compare(before, after, ORDER)
    assert [(item.kind, item.cell.scenario, item.cell.producer) for item in found] == [
        (Kind.REGRESSED, "a", ORDER[0]),
        (Kind.REGRESSED, "a", ORDER[2]),
        (Kind.REGRESSED, "b", ORDER[0]),
        (Kind.FIXED, "b", ORDER[1]),
    ]


def test_what_scripts_read() -> None:
    after = replace(cell(Verdict.PANIC), splats=("consumer: BUG: x",), reproduce="khoci cell run")
    change = changed(cell(Verdict.RESTORED), after)
    assert change
    assert json.loads(json.dumps(change.to_json())) == {
        "kind": "regressed",
        "producer": "v6.17.13",
        "consumer": "v6.18.15",
        "scenario": "memfd",
        "fault": "",
        "before": "restored",
        "after": "panic",
        "components": {"memfd": ["restored", "panic"]},
        "splats": {"gone": [], "new": ["consumer: BUG: x"]},
        "as predicted": {},
        "reproduce": "khoci cell run",
    }
    gone = changed(after, None)
    assert gone
    assert (gone.to_json()["before"], gone.to_json()["after"]) == ("panic", None)


def test_a_changed_kernel_against_what_it_was_made_of() -> None:
    order = (*ORDER, "mine")
    base = [cell(Verdict.RESTORED, pair) for pair in ("11", "01", "10")]
    mine = [
        replace(cell(Verdict.CORRUPT), producer="v6.18.15", consumer="mine"),
        replace(cell(Verdict.RESTORED), producer="mine", consumer="mine"),
        replace(cell(Verdict.PANIC), producer="v6.17.13", consumer="mine"),
        replace(cell(Verdict.REFUSED), producer="mine", consumer="v7.3.4"),
    ]
    found = against([*base, *mine], {"mine": "v6.18.15"}, order)
    assert [(c.kind, c.cell.producer, c.cell.consumer) for c in found] == [
        (Kind.REGRESSED, "v6.17.13", "mine"),
        (Kind.REGRESSED, "v6.18.15", "mine"),
        (Kind.NEW, "mine", "v7.3.4"),
    ]
    assert [c.before and c.before.verdict for c in found] == ["restored", "restored", None]
    assert against(base, {"mine": "v6.18.15"}, order) == []
