"""The compatibility table for the terminal and for mail: plain text, at most 75 columns."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from khoci.paths import data_dir
from khoci.report.grid import QUIET, Grid, deciding, grids, notable
from khoci.results import CellResult
from khoci.verdicts import MEANING, Verdict, worst

WIDTH = 75
_SHORT = {
    Verdict.ABSENT: "-",
    Verdict.RESTORED: "restored",
    Verdict.ACCEPTED: "accepted",
    Verdict.REFUSED: "refused",
    Verdict.DROPPED: "DROPPED",
    Verdict.CORRUPT: "CORRUPT",
    Verdict.PANIC: "PANIC",
    Verdict.RESET: "RESET",
    Verdict.HANG: "HANG",
    Verdict.ERROR: "ERROR",
}
_BRIEF = {
    **_SHORT,
    Verdict.RESTORED: "restor",
    Verdict.ACCEPTED: "accept",
    Verdict.REFUSED: "refuse",
}


def table(results: Sequence[CellResult], order: Sequence[str]) -> str:
    """The grids, a line for each cell that needs words, and the meaning of the words used.

    Args:
        results: of one run.
        order: kernel names, oldest first.
    """
    environment = Environment(
        loader=FileSystemLoader(data_dir("templates")),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701  (plain text; nothing here is markup)
    )
    found = grids(results, order)
    return environment.get_template("table.txt.j2").render(
        grids=[(grid, _lines(grid)) for grid in found],
        notes=[_note(result) for result in notable(results)],
        legend=_legend(results, found),
        counts=_counts(results),
    )


def _lines(grid: Grid) -> list[str]:
    label = max(len(name) for name in ("producer", *(row.producer for row in grid.rows)))
    words, width = _fitting(label, len(grid.consumers))
    heads = [consumer.removeprefix("v")[: width - 1] for consumer in grid.consumers]
    lines = [_line("producer", heads, label, width)]
    for row in grid.rows:
        cells = [words[cell.verdict] if cell else "" for cell in row.cells]
        lines.append(_line(row.producer, cells, label, width))
    return lines


def _fitting(label: int, columns: int) -> tuple[Mapping[Verdict, str], int]:
    """The words that fit and the width of a column; very wide grids do not fit anywhere."""
    for words in (_SHORT, _BRIEF):
        width = max(map(len, words.values())) + 1
        if label + columns * width <= WIDTH:
            return words, width
    return _BRIEF, width


def _line(label: str, cells: Sequence[str], label_width: int, width: int) -> str:
    return f"{label:<{label_width}}{''.join(f' {cell:<{width - 1}}' for cell in cells)}".rstrip()


def _note(result: CellResult) -> tuple[str, list[str], str]:
    """Heading, reasons and command of one cell, the reasons cut to the width."""
    heading = f"{result.verdict.upper()}: {result.producer} -> {result.consumer} {result.scenario}"
    lines = [line for reason in _reasons(result) for line in _wrapped(reason)]
    return heading, lines, result.reproduce


def _reasons(result: CellResult) -> list[str]:
    """What proves the verdict, two lines at most; the splat of a cell that is right but for it."""
    decision = deciding(result)
    if result.verdict in QUIET or decision is None:
        return list(result.splats[:1])
    component, judgement = decision
    return [f"{component}: {item.text}" for item in judgement.evidence[:2]]


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, WIDTH - 2, subsequent_indent="  ", break_on_hyphens=False)


def _legend(results: Sequence[CellResult], found: Sequence[Grid]) -> list[tuple[str, str]]:
    label = max((len(row.producer) for grid in found for row in grid.rows), default=0)
    columns = max((len(grid.consumers) for grid in found), default=0)
    words, _ = _fitting(max(label, len("producer")), columns)
    used = {result.verdict for result in results}
    return [(words[verdict], MEANING[verdict]) for verdict in Verdict if verdict in used]


def _counts(results: Sequence[CellResult]) -> str:
    each = [(verdict, sum(result.verdict is verdict for result in results)) for verdict in Verdict]
    text = ", ".join(f"{count} {verdict}" for verdict, count in each if count)
    return textwrap.fill(text, WIDTH)


def overall(results: Sequence[CellResult]) -> Verdict:
    """The worst verdict of a run."""
    return worst(result.verdict for result in results)
