"""The compatibility table for the terminal and for mail: plain text, at most 75 columns."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from khoci.paths import data_dir
from khoci.report.grid import QUIET, Grid, deciding, grids, notable, surprises
from khoci.results import CellResult
from khoci.verdicts import MEANING, Verdict, worst

WIDTH = 75
MARK = "!"
"""At the end of a cell's word, cut short for it: something in the cell was predicted otherwise."""

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
        agreement=_agreement(results),
    )


def _lines(grid: Grid) -> list[str]:
    label = max(len(name) for name in ("producer", *(row.producer for row in grid.rows)))
    words, width = _fitting(label, len(grid.consumers))
    heads = [consumer.removeprefix("v")[: width - 1] for consumer in grid.consumers]
    lines = [_line("producer", heads, label, width)]
    for row in grid.rows:
        cells = [_word(cell, words, width) if cell else "" for cell in row.cells]
        lines.append(_line(row.producer, cells, label, width))
    return lines


def _word(cell: CellResult, words: Mapping[Verdict, str], width: int) -> str:
    word = words[cell.verdict]
    return word[: width - 2] + MARK if surprises(cell) else word


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
    """What proves the verdict, two lines at most; the splat of a cell that is right but for it.

    Then what was predicted otherwise, two lines at most too.
    """
    decision = deciding(result)
    otherwise = [_surprise(result, name) for name in surprises(result)[:2]]
    if result.verdict in QUIET or decision is None:
        return [*result.splats[:1], *otherwise]
    component, judgement = decision
    return [*(f"{component}: {item.text}" for item in judgement.evidence[:2]), *otherwise]


def _surprise(result: CellResult, name: str) -> str:
    expected = (result.prediction or {}).get(name, "nothing")
    return f"{name} is {result.components[name].verdict}, predicted was {expected}"


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, WIDTH - 2, subsequent_indent="  ", break_on_hyphens=False)


def _legend(results: Sequence[CellResult], found: Sequence[Grid]) -> list[tuple[str, str]]:
    label = max((len(row.producer) for grid in found for row in grid.rows), default=0)
    columns = max((len(grid.consumers) for grid in found), default=0)
    words, _ = _fitting(max(label, len("producer")), columns)
    used = {result.verdict for result in results}
    legend = [(words[verdict], MEANING[verdict]) for verdict in Verdict if verdict in used]
    marked = any(map(surprises, results))
    return [*legend, (MARK, "predicted otherwise, in one component or more")] if marked else legend


def _counts(results: Sequence[CellResult]) -> str:
    each = [(verdict, sum(result.verdict is verdict for result in results)) for verdict in Verdict]
    text = ", ".join(f"{count} {verdict}" for verdict, count in each if count)
    return textwrap.fill(text, WIDTH)


def _agreement(results: Sequence[CellResult]) -> str:
    """In how many of the cells that were predicted everything came true; empty if none was."""
    predicted = [result for result in results if result.agreement]
    agreeing = sum(not surprises(result) for result in predicted)
    return f"prediction agrees in {agreeing} of {len(predicted)} cells" if predicted else ""


def overall(results: Sequence[CellResult]) -> Verdict:
    """The worst verdict of a run."""
    return worst(result.verdict for result in results)
