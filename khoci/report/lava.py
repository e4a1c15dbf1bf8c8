"""Lines by which LAVA takes results from a log: a test set for each scenario. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator

from khoci.report.model import CellKey, Report
from khoci.report.outcome import Outcome, outcomes

_RESULTS = {
    Outcome.PASS: "pass",
    Outcome.FAIL: "fail",
    Outcome.SKIP: "skip",
    Outcome.ERROR: "unknown",
}
_OTHERS = re.compile(r"[^A-Za-z0-9._+:-]")
"""LAVA takes a parameter apart at each ``=``, and drops a result that has more than one."""


def render(report: Report) -> str:
    """A line for each cell, between those that begin and end its set."""
    found = outcomes(report)
    return "\n".join([*_lines(report, found), ""])


def _lines(report: Report, found: dict[CellKey, Outcome]) -> Iterator[str]:
    for scenario in report.scenarios:
        yield f"<LAVA_SIGNAL_TESTSET START {_word(scenario)}>"
        for cell, each in found.items():
            if cell[2] == scenario:
                result = _RESULTS[each]
                yield f"<LAVA_SIGNAL_TESTCASE TEST_CASE_ID={_name(cell)} RESULT={result}>"
        yield "<LAVA_SIGNAL_TESTSET STOP>"


def _name(cell: CellKey) -> str:
    producer, consumer, _, fault = cell
    return "_to_".join(map(_word, (producer, consumer))) + (
        f"_with_{_word(fault)}" if fault else ""
    )


def _word(text: str) -> str:
    return _OTHERS.sub("_", text)
