from __future__ import annotations

from pathlib import Path

import pytest

from khoci.compat.selftest import Outcome, headline, judge
from khoci.config.selftest import BACKWARD, FORWARD, Expectation, Mutant
from khoci.results import CellResult, Judgement
from khoci.verdicts import Verdict, worst

MUTANT = Mutant(
    name="x",
    patch=Path("x.patch"),
    component="memory map",
    version="kept",
    scenario="reserve-mem",
    why="it has to",
    forward=Expectation(Verdict.REFUSED, "root"),
    backward=Expectation(Verdict.CORRUPT, "memory map"),
)


def result(**components: Verdict) -> CellResult:
    judged = {name.replace("_", " "): Judgement(verdict) for name, verdict in components.items()}
    return CellResult("a", "b", "reserve-mem", worst(components.values()), judged)


def test_exactly_the_expected_verdict_in_the_expected_component() -> None:
    found = result(root=Verdict.RESTORED, memory_map=Verdict.CORRUPT, luo=Verdict.CORRUPT)
    assert judge(MUTANT, BACKWARD, found) == Outcome(
        "x", BACKWARD, passed=True, caught=True, text="corrupt in memory map, luo"
    )


def test_each_direction_has_its_own_expectation() -> None:
    found = result(root=Verdict.REFUSED, memory_map=Verdict.REFUSED)
    assert judge(MUTANT, FORWARD, found).passed
    assert not judge(MUTANT, BACKWARD, found).passed


@pytest.mark.parametrize("verdict", [Verdict.RESTORED, Verdict.ACCEPTED, Verdict.ABSENT])
def test_a_mutant_that_passes_for_a_good_kernel_is_not_caught(verdict: Verdict) -> None:
    outcome = judge(MUTANT, BACKWARD, result(root=verdict, memory_map=verdict))
    assert outcome == Outcome(
        "x",
        BACKWARD,
        passed=False,
        caught=False,
        text=f"{verdict} in root, memory map, not corrupt in memory map",
    )


@pytest.mark.parametrize(
    "verdict",
    [Verdict.REFUSED, Verdict.DROPPED, Verdict.PANIC, Verdict.RESET, Verdict.HANG],
)
def test_another_verdict_is_wrong_but_caught(verdict: Verdict) -> None:
    outcome = judge(MUTANT, BACKWARD, result(memory_map=verdict))
    assert (outcome.passed, outcome.caught) == (False, True)
    assert outcome.text == f"{verdict} in memory map, not corrupt in memory map"


def test_the_right_verdict_in_another_component_is_wrong() -> None:
    found = result(root=Verdict.CORRUPT, memory_map=Verdict.RESTORED)
    outcome = judge(MUTANT, BACKWARD, found)
    assert not outcome.passed
    assert outcome.text == "corrupt in root: memory map is restored"


def test_a_component_that_was_not_judged_is_wrong() -> None:
    outcome = judge(MUTANT, BACKWARD, result(root=Verdict.CORRUPT))
    assert not outcome.passed
    assert outcome.text == "corrupt in root: memory map was not judged at all"


def test_something_worse_elsewhere_is_wrong() -> None:
    found = result(root=Verdict.REFUSED, memory_map=Verdict.CORRUPT)
    assert not judge(MUTANT, FORWARD, found).passed


def test_a_harness_that_fails_passes_nothing() -> None:
    outcome = judge(MUTANT, FORWARD, result(root=Verdict.ERROR))
    assert (outcome.passed, outcome.text) == (False, "the harness failed")


def test_a_cell_that_was_not_run_passes_nothing() -> None:
    outcome = judge(MUTANT, FORWARD, None)
    assert (outcome.passed, outcome.text) == (False, "was not run")


def made(direction: str, *, passed: bool, caught: bool = True) -> Outcome:
    return Outcome("x", direction, passed=passed, caught=caught, text="")


def test_the_headline_of_a_self_test_that_went_well() -> None:
    outcomes = [made(FORWARD, passed=True), made(BACKWARD, passed=True)]
    assert headline(outcomes) == "self-test: 2 of 2 as expected"


def test_the_headline_names_what_failed_and_the_worst_first() -> None:
    outcomes = [
        made(FORWARD, passed=False),
        made(BACKWARD, passed=False, caught=False),
        made(BACKWARD, passed=True),
    ]
    assert headline(outcomes) == (
        "SELF-TEST FAILED: 2 of 3; not caught: x backward; not as expected: x forward"
    )


def test_a_self_test_of_nothing_has_failed() -> None:
    assert headline([]) == "SELF-TEST FAILED: nothing was run"
