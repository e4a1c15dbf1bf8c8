"""The page of a run: one file that needs nothing else, for a browser. Pure.

What a guest or a stranger wrote is only ever text in it: the markup is escaped, the data is JSON
that cannot end its element, the script builds text nodes, and the policy of the page allows no
script or style but its own two and no request at all.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup

from khoci.report.csp import asset, policy
from khoci.report.grid import Grid, grids, surprises
from khoci.report.model import CellKey, Report, key_of
from khoci.report.pagedata import page_data
from khoci.report.summary import LETTERS
from khoci.report.templates import rendered
from khoci.report.text import WORDS
from khoci.results import CellResult
from khoci.rundiff import Change
from khoci.verdicts import MEANING, Verdict

_WIDE = 12
"""Grids with more columns have letters instead of words."""
_ESCAPES = {
    "<": "\\u003c",
    ">": "\\u003e",
    "&": "\\u0026",
    "\u2028": "\\u2028",
    "\u2029": "\\u2029",
}


@dataclass(frozen=True)
class _Cell:
    """A cell of a grid; ``at`` is its place in the data, None where there is no such cell."""

    at: int | None
    verdict: str = ""
    word: str = ""
    letter: str = ""
    label: str = ""
    otherwise: bool = False


@dataclass(frozen=True)
class _Row:
    producer: str
    cells: tuple[_Cell, ...]


@dataclass(frozen=True)
class _Table:
    scenario: str
    consumers: tuple[str, ...]
    rows: tuple[_Row, ...]
    wide: bool


@dataclass(frozen=True)
class _Line:
    """A change in words, with the fragment that opens its cell."""

    kind: str
    pair: str
    scenario: str
    was: str
    now: str
    fragment: str
    more: tuple[str, ...]


def render(report: Report, templates: Path | None = None, *, live: bool = False) -> str:
    """The whole page.

    Args:
        report: of the run.
        templates: a folder of the project's own.
        live: whether it is served while the run goes on, and may ask whether there is more.
    """
    style, script = (asset(rendered(f"page.{kind}", templates)) for kind in ("css", "js"))
    at = {key_of(result): number for number, result in enumerate(report.results)}
    return rendered(
        "page.html.j2",
        templates,
        report=report,
        policy=policy(style, script, live=live),
        style=Markup(style),  # noqa: S704  (ours)
        script=Markup(script),  # noqa: S704  (ours)
        data=Markup(_json(page_data(report))),  # noqa: S704  (escaped for its place)
        tables=[_table(grid, at) for grid in grids(report.results, report.order)],
        components=_components(report),
        legend=list(_legend(report)),
        changes=[_line(report, change) for change in report.changes],
        errors=sum(result.verdict is Verdict.ERROR for result in report.results),
        live=live,
    )


def fragment_of(cell: CellKey) -> str:
    """What opens a cell: its parts, with ``..`` between them, as in the names of files."""
    return "..".join(part for part in cell if part)


def _table(grid: Grid, at: dict[CellKey, int]) -> _Table:
    rows = tuple(
        _Row(row.producer, tuple(_cell(cell, at) for cell in row.cells)) for row in grid.rows
    )
    return _Table(grid.scenario, grid.consumers, rows, len(grid.consumers) > _WIDE)


def _cell(result: CellResult | None, at: dict[CellKey, int]) -> _Cell:
    if result is None:
        return _Cell(None)
    otherwise = bool(surprises(result))
    said = f"{result.producer} to {result.consumer}, {result.scenario}: {result.verdict}"
    return _Cell(
        at[key_of(result)],
        result.verdict,
        WORDS[result.verdict],
        LETTERS[result.verdict],
        f"{said}{', predicted otherwise' if otherwise else ''}",
        otherwise,
    )


def _components(report: Report) -> list[str]:
    """All components of the run, in the order they appear."""
    return list(dict.fromkeys(name for result in report.results for name in result.components))


def _legend(report: Report) -> Iterator[tuple[str, str, str, str, int]]:
    """Verdict, word, letter, meaning and number of cells, of those that there are."""
    for verdict in Verdict:
        count = sum(result.verdict is verdict for result in report.results)
        if count:
            yield verdict, WORDS[verdict], LETTERS[verdict], MEANING[verdict], count


def _line(report: Report, change: Change) -> _Line:
    cell = change.cell
    was, now = (str(each.verdict) if each else "not run" for each in (change.before, change.after))
    causes = report.causes.get((cell.producer, cell.consumer, cell.scenario), ())
    inside = (f"{name}: {old} to {new}" for name, (old, new) in change.components.items())
    return _Line(
        kind=change.kind,
        pair=f"{cell.producer} \N{RIGHTWARDS ARROW} {cell.consumer}",
        scenario=cell.scenario,
        was=was,
        now=now,
        fragment=fragment_of(key_of(cell)) if change.after else "",
        more=(*causes, *inside, *(f"new: {line}" for line in change.splats[1])),
    )


def _json(data: object) -> str:
    """JSON that cannot end the element that it stands in, and has no half characters."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    for char, escape in _ESCAPES.items():
        text = text.replace(char, escape)
    return text.encode("utf-8", "replace").decode()
