"""What a cell is in the words of a CI: passed, failed, skipped, or no result. Pure."""

from __future__ import annotations

from enum import StrEnum

from khoci.report.model import CellKey, Report, key_of
from khoci.results import CellResult
from khoci.verdicts import Verdict


class Outcome(StrEnum):
    """A cell held against the policy.

    ``pass``: it is as the policy wants it, so a refusal may be one. ``fail``: it is not. ``skip``:
    there was nothing to hand over. ``error``: the harness failed, or the cell was not run.
    """

    PASS = "pass"  # noqa: S105  (no password)
    FAIL = "fail"
    SKIP = "skip"
    ERROR = "error"


def outcome(report: Report, result: CellResult) -> Outcome:
    """What one cell of the report is."""
    if result.verdict is Verdict.ERROR:
        return Outcome.ERROR
    if complaints(report, result):
        return Outcome.FAIL
    return Outcome.SKIP if result.verdict is Verdict.ABSENT else Outcome.PASS


def outcomes(report: Report) -> dict[CellKey, Outcome]:
    """What each cell of the plan is, those without a result last."""
    found = {key_of(result): outcome(report, result) for result in report.results}
    return found | dict.fromkeys(report.missing, Outcome.ERROR)


def complaints(report: Report, result: CellResult) -> list[str]:
    """What the policy has against a cell, a line each."""
    return report.forbidden.get(key_of(result), [])


def title(cell: CellKey) -> str:
    """A cell within its scenario: the pair, and what was broken on purpose."""
    producer, consumer, _, fault = cell
    return f"{producer} -> {consumer}{f' with {fault}' if fault else ''}"


def why(result: CellResult) -> list[str]:
    """Each component that is not as it was handed over, and each splat, with its proof."""
    lines = [
        f"{name} is {judgement.verdict}: {item.text}"
        for name, judgement in result.components.items()
        if judgement.verdict not in (Verdict.RESTORED, Verdict.ABSENT)
        for item in judgement.evidence[:2]
    ]
    return [*lines, *(f"splat in the log of the {line}" for line in result.splats)]
