"""A C file without its functions and variables: what a compiler needs to know its types. Pure.

What is left is the text of the file: lines for the preprocessor, structs, unions, enums and
typedefs, in their order, so that ``#if`` still stands around what it stood around.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from khoci.abi.lexer import Tokens, is_name, tokens, without_comments

_LINE = re.compile(r"[ \t]*#[ \t]*(\w+)([^\n]*)", re.ASCII)
_DEFINED = re.compile(r"[ \t]*(\w+)(\()?", re.ASCII)
_KEPT_LINES = frozenset({"define", "if", "ifdef", "ifndef", "elif", "else", "endif"})
_TYPES = frozenset({"struct", "union", "enum"})
_ATTRIBUTE = re.compile(r"__\w+|\(|\)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a file that is kept.

    Attributes:
        kind: ``condition`` or ``macro`` of the preprocessor, ``function`` (a macro with
            parameters), ``struct``, ``union``, ``enum`` or ``typedef``.
        name: what it defines, empty if nothing.
        text: as C.
    """

    kind: str
    name: str
    text: str

    @property
    def words(self) -> frozenset[str]:
        """The names in it."""
        return frozenset(word for word in tokens(self.text) if is_name(word))


def cut(text: str) -> tuple[Piece, ...]:
    """The pieces of a file that are kept; whatever it holds, this does not raise.

    What keeps a header from being read twice is left out.
    """
    found = tuple(_pieces(without_comments(text).split("\n")))
    first = next((at for at, piece in enumerate(found) if piece.kind == "condition"), None)
    if first is None or first + 1 >= len(found):
        return found
    guard = f"#ifndef {found[first + 1].name}"
    define = f"#define {found[first + 1].name}"
    if [piece.text.split() for piece in found[first : first + 2]] != [
        guard.split(),
        define.split(),
    ]:
        return found
    last = max(at for at, piece in enumerate(found) if piece.kind == "condition")
    left_out = (first, first + 1, last)
    return tuple(piece for at, piece in enumerate(found) if at not in left_out)


def _pieces(lines: list[str]) -> Iterator[Piece]:
    item: list[str] = []
    depth = 0
    for line in lines:
        match = _LINE.match(line)
        if match and not item:
            yield from _directive(match)
            continue
        words = (f"\n#{match[1]}{match[2]}\n",) if match else tokens(line)
        for word in words:
            item.append(word)
            depth = max(depth + (word == "{") - (word == "}"), 0)
            if not depth and (word == ";" or (word == "}" and _is_function(item))):
                yield from _definition(tuple(item))
                item = []


def _directive(match: re.Match[str]) -> Iterator[Piece]:
    if match[1] not in _KEPT_LINES:
        return
    text = f"#{match[1]}{match[2]}"
    name = _DEFINED.match(match[2]) if match[1] == "define" else None
    if name:
        yield Piece("function" if name[2] else "macro", name[1], text)
    else:
        yield Piece("condition", "", text)


def _is_function(item: list[str]) -> bool:
    head = item[: item.index("{") if "{" in item else 0]
    return "(" in head and "=" not in head


def _definition(item: Tokens) -> Iterator[Piece]:
    """The type that a statement defines; nothing of a variable, a function or a declaration."""
    if item[0] == "typedef":
        names = [word for word in item if is_name(word)]
        yield Piece("typedef", names[-1] if names else "", " ".join(item))
        return
    brace = item.index("{") if "{" in item else 0
    head = item[:brace]
    kind = next((word for word in head if word in _TYPES), None)
    if kind is None or "(" in head or "=" in head:
        return
    name = head[-1] if is_name(head[-1]) and head[-1] not in _TYPES else ""
    if name or kind == "enum":
        end = _closing(item, brace)
        body = " ".join((kind, *([name] if name else []), *item[brace : end + 1]))
        yield Piece(kind, name, f"{body} {_attributes(item[end + 1 :])};".replace(" ;", ";"))


def _closing(item: Tokens, brace: int) -> int:
    depth = 0
    for at in range(brace, len(item)):
        depth += (item[at] == "{") - (item[at] == "}")
        if not depth:
            return at
    return len(item) - 1


def _attributes(rest: Tokens) -> str:
    """What stands behind a type and is not the name of a variable."""
    kept: list[str] = []
    depth = 0
    for word in rest:
        depth += (word == "(") - (word == ")")
        if depth or _ATTRIBUTE.fullmatch(word):
            kept.append(word)
        else:
            break
    return " ".join(kept)


def lines_of(text: str, names: frozenset[str]) -> dict[str, int]:
    """The line, from 1, on which each of the names is defined; some that is not has none."""
    found: dict[str, int] = {}
    kinds = (
        r"^[ \t]*#[ \t]*define[ \t]+(\w+)",
        r"\b(?:struct|union|enum)\s+(\w+)\s*\{",
        r"^[ \t]+(\w+)[ \t]*(?:=|,|$)",
    )
    for kind in kinds:
        for match in re.finditer(kind, text, re.MULTILINE | re.ASCII):
            if match[1] in names:
                found.setdefault(match[1], text.count("\n", 0, match.start(1)) + 1)
    return found
