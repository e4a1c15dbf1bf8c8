"""Colour for who reads on a terminal: it helps to find the words of verdicts, and says no more."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator, Mapping
from typing import TextIO

import click

from khoci.progress import can_move
from khoci.report.summary import LETTERS
from khoci.report.text import BRIEF_WORDS, MARK, WORDS
from khoci.verdicts import Verdict

COLOURS: Mapping[Verdict, str] = {
    Verdict.ABSENT: "bright_black",
    Verdict.RESTORED: "green",
    Verdict.ACCEPTED: "cyan",
    Verdict.REFUSED: "yellow",
    Verdict.DROPPED: "red",
    Verdict.CORRUPT: "red",
    Verdict.PANIC: "red",
    Verdict.RESET: "red",
    Verdict.HANG: "red",
    Verdict.ERROR: "magenta",
}
"""The names are those of click and of rich alike."""


_CUT = (6, 7)
"""The length of a word that is cut short for a mark."""


def _spellings() -> Iterator[tuple[str, Verdict]]:
    for verdict in Verdict:
        for word in (str(verdict), verdict.upper(), WORDS[verdict], BRIEF_WORDS[verdict]):
            if word.isalpha():
                yield word, verdict
                yield from ((f"{word[:size]}{MARK}", verdict) for size in _CUT)


_VERDICTS = dict(_spellings())
_WORD = re.compile(rf"(?<![\w-])(?:{'|'.join(sorted(_VERDICTS, key=len, reverse=True))})(?![\w-])")
_OF_LETTERS = {letter: verdict for verdict, letter in LETTERS.items()}
_CELL = rf"[{re.escape(''.join(_OF_LETTERS))}]"
_LETTER = re.compile(_CELL)
_LETTERS_LINE = re.compile(rf"(\S+ -> \S+ +)((?:{_CELL}!? +)*{_CELL}!?)")
"""A line of the table of letters."""


def is_wanted(stream: TextIO) -> bool:
    """Whether it is a terminal with colours, and the user has nothing against them.

    https://no-color.org: ``NO_COLOR`` with any value but an empty one.
    """
    return can_move(stream) and not os.environ.get("NO_COLOR")


def show(text: str) -> None:
    """Print a report, with colour where it is wanted."""
    if is_wanted(sys.stdout):
        click.echo(painted(text), nl=False, color=True)
    else:
        click.echo(text, nl=False)


def painted(text: str) -> str:
    """The text with the words of verdicts in colour, and the letters in a table of letters."""
    return "".join(map(_painted_line, text.splitlines(keepends=True)))


def _painted_line(line: str) -> str:
    letters = _LETTERS_LINE.fullmatch(line.rstrip("\n"))
    if letters is None:
        return _WORD.sub(lambda found: _styled(found[0], _VERDICTS[found[0]]), line)
    label, cells = letters.groups()
    return label + _LETTER.sub(lambda found: _styled(found[0], _OF_LETTERS[found[0]]), cells) + "\n"


def _styled(word: str, verdict: Verdict) -> str:
    return click.style(word, fg=COLOURS[verdict], bold=word.isupper() or None)
