"""What a series changes, as an entry of ``b4 review``: its review check protocol. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from khoci.report.series import cells_with, changes_of, told
from khoci.results import CellResult, SeriesInRun
from khoci.rundiff import Change, Kind
from khoci.verdicts import Verdict

Entry = dict[str, str]
"""``tool``, ``status`` (pass, warn or fail), ``summary``, ``url`` and ``details``."""


def entry(status: str, summary: str, details: str = "") -> Entry:
    """One entry of the array that b4 reads."""
    return {
        "tool": "khoci",
        "status": status,
        "summary": summary,
        "url": "",
        "details": details,
    }


def of_run(
    results: Sequence[CellResult],
    series: SeriesInRun,
    order: Sequence[str],
    violations: Sequence[str],
) -> Entry:
    """The entry for a series that was run.

    It fails if the policy forbids what is seen of its kernel, and warns if a cell is worse than on
    the base or could not be run.

    Args:
        results: of the run.
        series: that the run is about.
        order: kernel names, oldest first.
        violations: what the policy forbids, a line each, of those cells only.
    """
    changes = changes_of(results, series, order)
    errors = sum(result.verdict is Verdict.ERROR for result in results)
    worse = [change for change in changes if change.kind is Kind.REGRESSED]
    status = "fail" if violations else "warn" if worse or errors else "pass"
    details = told(results, series, order).rstrip()
    forbidden = "".join(f"\npolicy: {line}" for line in violations)
    return entry(status, _summary(results, series, worse, errors), f"{details}{forbidden}")


def _summary(
    results: Iterable[CellResult], series: SeriesInRun, worse: Sequence[Change], errors: int
) -> str:
    cells = len(cells_with(results, series))
    failed = f"; {errors} cells could not be run" if errors else ""
    if not worse:
        return f"none of {cells} cells is worse than on {series.base}{failed}"
    worst = max((change.cell.verdict for change in worse), key=lambda verdict: verdict.rank)
    verb = "is" if len(worse) == 1 else "are"
    return f"{len(worse)} of {cells} cells {verb} worse than on {series.base}: {worst}{failed}"
