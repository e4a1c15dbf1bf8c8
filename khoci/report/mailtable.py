"""The cells of a series in a few lines: those as on its base are folded. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from khoci.report.model import Report
from khoci.report.series import cells_with
from khoci.report.summary import LETTERS
from khoci.report.text import WIDTH, WORDS
from khoci.results import CellResult, SeriesInRun
from khoci.verdicts import MEANING, Verdict

CHANGED = "*"
"""Behind what is otherwise than on the base."""

_LETTER = 2
_LONGEST = 34
"""Columns of a kernel's name."""

Pair = tuple[str, str]


def table_lines(report: Report) -> list[str]:
    """A line for each pair in which something is otherwise than on the base, and their number.

    Columns are scenarios; words become letters where they do not fit side by side.
    """
    if report.series is None:
        return []
    cells = cells_with(report.results, report.series)
    by_pair: dict[Pair, dict[str, CellResult]] = {}
    for cell in cells:
        by_pair.setdefault((cell.producer, cell.consumer), {})[cell.scenario] = cell
    changed = {
        (each.cell.producer, each.cell.consumer, each.cell.scenario) for each in report.changes
    }
    told = [pair for pair in by_pair if any((*pair, name) in changed for name in by_pair[pair])]
    same = _same(len(by_pair) - len(told), bool(told))
    if not told:
        return [same] if same else []
    label = max(len(_name(pair, report.series)) for pair in told)
    names = [name for name in report.scenarios if any(name in by_pair[pair] for pair in told)]
    rows = [
        (
            _name(pair, report.series),
            [(by_pair[pair].get(name), (*pair, name) in changed) for name in names],
        )
        for pair in told
    ]
    lines = _with_words(rows, names, label) or _with_letters(rows, names, label)
    return [*lines, *([same] if same else [])]


Row = tuple[str, list[tuple[CellResult | None, bool]]]


def _with_words(rows: Sequence[Row], names: Sequence[str], label: int) -> list[str]:
    """The table with whole words; none if it is too wide."""
    widest = max(map(len, WORDS.values())) + len(CHANGED)
    widths = [max(len(name), widest) for name in names]
    if label + sum(width + 1 for width in widths) > WIDTH:
        return []
    lines = [_joined("", names, label, widths)]
    for name, cells in rows:
        lines.append(_joined(name, [_word(*cell, WORDS) for cell in cells], label, widths))
    return [*lines, f"({CHANGED} otherwise than on the base)"]


def _with_letters(rows: Sequence[Row], names: Sequence[str], label: int) -> list[str]:
    """The table with a letter for each word, and what they stand for."""
    heads = [str(number) for number in range(1, len(names) + 1)]
    lines = [f"  {head:<2} {name}" for head, name in zip(heads, names, strict=True)]
    across = (WIDTH - label) // (_LETTER + 1)
    for first in range(0, len(names), across):
        part = slice(first, first + across)
        widths = [_LETTER] * len(heads[part])
        lines += ["", _joined("", heads[part], label, widths)]
        for name, cells in rows:
            words = [_word(*cell, LETTERS) for cell in cells[part]]
            lines.append(_joined(name, words, label, widths))
    used = {cell.verdict for _, cells in rows for cell, _ in cells if cell}
    legend = (f"  {LETTERS[each]} {MEANING[each]}" for each in Verdict if each in used)
    return [*lines, "", *legend, f"  {CHANGED} otherwise than on the base"]


def _word(cell: CellResult | None, changed: bool, words: dict[Verdict, str]) -> str:
    return f"{words[cell.verdict]}{CHANGED if changed else ''}" if cell else ""


def _joined(name: str, words: Iterable[str], label: int, widths: Iterable[int]) -> str:
    cells = (f" {word:<{width}}" for word, width in zip(words, widths, strict=True))
    return f"{name:<{label}}{''.join(cells)}".rstrip()


def _name(pair: Pair, series: SeriesInRun) -> str:
    """The other kernel of a pair, and which way it goes."""
    producer, consumer = pair
    if producer == consumer:
        return "to itself"
    name = f"to {consumer}" if producer == series.kernel else f"from {producer}"
    return name if len(name) <= _LONGEST else f"{name[: _LONGEST - 3]}..."


def _same(count: int, others: bool) -> str:
    """How many pairs are as on the base."""
    if not count:
        return ""
    more = " other" if others else ""
    return f"{count}{more} pair{'' if count == 1 else 's'}: the same as on the base"
