from __future__ import annotations

from dataclasses import replace

import pytest

from khoci.compat.policy import reasons, violations
from khoci.config.policy import Known, Policy
from khoci.results import CellResult
from khoci.verdicts import Verdict

NEVER = (Verdict.DROPPED, Verdict.CORRUPT, Verdict.PANIC, Verdict.RESET, Verdict.HANG)
KNOWN = Known(("6.17",), ("6.18",), ("kho-test",), Verdict.PANIC, "bitmaps grew")


def cell(
    verdict: Verdict,
    producer: str = "v6.17.13",
    consumer: str = "v6.18.15",
    scenario: str = "kho-test",
) -> CellResult:
    return CellResult(producer, consumer, scenario, verdict, {})


@pytest.mark.parametrize("verdict", NEVER)
def test_what_must_never_happen(verdict: Verdict) -> None:
    (line,) = violations([cell(verdict)], Policy(NEVER, ()))
    assert line == f"v6.17.13 -> v6.18.15 kho-test: {verdict} must never happen"


@pytest.mark.parametrize(
    "verdict", [Verdict.RESTORED, Verdict.ACCEPTED, Verdict.REFUSED, Verdict.ABSENT]
)
def test_what_may_happen(verdict: Verdict) -> None:
    assert violations([cell(verdict)], Policy(NEVER, ())) == []


def test_a_known_break_is_not_held_against_a_run() -> None:
    policy = Policy(NEVER, (KNOWN,))
    assert violations([cell(Verdict.PANIC)], policy) == []
    assert reasons([cell(Verdict.PANIC), cell(Verdict.PANIC)], policy) == ["bitmaps grew"]


@pytest.mark.parametrize("verdict", [Verdict.RESTORED, Verdict.RESET])
def test_a_known_break_that_is_another_now(verdict: Verdict) -> None:
    (line,) = violations([cell(verdict)], Policy(NEVER, (KNOWN,)))
    assert line.endswith(f"panic was known, it is {verdict} now")


@pytest.mark.parametrize(
    "other",
    [
        cell(Verdict.PANIC, producer="v6.18.15"),
        cell(Verdict.PANIC, consumer="v6.17.13"),
        cell(Verdict.PANIC, scenario="reserve-mem"),
        cell(Verdict.PANIC, producer="v6.1.7"),
        cell(Verdict.PANIC, producer="v6.170.1"),
    ],
)
def test_a_known_break_covers_its_own_cells_only(other: CellResult) -> None:
    policy = Policy(NEVER, (KNOWN,))
    assert len(violations([other], policy)) == 1
    assert reasons([other], policy) == []


@pytest.mark.parametrize("name", ["6.17", "6.17.13", "v6.17.13"])
def test_names_of_kernels_and_series(name: str) -> None:
    known = Known((name,), ("6.18",), ("kho-test",), Verdict.PANIC, "r")
    assert violations([cell(Verdict.PANIC)], Policy(NEVER, (known,))) == []


def test_a_cell_that_cannot_be_done_says_nothing_of_a_known_break() -> None:
    policy = Policy((*NEVER, Verdict.ABSENT), (KNOWN,))
    assert violations([cell(Verdict.ABSENT)], policy) == []


def test_where_chance_decides_either_is_known() -> None:
    known = replace(KNOWN, also=(Verdict.RESET,))
    assert violations([cell(KNOWN.verdict)], Policy(NEVER, (known,))) == []
    assert violations([cell(Verdict.RESET)], Policy(NEVER, (known,))) == []
    (line,) = violations([cell(Verdict.HANG)], Policy(NEVER, (known,)))
    assert line.endswith("panic or reset was known, it is hang now")
