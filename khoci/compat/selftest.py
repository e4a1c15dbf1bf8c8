"""Whether khoci said of a mutant what it had to: expected against observed. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from khoci.config.selftest import Expectation, Mutant
from khoci.results import CellResult
from khoci.verdicts import Verdict

_FINE = (Verdict.ABSENT, Verdict.RESTORED, Verdict.ACCEPTED)
"""Verdicts that tell a user that nothing is wrong."""


@dataclass(frozen=True)
class Outcome:
    """What came of a mutant in one direction.

    Attributes:
        mutant: its name.
        direction: ``forward`` or ``backward``.
        passed: whether verdict and component are as expected.
        caught: whether the mutant was told from a good kernel, as it had to be.
        text: what was found, in one line.
    """

    mutant: str
    direction: str
    passed: bool
    caught: bool
    text: str


def judge(mutant: Mutant, direction: str, result: CellResult | None) -> Outcome:
    """Hold the result of a cell against what it has to be; None is a cell that was not run."""
    expected = mutant.expected(direction)
    if result is None:
        return Outcome(mutant.name, direction, passed=False, caught=True, text="was not run")
    caught = result.verdict not in _FINE or expected.verdict in _FINE
    text = _text(expected, result)
    return Outcome(mutant.name, direction, passed=not text, caught=caught, text=text or _is(result))


def _text(expected: Expectation, result: CellResult) -> str:
    """What is wrong with a result; empty if nothing is."""
    if result.verdict is Verdict.ERROR:
        return "the harness failed"
    if result.verdict is not expected.verdict:
        return f"{_is(result)}, not {expected}"
    component = result.components.get(expected.component)
    if component is None:
        return f"{_is(result)}: {expected.component} was not judged at all"
    if component.verdict is not expected.verdict:
        return f"{_is(result)}: {expected.component} is {component.verdict}"
    return ""


def _is(result: CellResult) -> str:
    """The verdict, and every component that has it."""
    names = [name for name, item in result.components.items() if item.verdict is result.verdict]
    return f"{result.verdict} in {', '.join(names)}" if names else str(result.verdict)


def headline(outcomes: Sequence[Outcome]) -> str:
    """One line for the top of a report; mutants that were not caught come first."""
    failed = [item for item in outcomes if not item.passed]
    if outcomes and not failed:
        return f"self-test: {len(outcomes)} of {len(outcomes)} as expected"
    if not outcomes:
        return "SELF-TEST FAILED: nothing was run"
    missed = [_title(item) for item in failed if not item.caught]
    wrong = [_title(item) for item in failed if item.caught]
    parts = [
        f"{words} {', '.join(names)}"
        for words, names in (("not caught:", missed), ("not as expected:", wrong))
        if names
    ]
    return f"SELF-TEST FAILED: {len(failed)} of {len(outcomes)}; {'; '.join(parts)}"


def _title(outcome: Outcome) -> str:
    return f"{outcome.mutant} {outcome.direction}"
