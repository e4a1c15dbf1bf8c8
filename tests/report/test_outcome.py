from __future__ import annotations

from khoci.report.outcome import Outcome, outcomes, title
from khoci.verdicts import Verdict
from tests.report import example


def test_the_policy_decides_and_not_the_verdict() -> None:
    report = example.report()
    found = outcomes(report)
    by_verdict = {
        each.verdict: found[each.producer, each.consumer, each.scenario, ""]
        for each in report.results
        if each.scenario == "kho-test"
    }
    assert by_verdict == {
        Verdict.ABSENT: Outcome.SKIP,
        Verdict.RESTORED: Outcome.PASS,
        Verdict.ACCEPTED: Outcome.PASS,
        Verdict.REFUSED: Outcome.PASS,
        Verdict.DROPPED: Outcome.PASS,
        Verdict.CORRUPT: Outcome.FAIL,
        Verdict.PANIC: Outcome.FAIL,
        Verdict.RESET: Outcome.PASS,
        Verdict.HANG: Outcome.PASS,
    }
    assert found[example.OLD, example.OLD, "memfd", ""] is Outcome.ERROR


def test_a_cell_without_a_result_is_an_error() -> None:
    found = outcomes(example.report())
    assert list(found)[-1] == (example.OLD, example.BASE, "memfd", "")
    assert list(found.values())[-1] is Outcome.ERROR


def test_what_was_broken_is_in_the_title() -> None:
    assert title(("a", "b", "kho-test", "root-zero")) == "a -> b with root-zero"
    assert title(("a", "b", "kho-test", "")) == "a -> b"
