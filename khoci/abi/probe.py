"""A C file that a compiler tells the handover's structs and numbers by. Pure.

The structs of headers are those of the tree; of what C files define for themselves, the text is
taken over. There is a variable of each struct, whose debug information has the layout, and one of
each constant, whose value is in the object: the compiler computes both.

A page size is no matter of a configuration here: macros are expanded where they are used, so each
constant is evaluated once more behind another ``PAGE_SHIFT``; structs and enumerators, which are
not, are defined once more under another name.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from khoci.abi.cut import Piece, cut, lines_of
from khoci.abi.definitions import definitions, is_directive
from khoci.abi.lexer import Tokens, is_string
from khoci.abi.places import component, is_handover
from khoci.abi.values import Values

NATIVE = 12
SHIFTS = (NATIVE, 14, 16)
"""The sizes of a page, in log2, that arm64 has; x86_64 has the first only."""

NUMBER, STRING, STRUCT = "n", "s", "t"
_MARK = "khoci_"
_SYMBOL = re.compile(r"khoci_([nst])_(\d\d)_(\w+)", re.ASCII)
_AT_FAULT = re.compile(r"^khoci:(\w+):\d+:", re.MULTILINE | re.ASCII)
_HEADER = re.compile(r"(?:include|arch/x86/include/uapi|arch/x86/include)/(.+\.h)", re.ASCII)
_NEEDED = (
    *("linux/types.h", "linux/bits.h", "linux/bitmap.h", "linux/log2.h", "linux/math.h"),
    *("linux/align.h", "linux/sizes.h", "linux/stddef.h", "uapi/linux/fcntl.h", "asm/page.h"),
)
_PAGE = ("PAGE_SHIFT", "PAGE_SIZE", "PAGE_MASK", "CONFIG_PAGE_SHIFT")


@dataclass(frozen=True, slots=True)
class Defined:
    """Where a part of the handover is defined.

    Attributes:
        kind: `NUMBER`, `STRING` or `STRUCT`.
        file: its path in the tree.
        line: from 1; 0 if it is not found.
        component: what it is a part of.
    """

    kind: str
    file: str
    line: int
    component: str


@dataclass(frozen=True, slots=True)
class _File:
    path: str
    pieces: tuple[Piece, ...]
    constants: Mapping[str, Tokens]
    defined: Mapping[str, Defined]

    @property
    def macros(self) -> frozenset[str]:
        return frozenset(piece.name for piece in self.pieces if piece.kind == "macro")

    @property
    def header(self) -> str | None:
        """What to include; None of a file that is part of a C file."""
        match = _HEADER.fullmatch(self.path)
        return match[1] if match else None


class Probe:
    """The probe of one kernel.

    Args:
        files: texts of the files that define the handover, by their path in the tree.
    """

    def __init__(self, files: Mapping[str, str]) -> None:
        paths = sorted(filter(is_handover, files))
        read = {path: definitions(files[path]) for path in paths}
        self._values = Values(
            {name: body for of in read.values() for name, body in of.constants.items()}
        )
        self._files = [
            _File(path, cut(files[path]), read[path].constants, self._defined(path, files[path]))
            for path in paths
        ]

    @property
    def defined(self) -> dict[str, Defined]:
        """Every part of the handover by its name."""
        return {name: of for file in self._files for name, of in file.defined.items()}

    def value_of(self, name: str) -> int | str | None:
        """The value of a constant as far as text tells it."""
        return self._values.of(name)

    def text(self, without: Collection[str] = ()) -> str:
        """The C file; the parts ``without`` are not asked for."""
        asked = {name: of for name, of in self.defined.items() if name not in without}
        return "\n".join((*self._head(asked), *self._asked(asked), *self._others(asked))) + "\n"

    def _defined(self, path: str, text: str) -> dict[str, Defined]:
        read = definitions(text)
        own = {piece.name for piece in cut(text) if piece.kind in ("struct", "union")}
        names = {*read.constants, *own}
        parts = {name: of for name in names if (of := component(name, path))}
        lines = lines_of(text, frozenset(parts))
        return {
            name: Defined(
                STRUCT if name in own else self._kind(name, read.constants[name]),
                path,
                lines.get(name, 0),
                parts[name],
            )
            for name in sorted(parts)
        }

    def _kind(self, name: str, body: Tokens) -> str:
        text = isinstance(self._values.of(name), str) or any(map(is_string, body[:1]))
        return STRING if text else NUMBER

    def _head(self, asked: Mapping[str, Defined]) -> Iterator[str]:
        yield from (f"#include <{name}>" for name in _NEEDED)
        used = [file for file in self._files if any(name in asked for name in file.defined)]
        yield from (f"#include <{file.header}>" for file in used if file.header)
        for file in used:
            if not file.header:
                yield from _taken_over(file, asked)

    def _asked(self, asked: Mapping[str, Defined]) -> Iterator[str]:
        macros = frozenset[str]().union(*(file.macros for file in self._files))
        for name, of in asked.items():
            yield from _variable(name, of.kind, NATIVE, macro=name in macros)

    def _others(self, asked: Mapping[str, Defined]) -> Iterator[str]:
        """All that may depend on the size of a page, for the sizes that are not x86_64's."""
        enumerators = {
            name: " ".join(body)
            for file in self._files
            for name, body in file.constants.items()
            if name not in file.macros and name in asked and not any(map(is_directive, body))
        }
        yield from (f"#define {name} ({body})" for name, body in enumerators.items())
        structs = [name for name, of in asked.items() if of.kind == STRUCT]
        numbers = [name for name, of in asked.items() if of.kind == NUMBER]
        for shift in SHIFTS[1:]:
            yield from (f"#undef {name}" for name in _PAGE)
            yield f"#define PAGE_SHIFT {shift}"
            yield "#define CONFIG_PAGE_SHIFT PAGE_SHIFT"
            yield "#define PAGE_SIZE (1UL << PAGE_SHIFT)"
            yield "#define PAGE_MASK (~(PAGE_SIZE - 1))"
            yield from (f"#define {name} {_MARK}{shift}_{name}" for name in structs)
            for file in self._files:
                yield from _again(file, asked)
            for name in structs:
                yield from _variable(name, STRUCT, shift)
            for name in numbers:
                yield from _variable(name, NUMBER, shift, macro=name not in enumerators)
            yield from (f"#undef {name}" for name in structs)


def _taken_over(file: _File, asked: Mapping[str, Defined]) -> Iterator[str]:
    """What a C file defines for itself of the parts that are asked for, and all that they name."""
    by_name: dict[str, list[Piece]] = {}
    for piece in file.pieces:
        by_name.setdefault(piece.name, []).append(piece)
        if piece.kind == "enum":
            for name in piece.words:
                by_name.setdefault(name, []).append(piece)
    todo = [name for name in file.defined if name in asked]
    needed = set(todo)
    while todo:
        words = {word for piece in by_name.get(todo.pop(), ()) for word in piece.words}
        todo.extend(words & by_name.keys() - needed)
        needed |= words
    enums = {piece for name in needed for piece in by_name.get(name, ()) if piece.kind == "enum"}
    for piece in file.pieces:
        if piece.kind == "condition" or piece.name in needed or piece in enums:
            yield piece.text


def _again(file: _File, asked: Mapping[str, Defined]) -> Iterator[str]:
    """The structs of a file that are asked for, to be defined under another name."""
    kept = [
        piece
        for piece in file.pieces
        if piece.kind == "condition" or (piece.kind in ("struct", "union") and piece.name in asked)
    ]
    if any(piece.kind != "condition" for piece in kept):
        yield from (piece.text for piece in kept)


def _variable(name: str, kind: str, shift: int, *, macro: bool = False) -> Iterator[str]:
    symbol = f"{_MARK}{kind}_{shift}_{name}"
    if macro:
        yield f"#ifdef {name}"
    yield f'#line 1 "khoci:{name}"'
    if kind == STRUCT:
        yield f"struct {name} {symbol};"
    elif kind == STRING:
        yield f"const char {symbol}[] = {name};"
    else:
        yield f"const long long {symbol} = (long long)({name});"
    if macro:
        yield "#endif"


def symbol_of(name: str) -> tuple[str, int, str] | None:
    """The kind, the size of a page in log2, and the name of what a symbol of the probe is for."""
    match = _SYMBOL.fullmatch(name)
    return (match[1], int(match[2]), match[3]) if match else None


def plain_name(name: str) -> str:
    """A name as the tree has it, of one that was defined once more."""
    return re.sub(rf"^{_MARK}\d\d_", "", name)


def at_fault(errors: str) -> frozenset[str]:
    """The parts that a compiler's errors are about."""
    return frozenset(_AT_FAULT.findall(errors))
