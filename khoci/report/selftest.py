"""The self-test as a table: a line for each mutant and direction. Pure."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

WIDTH = 75
_HEADS = ("mutant", "direction", "expected", "")
_PASSED, _WRONG, _MISSED = "ok", "WRONG", "NOT CAUGHT"


@dataclass(frozen=True)
class Row:
    """One mutant in one direction.

    Attributes:
        mutant: its name.
        direction: ``forward`` is from the base to the mutant, ``backward`` the reverse.
        expected: the verdict and its component.
        passed: whether that is what was found.
        caught: whether at least something was found to be wrong, where it had to be.
        text: what was found.
        reproduce: the command that runs it again.
    """

    mutant: str
    direction: str
    expected: str
    passed: bool
    caught: bool
    text: str
    reproduce: str = ""

    @property
    def word(self) -> str:
        """What the table says of it."""
        if self.passed:
            return _PASSED
        return _WRONG if self.caught else _MISSED


def table(headline: str, rows: Sequence[Row]) -> str:
    """The headline, all rows, and below them what went wrong, worst first."""
    cells = [_HEADS, *((row.mutant, row.direction, row.expected, row.word) for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(_HEADS))]
    lines = ["  ".join(map(str.ljust, line, widths)).rstrip() for line in cells]
    return "\n".join((*_wrapped(headline), "", *lines, *_notes(rows), ""))


def _notes(rows: Iterable[Row]) -> Iterator[str]:
    failed = sorted((row for row in rows if not row.passed), key=lambda row: row.caught)
    for row in failed:
        yield ""
        yield from _wrapped(f"{row.word}: {row.mutant} {row.direction}: {row.text}")
        if row.reproduce:
            yield f"  {row.reproduce}"


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, subsequent_indent="  ", break_on_hyphens=False)
