"""Kconfig expressions (Documentation/kbuild/kconfig-language.rst), evaluated over a ``.config``."""

from __future__ import annotations

import operator
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_TOKEN = re.compile(
    r'\s*(&&|\|\||!=|<=|>=|[=<>!()]|"[^"]*"|\$\([^()]*(?:\([^()]*\)[^()]*)*\)|[^\s&|!=<>()]+)'
)
_MOST_NESTED = 50
_NUMBER = re.compile(r"\d+|0x[0-9a-fA-F]+")
_ORDER: Mapping[str, Callable[[int, int], bool]] = {
    "<": operator.lt,
    ">": operator.gt,
    "<=": operator.le,
    ">=": operator.ge,
}


def holds(expression: str, config: Mapping[str, str]) -> bool:
    """Whether ``expression`` is y or m under ``config``.

    Macros (``$(cc-option,...)``) are taken as true: only the build could answer them. So is an
    expression that is nested deeper than any sensible one.
    """
    try:
        return _Reader(_TOKEN.findall(expression), config).alternatives()
    except _TooDeepError:
        return True


def conjuncts(expression: str) -> list[str]:
    """The parts that ``&&`` joins at the top level of ``expression``."""
    parts, depth = [""], 0
    for word in _TOKEN.findall(expression):
        depth += (word == "(") - (word == ")")
        if word == "&&" and depth == 0:
            parts.append("")
        else:
            parts[-1] += word if word in "()!" or parts[-1].endswith(("(", "!")) else f" {word}"
    return [part.strip() for part in parts if part.strip()]


class _TooDeepError(Exception):
    pass


class _Reader:
    """Recursive descent over the tokens of one expression."""

    def __init__(self, tokens: list[str], config: Mapping[str, str]) -> None:
        self._tokens = tokens[::-1]
        self._config = config
        self._nested = 0

    def alternatives(self) -> bool:
        value = self._both()
        while self._accept("||"):
            value = self._both() or value
        return value

    def _both(self) -> bool:
        value = self._one()
        while self._accept("&&"):
            value = self._one() and value
        return value

    def _one(self) -> bool:
        wanted = True
        while self._accept("!"):
            wanted = not wanted
        if self._accept("("):
            return self._group() == wanted
        return self._comparison() == wanted

    def _group(self) -> bool:
        if self._nested == _MOST_NESTED:
            raise _TooDeepError
        self._nested += 1
        value = self.alternatives()
        self._nested -= 1
        self._accept(")")
        return value

    def _comparison(self) -> bool:
        left = self._value()
        sign = self._tokens[-1] if self._tokens else ""
        if sign not in ("=", "!=", *_ORDER):
            return left in ("y", "m")
        self._tokens.pop()
        right = self._value()
        if sign in _ORDER:
            return _ORDER[sign](_number(left), _number(right))
        return (left == right) == (sign == "=")

    def _value(self) -> str:
        word = self._tokens.pop() if self._tokens else "y"
        if word.startswith("$("):
            return "y"
        if word.startswith('"') or word in ("y", "m", "n") or _NUMBER.fullmatch(word):
            return word.strip('"')
        return self._config.get(word, "n").strip('"')

    def _accept(self, word: str) -> bool:
        found = bool(self._tokens) and self._tokens[-1] == word
        if found:
            self._tokens.pop()
        return found


def _number(text: str) -> int:
    try:
        return int(text, 0)
    except ValueError:
        return 0
