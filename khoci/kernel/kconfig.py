"""Why a configuration did not take a symbol: the Kconfig files of the tree are read and asked.

This is no full Kconfig reader (``make`` decides what a configuration is): it finds the stanzas of
symbols with all they depend on, by the rules of Documentation/kbuild/kconfig-language.rst.

Strangers may have written the tree, and this is not read in a sandbox: only plain files in the
tree are opened, and what is beyond the bounds below is passed over. Each is twice of what
Linux has, or more.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from khoci.kernel.expression import conjuncts, holds

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

_MAX_DEPTH = 16
_MAX_FILES = 20_000
_MAX_FILE_BYTES = 2_000_000
_MAX_BYTES = 12_000_000
_MAX_STATEMENT = 2000
_MAX_CONDITIONS = 50
_MAX_STANZAS = 20
"""Of one symbol."""
_LONGEST = 500
"""Characters of a reason."""
_BLOCKS = ("menu", "choice", "if")
_PROMPT = re.compile(r'(?:bool|tristate|prompt|int|hex|string) "(?:[^"\\]|\\.)*"(?: if (.+))?')


@dataclass(slots=True)
class Stanza:
    """One definition of a symbol: where it is, and all that must hold for it.

    ``prompts`` holds the condition under which a user may set it, one for each prompt.
    """

    symbol: str
    file: str
    line: int
    conditions: list[str] = field(default_factory=list)
    prompts: list[str] = field(default_factory=list)


def explain(
    tree: Path, srcarch: str, symbols: Collection[str], config: Mapping[str, str]
) -> dict[str, str]:
    """Of each of ``symbols``, one phrase on why it is not what was asked for under ``config``."""
    found: dict[str, list[Stanza]] = {symbol: [] for symbol in symbols}
    for stanza in stanzas(tree, srcarch):
        same = found.get(stanza.symbol)
        if same is not None and len(same) < _MAX_STANZAS:
            same.append(stanza)
    return {symbol: _fit(_reason(of, config)) for symbol, of in found.items()}


def _reason(found: list[Stanza], config: Mapping[str, str]) -> str:
    if not found:
        return "this tree has no such symbol"
    reasons = [(unmet(stanza, config), stanza) for stanza in found]
    missing, stanza = min(reasons, key=lambda reason: len(reason[0]))
    where = f"{stanza.file}:{stanza.line}"
    if missing:
        return f"needs {' and '.join(missing)} ({where})"
    if not any(stanza.prompts for stanza in found):
        return f"cannot be set by hand, other symbols select it ({where})"
    return f"its dependencies are met; another symbol selects or excludes it ({where})"


def _fit(reason: str) -> str:
    """The reason without what a terminal would not print, at most so long."""
    text = "".join(filter(str.isprintable, reason))
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]} ..."


def unmet(stanza: Stanza, config: Mapping[str, str]) -> list[str]:
    """The conditions of a stanza that do not hold, as the smallest parts ``&&`` joins."""
    parts = [part for condition in stanza.conditions for part in conjuncts(condition)]
    if stanza.prompts and not any(holds(prompt, config) for prompt in stanza.prompts):
        parts += conjuncts(stanza.prompts[0])
    return [part for part in dict.fromkeys(parts) if not holds(part, config)]


def stanzas(tree: Path, srcarch: str) -> Iterator[Stanza]:
    """All symbol definitions that the ``Kconfig`` at the top of ``tree`` leads to."""
    return _Walk(tree, srcarch).file("Kconfig", 0)


class _Walk:
    """A walk through Kconfig files that knows what the open blocks demand."""

    def __init__(self, tree: Path, srcarch: str) -> None:
        self._tree = tree.resolve()
        self._srcarch = srcarch
        self._blocks: list[list[str]] = []
        self._stanza: Stanza | None = None
        self._files = 0
        self._bytes = 0

    def file(self, name: str, depth: int) -> Iterator[Stanza]:
        """The stanzas of one file and of those it sources."""
        self._files += 1
        if depth > _MAX_DEPTH or self._files > _MAX_FILES:
            return
        for number, line in _statements(self._text(name)):
            keyword, _, rest = line.partition(" ")
            yield from self._close_stanza(keyword)
            if keyword in ("source", "rsource", "osource", "orsource"):
                yield from self.file(self._sourced(rest, keyword, name), depth + 1)
            elif keyword in ("config", "menuconfig"):
                self._stanza = Stanza(rest.strip(), name, number, self._inherited())
            elif keyword == "comment":
                self._stanza = Stanza("", name, number)
            else:
                self._statement(keyword, rest.strip(), line)
        yield from self._close_stanza("source")

    def _text(self, name: str) -> str:
        """The text of a file in the tree; nothing of what is elsewhere, no file, or too much."""
        try:
            path = Path(os.path.realpath(self._tree / name))
            if not path.is_relative_to(self._tree) or not path.is_file():
                return ""
            size = path.stat().st_size
            if size > _MAX_FILE_BYTES or self._bytes + size > _MAX_BYTES:
                return ""
            self._bytes += size
            return path.read_text(encoding="utf-8", errors="replace")
        except (OSError, ValueError):
            return ""

    def _inherited(self) -> list[str]:
        """What the open blocks demand of all in them."""
        return list(self._blocks[-1]) if self._blocks else []

    def _close_stanza(self, keyword: str) -> Iterator[Stanza]:
        """Yield the open stanza when ``keyword`` starts something new."""
        starts = ("config", "menuconfig", "comment", *_BLOCKS)
        if self._stanza and (keyword in starts or keyword.startswith("end") or "source" in keyword):
            yield self._stanza
            self._stanza = None

    def _statement(self, keyword: str, rest: str, line: str) -> None:
        if keyword in _BLOCKS:
            self._blocks.append(self._inherited())
            if keyword == "if":
                _add(rest, self._blocks[-1])
        elif keyword in ("endmenu", "endchoice", "endif"):
            if self._blocks:
                self._blocks.pop()
        elif keyword == "depends":
            self._depend(rest.removeprefix("on").strip())
        elif self._stanza and (match := _PROMPT.match(line)):
            _add(match[1] or "y", self._stanza.prompts)

    def _depend(self, condition: str) -> None:
        if self._stanza:
            _add(condition, self._stanza.conditions)
        elif self._blocks:
            _add(condition, self._blocks[-1])

    def _sourced(self, quoted: str, keyword: str, name: str) -> str:
        path = quoted.strip().strip('"')
        for variable in ("$(SRCARCH)", "$SRCARCH"):
            path = path.replace(variable, self._srcarch)
        return str(Path(name).parent / path) if "rsource" in keyword else path


def _add(condition: str, conditions: list[str]) -> None:
    if len(conditions) < _MAX_CONDITIONS:
        conditions.append(condition)


def _statements(text: str) -> Iterator[tuple[int, str]]:
    """Lines that say something, joined where they continue, without help texts and comments."""
    help_indent: int | None = None
    joined: list[str] = []
    start = 0
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.expandtabs()
        if not line.strip():
            continue
        indent = len(line) - len(line.lstrip())
        if help_indent is not None:
            help_indent = help_indent or indent
            if indent and indent >= help_indent:
                continue
            help_indent = None
        start = start if joined else number
        joined.append(line.strip())
        if joined[-1].endswith("\\"):
            joined[-1] = joined[-1][:-1]
            continue
        statement = "".join(joined)
        joined.clear()
        if statement in ("help", "---help---"):
            help_indent = 0
        elif not statement.startswith("#") and len(statement) <= _MAX_STATEMENT:
            yield start, re.sub(r"\s+", " ", _uncommented(statement))


def _uncommented(statement: str) -> str:
    return statement if '"' in statement else statement.partition("#")[0].strip()
