"""KTAP, which the kernel's own tools parse: a subtest for each scenario. Pure.

The format is that of Documentation/dev-tools/ktap.rst, version 1.
"""

from __future__ import annotations

from collections.abc import Iterator

from khoci.report.model import CellKey, Report, key_of
from khoci.report.outcome import Outcome, complaints, outcome, title, why
from khoci.results import CellResult

_VERSION = "KTAP version 1"
_INDENT = "  "
_ENDS = (
    "List of all partitions:",
    "Kernel panic - not syncing: VFS:",
    "reboot: System halted",
)
"""What ends a log for the kernel's kunit.py wherever it stands: it reads no line after that."""


def render(report: Report) -> str:
    """The whole report; what is not as the policy wants it has its reasons before its line."""
    suites = [(scenario, list(_cells(report, scenario))) for scenario in report.scenarios]
    lines = [_VERSION, f"1..{len(suites)}"]
    for number, (scenario, cells) in enumerate(suites, start=1):
        lines += [f"{_INDENT}{_VERSION}", f"{_INDENT}# Subtest: {_plain(scenario)}"]
        lines.append(f"{_INDENT}1..{len(cells)}")
        for place, (cell, found, reasons) in enumerate(cells, start=1):
            lines += [f"{_INDENT}# {_plain(reason)}" for reason in reasons]
            lines.append(f"{_INDENT}{_result(found, place, title(cell))}")
        lines.append(_result(_worst([found for _, found, _ in cells]), number, scenario))
    return "\n".join([*lines, ""])


def _cells(report: Report, scenario: str) -> Iterator[tuple[CellKey, Outcome, list[str]]]:
    for result in report.results:
        if result.scenario == scenario:
            found = outcome(report, result)
            bad = found in (Outcome.FAIL, Outcome.ERROR)
            reasons = [*complaints(report, result), *why(result), result.reproduce] if bad else []
            yield key_of(result), found, [*_known(report, result), *reasons]
    for cell in report.missing:
        if cell[2] == scenario:
            yield cell, Outcome.ERROR, ["it has no result yet"]


def _known(report: Report, result: CellResult) -> list[str]:
    """What is wrong though the policy lets it be."""
    excuses = [reason for reason, cells in report.known.items() if result in cells]
    return [f"{result.verdict} is known: {excuse}" for excuse in excuses]


def _result(found: Outcome, number: int, name: str) -> str:
    ok = "ok" if found in (Outcome.PASS, Outcome.SKIP) else "not ok"
    directive = " # SKIP" if found is Outcome.SKIP else ""
    return f"{ok} {number} {_plain(name)}{directive}"


def _worst(found: list[Outcome]) -> Outcome:
    """Of a scenario: skipped only if all of it is."""
    for each in (Outcome.ERROR, Outcome.FAIL, Outcome.PASS):
        if each in found:
            return each
    return Outcome.SKIP


def _plain(text: str) -> str:
    """One line without ``#``, which begins a directive, and without what ends a log."""
    line = "".join(char if char.isprintable() else "?" for char in text)
    for phrase in _ENDS:
        line = line.replace(phrase, phrase.replace(":", ""))
    return line.replace("#", "?")
