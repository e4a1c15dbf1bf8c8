"""The definitions of a C file: constants, enumerators and structs. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from khoci.abi.lexer import Tokens, is_name, tokens, without_comments

_DEFINE = re.compile(r"[ \t]*#[ \t]*define[ \t]+(\w+)(\([^)\n]*\))?([^\n]*)", re.ASCII)
_DIRECTIVE = re.compile(
    r"[ \t]*#[ \t]*(ifdef|ifndef|if|elif|else|endif|pragma)\b([^\n]*)", re.ASCII
)
_PACK = "# pragma pack ("
_AGGREGATES = ("struct", "union")
_MOST_NESTED = 4
"""Structs deeper in structs than this are not kept by themselves."""
_MOST_ATTRIBUTES = 40
_LONGEST_TYPE = 12
"""Tokens of the longest type that a typedef names and that is kept."""


@dataclass(frozen=True, slots=True)
class Definitions:
    """What a file defines, as tokens.

    What is defined several times (under ``#if``) has all its definitions, ``;`` between them.
    Inside of a definition each ``#if`` and ``#pragma`` is one token.

    Attributes:
        constants: bodies of macros without parameters, and of enumerators.
        shapes: parameters and bodies of macros that stand for members (``DECLARE_...``).
        structs: bodies of structs and unions, ``}`` and their attributes at the end.
        typedefs: types by the names that they are given.
    """

    constants: Mapping[str, Tokens] = field(default_factory=dict)
    shapes: Mapping[str, Tokens] = field(default_factory=dict)
    structs: Mapping[str, Tokens] = field(default_factory=dict)
    typedefs: Mapping[str, Tokens] = field(default_factory=dict)

    def with_names(self, names: Mapping[str, str]) -> Definitions:
        """The same with other names for some of what is defined, by those that they have."""
        return Definitions(*(_called(names, of) for of in self._all))

    @property
    def _all(self) -> tuple[Mapping[str, Tokens], ...]:
        return self.constants, self.shapes, self.structs, self.typedefs


def _called(names: Mapping[str, str], bodies: Mapping[str, Tokens]) -> dict[str, Tokens]:
    return {
        names.get(name, name): tuple(names.get(word, word) for word in body)
        for name, body in bodies.items()
    }


def definitions(text: str) -> Definitions:
    """Everything that ``text`` defines; whatever it holds, this does not raise."""
    constants: _Bodies = {}
    shapes: _Bodies = {}
    structs: _Bodies = {}
    typedefs: _Bodies = {}
    code = _without_macros(text, constants, shapes)
    for name, body in _typedefs(code):
        _add(typedefs, name, body)
    for kind, name, body in _braced(code):
        if kind in _AGGREGATES:
            _add(structs, name, body)
        else:
            for enumerator, value in _enumerators(body):
                _add(constants, enumerator, value)
    return Definitions(*map(_joined, (constants, shapes, structs, typedefs)))


_Bodies = dict[str, list[Tokens]]


def _without_macros(text: str, constants: _Bodies, shapes: _Bodies) -> Tokens:
    """The code of a text; its macros are added to the others."""
    rest: list[str] = []
    for line in without_comments(text).split("\n"):
        match = _DEFINE.match(line)
        if match is None:
            rest.extend(_outside_of_macros(line))
        elif match[2] is None:
            _add(constants, match[1], tokens(match[3]))
        elif match[1].startswith("DECLARE_"):
            _add(shapes, match[1], tokens(match[2] + match[3]))
    return tuple(rest)


def _add(found: _Bodies, name: str, body: Tokens) -> None:
    if body:
        found.setdefault(name, []).append(body)


def _joined(found: _Bodies) -> dict[str, Tokens]:
    apart = (
        (name, [word for body in bodies for word in (";", *body)]) for name, bodies in found.items()
    )
    return {name: tuple(words[1:]) for name, words in apart}


def is_directive(word: str) -> bool:
    """Whether a token is a line for the preprocessor."""
    return word.startswith("# ")


def _outside_of_macros(line: str) -> Tokens:
    """The tokens of a line that defines no macro."""
    if not line.lstrip().startswith("#"):
        return tokens(line)
    match = _DIRECTIVE.match(line)
    return (" ".join(("#", match[1], *tokens(match[2]))),) if match else ()


def _typedefs(code: Tokens) -> Iterator[tuple[str, Tokens]]:
    """Names of plain types, of arrays, and of structs that are called otherwise too."""
    for start in (index + 1 for index, word in enumerate(code) if word == "typedef"):
        body = code[start : start + _LONGEST_TYPE]
        body = body[: body.index(";")] if ";" in body else ()
        at = (body.index("[") if "[" in body else len(body)) - 1
        if at > 0 and is_name(body[at]) and not {"(", "{"} & {*body}:
            yield body[at], (*body[:at], *body[at + 1 :])


def _braced(code: Tokens) -> Iterator[tuple[str, str, Tokens]]:
    """The kind, name and body of what has a name and braces, and of enums without a name."""
    stack: list[tuple[_Head, int]] = []
    named = 0
    packed = [""]
    for index, word in enumerate(code):
        if word == "{":
            head = _head(code, index)
            named += bool(head.kind)
            stack.append((head, index + 1))
        elif word == "}" and stack:
            head, start = stack.pop()
            if head.kind and named <= _MOST_NESTED:
                yield from _closed(head, code, start, index, packed[-1])
            named -= bool(head.kind)
        elif word.startswith(_PACK):
            packed = _packed(packed, word)


def _closed(
    head: _Head, code: Tokens, start: int, brace: int, packed: str
) -> Iterator[tuple[str, str, Tokens]]:
    """What ends at a brace, if it has a name by now."""
    if head.kind == "enum":
        yield head.kind, head.name, code[start:brace]
        return
    behind, name = _behind(code, brace), head.name
    if head.is_typedef:
        called = next((word for word in behind if is_name(word) and word[:2] != "__"), "")
        behind = tuple(word for word in behind if word != called)
        name = name or called
    elif behind and behind[0][:2] != "__":
        behind = ()
    if name:
        all_of_them = _same_attributes((*behind, *head.attributes))
        yield head.kind, name, (*code[start : brace + 1], *all_of_them, *((packed,) * bool(packed)))


def _packed(stack: list[str], pragma: str) -> list[str]:
    """The alignments that are in force, the last of them now."""
    *_, last = words = pragma.removeprefix(_PACK).rstrip(") ").split() or [""]
    if "pop" in words:
        return stack[:-1] or [""]
    now = f"pack({last})" if last.isdigit() else stack[-1] if "push" in words else ""
    return [*stack, now] if "push" in words else [*stack[:-1], now]


def _same_attributes(attributes: Tokens) -> Tokens:
    text = " ".join(attributes)
    for name in ("packed", "__packed__"):
        text = text.replace(f"__attribute__ ( ( {name} ) )", "__packed")
    return tuple(text.split())


@dataclass(frozen=True, slots=True)
class _Head:
    """What a brace opens: ``struct``, ``union``, ``enum`` or nothing that has a name."""

    kind: str = ""
    name: str = ""
    attributes: Tokens = ()
    is_typedef: bool = False


def _head(code: Tokens, brace: int) -> _Head:
    before = code[max(brace - _MOST_ATTRIBUTES, 0) : brace]
    kinds = (*_AGGREGATES, "enum")
    at = next((at for at in range(len(before) - 1, -1, -1) if before[at] in kinds), None)
    if at is None:
        return _Head()
    kind, *words = before[at:]
    is_typedef = before[at - 1 : at] == ("typedef",) and kind != "enum"
    if not words:
        return _Head(kind, "", (), is_typedef) if is_typedef or kind == "enum" else _Head()
    *attributes, name = words
    if not is_name(name) or (attributes and not _are_attributes(attributes)):
        return _Head()
    return _Head(kind, name, tuple(attributes), is_typedef)


def _are_attributes(words: list[str]) -> bool:
    return (
        words[0].startswith("__")
        and words.count("(") == words.count(")")
        and not {";", "=", "}", "*"} & {*words}
    )


def _behind(code: Tokens, brace: int) -> Tokens:
    """The attributes behind a closing brace, which may change the layout, and names."""
    words = code[brace + 1 : brace + 1 + _MOST_ATTRIBUTES]
    return words[: words.index(";")] if ";" in words else ()


def _enumerators(body: Tokens) -> Iterator[tuple[str, Tokens]]:
    """Each enumerator and its value as an expression, which no number is under ``#if``."""
    before: Tokens = ()
    for each in split(body, ","):
        part = tuple(word for word in each if not is_directive(word))
        if not part or not is_name(part[0]):
            return
        under = tuple(word for word in each if is_directive(word) and word != "# endif")
        value = part[2:] if part[1:2] == ("=",) else (*before, "+", "1") if before else ("0",)
        before = (part[0],)
        yield part[0], (*value, *under)


def split(code: Tokens, mark: str) -> list[Tokens]:
    """The parts between ``mark`` outside of brackets; the last one is left out if empty."""
    parts: list[Tokens] = []
    depth = start = 0
    for index, word in enumerate(code):
        depth += (word in "([{") - (word in ")]}")
        if word == mark and depth <= 0:
            parts.append(code[start:index])
            start = index + 1
    return [*parts, code[start:]] if code[start:] else parts
