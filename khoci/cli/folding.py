"""Long lines on a terminal: folded between words at its width, with what follows set in.

Elsewhere a line stays a line, for grep and for diff. Commands stay whole, for who copies them.
"""

from __future__ import annotations

import re
import shutil
import sys
import textwrap
from collections.abc import Iterable

import click

_LEAST_WORDS = 3
"""Below it a line is a path with its label."""
_COMMAND = re.compile(r"(?:^|: )(?:khoci|git) ")


def echo_lines(lines: Iterable[str]) -> None:
    """Print lines, folded where they are read on a terminal."""
    for line in lines:
        click.echo(folded(line))


def folded(text: str) -> str:
    """The text as it is printed: on a terminal no wider than that, but for words that are."""
    return fold(text, shutil.get_terminal_size().columns) if sys.stdout.isatty() else text


def fold(text: str, width: int) -> str:
    """The text in lines no wider than that, but for words that are, and commands."""
    return "".join(_fold(line, width) for line in text.splitlines(keepends=True))


def _fold(line: str, width: int) -> str:
    bare = line.rstrip("\n")
    if len(bare) <= width or _COMMAND.search(bare) or len(bare.split()) < _LEAST_WORDS:
        return line
    indent = bare[: len(bare) - len(bare.lstrip())]
    lines = textwrap.wrap(
        bare.strip(),
        max(width, len(indent) + 20),
        initial_indent=indent,
        subsequent_indent=f"{indent}  ",
        break_long_words=False,
        break_on_hyphens=False,
    )
    return "\n".join(lines) + line[len(bare) :]
