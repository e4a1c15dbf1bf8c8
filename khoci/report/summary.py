"""Many scenarios in one table: a line for each pair, a column for each scenario. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from operator import itemgetter
from string import ascii_lowercase

from khoci.report.grid import Grid, surprises
from khoci.results import CellResult
from khoci.verdicts import Verdict

LETTERS = {
    Verdict.ABSENT: "-",
    Verdict.RESTORED: ".",
    Verdict.ACCEPTED: "a",
    Verdict.REFUSED: "f",
    Verdict.DROPPED: "D",
    Verdict.CORRUPT: "C",
    Verdict.PANIC: "P",
    Verdict.RESET: "X",
    Verdict.HANG: "H",
    Verdict.ERROR: "E",
}
_WIDEST, _NARROWEST = 3, 2


def summary(grids: Sequence[Grid], width: int, mark: str) -> list[str]:
    """The names of the scenarios with a letter for each, and the table with these as heads.

    Scenarios that do not fit side by side go on below.

    Args:
        grids: one a scenario, all of the same kernels.
        width: of a line, in columns.
        mark: stands behind a cell in which something was predicted otherwise.
    """
    heads = letters(len(grids))
    lines = [f"  {head:<2} {grid.scenario}" for head, grid in zip(heads, grids, strict=True)]
    label = max((len(_label(*pair)) for pair in _pairs(grids)), default=0)
    column = _WIDEST if label + _WIDEST * len(grids) < width else _NARROWEST
    across = max(1, (width - label - 1) // column)
    for first in range(0, len(grids), across):
        part = slice(first, first + across)
        lines += ["", _row("", heads[part], label, column)]
        lines += _block(grids[part], label, column, mark)
    return lines[:-1]


def letters(count: int) -> list[str]:
    """``a`` to ``z``, then ``A1``, ``A2`` and so on: never a letter of a verdict alone."""
    more = [f"A{number}" for number in range(1, count - len(ascii_lowercase) + 1)]
    return [*ascii_lowercase, *more][:count]


def _block(grids: Sequence[Grid], label: int, column: int, mark: str) -> Iterator[str]:
    """A line for each pair, and an empty one behind each producer."""
    cells = [_cells(grid) for grid in grids]
    for producer, pairs in groupby(_pairs(grids), key=itemgetter(0)):
        for _, consumer in pairs:
            words = [_word(found.get((producer, consumer)), mark) for found in cells]
            yield _row(_label(producer, consumer), words, label, column)
        yield ""


def _pairs(grids: Sequence[Grid]) -> list[tuple[str, str]]:
    return list(dict.fromkeys(pair for grid in grids for pair in _cells(grid)))


def _cells(grid: Grid) -> dict[tuple[str, str], CellResult]:
    return {
        (row.producer, consumer): cell
        for row in grid.rows
        for consumer, cell in zip(grid.consumers, row.cells, strict=True)
        if cell
    }


def _word(cell: CellResult | None, mark: str) -> str:
    return f"{LETTERS[cell.verdict]}{mark if surprises(cell) else ''}" if cell else ""


def _label(producer: str, consumer: str) -> str:
    return f"{producer} -> {consumer.removeprefix('v')}"


def _row(label: str, words: Sequence[str], label_width: int, column: int) -> str:
    return f"{label:<{label_width}} {''.join(f'{word:<{column}}' for word in words)}".rstrip()
