"""GitHub's Markdown, for the summary of a job and a comment on a pull request. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from khoci.report.grid import Grid, grids, notable, surprises
from khoci.report.model import Report
from khoci.report.outcome import why
from khoci.report.templates import rendered
from khoci.report.text import MARK, WORDS, surprise
from khoci.results import CellResult
from khoci.rundiff import Change
from khoci.verdicts import MEANING, Verdict

MOST_NOTES = 40
"""Cells that are told one by one; GitHub takes a summary of 1 MiB at most."""
_MARKUP = re.compile(r"([\\`*_\[\]<|~&#])")
_TICKS = re.compile(r"`+")
_BAD = ("CORRUPT", "DROPPED", "ERROR", "HANG", "PANIC", "RESET")


@dataclass(frozen=True)
class _Row:
    producer: str
    words: tuple[str, ...]


@dataclass(frozen=True)
class _Table:
    scenario: str
    consumers: tuple[str, ...]
    rows: tuple[_Row, ...]


@dataclass(frozen=True)
class _Told:
    """A change in words, and what is known of it."""

    words: str
    lines: tuple[str, ...]


@dataclass(frozen=True)
class _Note:
    """A cell, and lines that are shown as they are."""

    heading: str
    fence: str
    lines: tuple[str, ...]


def render(report: Report, templates: Path | None = None) -> str:
    """What changed, the tables, and the reasons of what is not right, folded."""
    return rendered(
        "report.md.j2",
        templates,
        heading=escaped(f"khoci {report.run}: {report.matrix}"),
        errors=_errors(report),
        changes_title=_title(report),
        changes=[_told(report, each) for each in report.changes],
        grids=[_table(each) for each in grids(report.results, report.order)],
        counts=_counts(report.results),
        legend=_legend(report.results),
        violations=[escaped(str(each)) for each in report.violations],
        known=[(escaped(reason), _cells(len(cells))) for reason, cells in report.known.items()],
        notes=list(_notes(report)),
    )


def _errors(report: Report) -> str:
    failed = sum(each.verdict is Verdict.ERROR for each in report.results)
    parts = (
        f"{failed} of {_cells(len(report.results))} could not be run" if failed else "",
        f"{_cells(len(report.missing))} without a result yet" if report.missing else "",
    )
    return ", ".join(filter(None, parts))


def _cells(count: int) -> str:
    return "1 cell" if count == 1 else f"{count} cells"


def _title(report: Report) -> str:
    """What the changes are against; empty if against nothing."""
    if report.against:
        return f"Against run {escaped(report.against)}:"
    if report.series:
        series = report.series
        return (
            f"**{escaped(series.title)}** ({escaped(series.label)}) against {escaped(series.base)}:"
        )
    return ""


def _told(report: Report, change: Change) -> _Told:
    cell = change.cell
    was, now = (each.verdict if each else "not run" for each in (change.before, change.after))
    words = f"{change.kind}: {cell.producer} -> {cell.consumer} {cell.scenario}: {was} -> {now}"
    causes = report.causes.get((cell.producer, cell.consumer, cell.scenario), ())
    inside = (f"{name}: {old} -> {new}" for name, (old, new) in change.components.items())
    return _Told(escaped(words), tuple(map(escaped, (*causes, *inside))))


def _table(grid: Grid) -> _Table:
    rows = (_Row(escaped(row.producer), tuple(map(_word, row.cells))) for row in grid.rows)
    return _Table(escaped(grid.scenario), tuple(map(escaped, grid.consumers)), tuple(rows))


def _word(cell: CellResult | None) -> str:
    if cell is None:
        return " "
    word = WORDS[cell.verdict]
    shown = f"**{word}**" if word in _BAD else word
    return f"{shown}{MARK if surprises(cell) else ''}"


def _counts(results: Sequence[CellResult]) -> str:
    each = [(sum(result.verdict is verdict for result in results), verdict) for verdict in Verdict]
    return ", ".join(f"{count} {verdict}" for count, verdict in each if count) or "no cell was run"


def _legend(results: Iterable[CellResult]) -> list[tuple[str, str]]:
    used = {result.verdict for result in results}
    found = [(WORDS[each], MEANING[each]) for each in Verdict if each in used]
    marked = any(map(surprises, results))
    return [*found, (MARK, "predicted otherwise")] if marked else found


def _notes(report: Report) -> Iterator[_Note]:
    """The cells that need words, worst first."""
    cells = notable(report.results)
    for result in islice(cells, MOST_NOTES):
        otherwise = (surprise(result, name) for name in surprises(result))
        lines = tuple(map(_line, (*why(result), *otherwise, result.reproduce)))
        fence = "`" * max(
            3, 1 + max((len(run) for line in lines for run in _TICKS.findall(line)), default=0)
        )
        name = f"{result.producer} -> {result.consumer} {result.scenario}: {result.verdict}"
        yield _Note(_html(name), fence, lines)
    if len(cells) > MOST_NOTES:
        rest = (f"{_cells(len(cells) - MOST_NOTES)} more: khoci report {report.run} shows them",)
        yield _Note("and more", "```", rest)


def escaped(text: str) -> str:
    """One line in which nothing is markup, names nobody and is no link."""
    return _MARKUP.sub(r"\\\1", _line(text)).replace("@", "@<!-- -->")


def _html(text: str) -> str:
    return _line(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _line(text: str) -> str:
    return "".join(char if char.isprintable() else "?" for char in text)
