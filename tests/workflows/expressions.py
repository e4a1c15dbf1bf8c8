"""GitHub's expressions, as far as the workflows here use them; what is not known is an error."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Value = Any
Functions = Mapping[str, Callable[..., Value]]

_TOKEN = re.compile(
    r"\s*(?:(?P<text>'(?:[^']|'')*')|(?P<name>[A-Za-z_][A-Za-z0-9_-]*)|(?P<sign>[=!]=|&&|\|\||[!().,]))"
)
_HOLE = re.compile(r"\$\{\{(.*?)\}\}", re.DOTALL)
_LITERALS: Mapping[str, Value] = {"true": True, "false": False, "null": None}


class NotUnderstoodError(Exception):
    """The workflow says what this runner does not know."""


def as_text(value: Value) -> str:
    """A value as it stands in a text."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int):
        return str(value)
    raise NotUnderstoodError(f"{value!r} has no text")


def is_true(value: Value) -> bool:
    """Whether GitHub takes a value for true."""
    return value not in (None, False, 0, "")


def interpolated(text: str, contexts: Mapping[str, Value], functions: Functions) -> Value:
    """A text with its holes filled; the value itself where the text is one hole."""
    whole = _HOLE.fullmatch(text.strip())
    if whole and "${{" not in whole[1]:
        return evaluated(whole[1], contexts, functions)
    return _HOLE.sub(lambda hole: as_text(evaluated(hole[1], contexts, functions)), text)


def evaluated(text: str, contexts: Mapping[str, Value], functions: Functions) -> Value:
    """The value of an expression.

    Raises:
        NotUnderstoodError: it has what is not known here.
    """
    parser = _Parser(text, [*_tokens(text)], contexts, {**_FUNCTIONS, **functions})
    value = parser.any_of()
    parser.end()
    return value


def names_in(text: str) -> set[str]:
    """All names that an expression has, of functions too."""
    return {word for kind, word in _tokens(text) if kind == "name"}


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    at = 0
    while text[at:].strip():
        found = _TOKEN.match(text, at)
        if found is None or found.lastgroup is None:
            raise NotUnderstoodError(f"expression: {text[at:].strip()!r}")
        yield found.lastgroup, found[found.lastgroup]
        at = found.end()


def _format(template: str, *values: Value) -> str:
    return re.sub(r"\{(\d+)\}", lambda found: as_text(values[int(found[1])]), template)


_FUNCTIONS: Functions = {"format": _format, "fromJSON": json.loads}


@dataclass
class _Parser:
    text: str
    tokens: list[tuple[str, str]]
    contexts: Mapping[str, Value]
    functions: Functions
    at: int = 0

    def any_of(self) -> Value:
        value = self._all_of()
        while self._takes("||"):
            other = self._all_of()
            value = value if is_true(value) else other
        return value

    def end(self) -> None:
        if self.at != len(self.tokens):
            raise NotUnderstoodError(f"expression: {self.text!r} at {self.tokens[self.at][1]!r}")

    def _all_of(self) -> Value:
        value = self._compared()
        while self._takes("&&"):
            other = self._compared()
            value = other if is_true(value) else value
        return value

    def _compared(self) -> Value:
        value = self._one()
        for sign, wanted in (("==", True), ("!=", False)):
            if self._takes(sign):
                return _same(value, self._one()) is wanted
        return value

    def _one(self) -> Value:
        if self._takes("!"):
            return not is_true(self._one())
        if self._takes("("):
            value = self.any_of()
            self._need(")")
            return value
        kind, word = self._next()
        if kind == "text":
            return word[1:-1].replace("''", "'")
        if kind != "name":
            raise NotUnderstoodError(f"expression: {self.text!r} at {word!r}")
        if word in _LITERALS:
            return _LITERALS[word]
        value = self._called(word) if self._takes("(") else self._context(word)
        while self._takes("."):
            value = _member(value, self._next()[1], self.text)
        return value

    def _called(self, name: str) -> Value:
        if name not in self.functions:
            raise NotUnderstoodError(f"expression: {self.text!r}: function {name}")
        values: list[Value] = []
        while not self._takes(")"):
            values.append(self.any_of())
            self._takes(",")
        return self.functions[name](*values)

    def _context(self, name: str) -> Value:
        if name not in self.contexts:
            raise NotUnderstoodError(f"expression: {self.text!r}: there is no {name} here")
        return self.contexts[name]

    def _takes(self, sign: str) -> bool:
        found = self.at < len(self.tokens) and self.tokens[self.at] == ("sign", sign)
        self.at += found
        return found

    def _need(self, sign: str) -> None:
        if not self._takes(sign):
            raise NotUnderstoodError(f"expression: {self.text!r}: {sign} is missing")

    def _next(self) -> tuple[str, str]:
        if self.at == len(self.tokens):
            raise NotUnderstoodError(f"expression: {self.text!r}: it ends too early")
        self.at += 1
        return self.tokens[self.at - 1]


class Strict(dict[str, Value]):
    """A context whose names are all known: another one is a mistake in the workflow."""


def _member(value: Value, name: str, text: str) -> Value:
    if value is None:
        return None
    if not isinstance(value, Mapping):
        raise NotUnderstoodError(f"expression: {text!r}: {name} of {value!r}")
    if isinstance(value, Strict) and name not in value:
        raise NotUnderstoodError(f"expression: {text!r}: there is no {name}")
    return value.get(name)


def _same(one: Value, other: Value) -> bool:
    one, other = ("" if each is None else each for each in (one, other))
    if type(one) is not type(other):
        raise NotUnderstoodError(f"compares {one!r} and {other!r}")
    if isinstance(one, str):
        return one.casefold() == str(other).casefold()
    return bool(one == other)
