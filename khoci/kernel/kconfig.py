"""Why a configuration did not take a symbol: the Kconfig files of the tree are read and asked.

This is no full Kconfig reader (``make`` decides what a configuration is): it finds the stanzas of
a symbol with all they depend on, by the rules of Documentation/kbuild/kconfig-language.rst.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from khoci.kernel.expression import conjuncts, holds

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_MAX_DEPTH = 16
_BLOCKS = ("menu", "choice", "if")
_PROMPT = re.compile(r'(?:bool|tristate|prompt|int|hex|string) "(?:[^"\\]|\\.)*"(?: if (.+))?')


@dataclass(slots=True)
class _Block:
    """An open ``menu``, ``choice`` or ``if``, with what it demands."""

    kind: str
    conditions: list[str] = field(default_factory=list)


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


def explain(tree: Path, srcarch: str, symbol: str, config: Mapping[str, str]) -> str:
    """One phrase on why ``symbol`` is not what was asked for under ``config``."""
    found = [stanza for stanza in stanzas(tree, srcarch) if stanza.symbol == symbol]
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
    """A walk through Kconfig files that knows which blocks are open."""

    def __init__(self, tree: Path, srcarch: str) -> None:
        self._tree = tree
        self._srcarch = srcarch
        self._blocks: list[_Block] = []
        self._stanza: Stanza | None = None

    def file(self, name: str, depth: int) -> Iterator[Stanza]:
        """The stanzas of one file and of those it sources."""
        path = self._tree / name
        if depth > _MAX_DEPTH or not path.is_file():
            return
        for number, line in _statements(path.read_text(encoding="utf-8", errors="replace")):
            keyword, _, rest = line.partition(" ")
            yield from self._close_stanza(keyword)
            if keyword in ("source", "rsource", "osource", "orsource"):
                yield from self.file(self._sourced(rest, keyword, name), depth + 1)
            elif keyword in ("config", "menuconfig"):
                inherited = [text for block in self._blocks for text in block.conditions]
                self._stanza = Stanza(rest.strip(), name, number, inherited)
            elif keyword == "comment":
                self._stanza = Stanza("", name, number)
            else:
                self._statement(keyword, rest.strip(), line)
        yield from self._close_stanza("source")

    def _close_stanza(self, keyword: str) -> Iterator[Stanza]:
        """Yield the open stanza when ``keyword`` starts something new."""
        starts = ("config", "menuconfig", "comment", *_BLOCKS)
        if self._stanza and (keyword in starts or keyword.startswith("end") or "source" in keyword):
            yield self._stanza
            self._stanza = None

    def _statement(self, keyword: str, rest: str, line: str) -> None:
        if keyword in _BLOCKS:
            self._blocks.append(_Block(keyword, [rest] if keyword == "if" else []))
        elif keyword in ("endmenu", "endchoice", "endif"):
            if self._blocks:
                self._blocks.pop()
        elif keyword == "depends":
            self._depend(rest.removeprefix("on").strip())
        elif self._stanza and (match := _PROMPT.match(line)):
            self._stanza.prompts.append(match[1] or "y")

    def _depend(self, condition: str) -> None:
        if self._stanza:
            self._stanza.conditions.append(condition)
        elif self._blocks:
            self._blocks[-1].conditions.append(condition)

    def _sourced(self, quoted: str, keyword: str, name: str) -> str:
        path = quoted.strip().strip('"')
        for variable in ("$(SRCARCH)", "$SRCARCH"):
            path = path.replace(variable, self._srcarch)
        return str(Path(name).parent / path) if "rsource" in keyword else path


def _statements(text: str) -> Iterator[tuple[int, str]]:
    """Lines that say something, joined where they continue, without help texts and comments."""
    help_indent: int | None = None
    joined, start = "", 0
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
        joined += line.strip()
        if joined.endswith("\\"):
            joined = joined[:-1]
            continue
        statement, joined = joined, ""
        if statement in ("help", "---help---"):
            help_indent = 0
        elif not statement.startswith("#"):
            yield start, re.sub(r"\s+", " ", _uncommented(statement))


def _uncommented(statement: str) -> str:
    return statement if '"' in statement else statement.partition("#")[0].strip()
