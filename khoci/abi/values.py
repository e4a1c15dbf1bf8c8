"""The values of constants, as far as text tells them: x86_64, pages of 4 KiB. Pure."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping

from khoci.abi.lexer import Tokens, is_name, is_string
from khoci.abi.types import SIZES, same_types

Value = int | str

_PAGE_SHIFT = 12
_GIVEN: Mapping[str, int] = {
    "PAGE_SHIFT": _PAGE_SHIFT,
    "PAGE_SIZE": 1 << _PAGE_SHIFT,
    "BITS_PER_BYTE": 8,
    "BITS_PER_LONG": 64,
    "__NEW_UTS_LEN": 64,
}
_WIDEST = 1 << 64
_MOST_BITS = 63
_DEEPEST = 24
_LONGEST = 400
"""Tokens of the longest expression that is evaluated."""


class _UnknownError(Exception):
    """An expression whose value text does not tell."""


def _bounded(value: int) -> int:
    if not -_WIDEST < value < _WIDEST:
        raise _UnknownError
    return value


def _shifted(value: int, bits: int) -> int:
    if not 0 <= bits <= _MOST_BITS:
        raise _UnknownError
    return value << bits


def _divided(value: int, by: int) -> int:
    if value < 0 or by <= 0:
        raise _UnknownError
    return value // by


def _rest(value: int, by: int) -> int:
    if value < 0 or by <= 0:
        raise _UnknownError
    return value % by


_CALLS: Mapping[str, tuple[int, Callable[..., int]]] = {
    "BIT": (1, lambda bit: _shifted(1, bit)),
    "BIT_ULL": (1, lambda bit: _shifted(1, bit)),
    "ALIGN": (2, lambda value, to: _divided(value + to - 1, to) * to),
    "DIV_ROUND_UP": (2, lambda value, by: _divided(value + by - 1, by)),
    "const_ilog2": (1, lambda value: value.bit_length() - 1),
    "ilog2": (1, lambda value: value.bit_length() - 1),
}
_BINARY: tuple[Mapping[str, Callable[[int, int], int]], ...] = (
    {"|": operator.or_},
    {"^": operator.xor},
    {"&": operator.and_},
    {"<<": _shifted, ">>": lambda value, bits: _divided(value, _shifted(1, bits))},
    {"+": operator.add, "-": operator.sub},
    {"*": operator.mul, "/": _divided, "%": _rest},
)
"""Operators by precedence, those that bind least first."""


class Values:
    """The values of constants that may refer to each other."""

    def __init__(self, constants: Mapping[str, Tokens]) -> None:
        self._constants = constants
        self._known: dict[str, Value | None] = {}
        self._open: set[str] = set()

    def of(self, name: str) -> Value | None:
        """The value of a constant, None if it is unknown."""
        self._resolve((name,))
        return self._seen(name)

    def evaluate(self, code: Tokens) -> int | None:
        """The value of an expression of integers, None if it is unknown."""
        if len(code) > _LONGEST:
            return None
        self._resolve(code)
        value = self._value(code)
        return value if isinstance(value, int) else None

    def _resolve(self, code: Tokens) -> None:
        """Evaluate the constants in ``code``, after those that they name: a chain may be long."""
        stack = self._unknown(code)
        while stack:
            name = stack[-1]
            others = [] if name in self._open else self._unknown(self._constants[name])
            self._open.add(name)
            if others:
                stack.extend(others)
                continue
            stack.pop()
            if name not in self._known:
                self._known[name] = self._value(self._constants[name])

    def _unknown(self, code: Tokens) -> list[str]:
        """The constants in ``code`` that nobody asked for; what refers to itself is asked for."""
        if len(code) > _LONGEST:
            return []
        return [word for word in code if word in self._constants and word not in self._open]

    def _seen(self, name: str) -> Value | None:
        return self._known.get(name) if name in self._constants else _GIVEN.get(name)

    def _value(self, code: Tokens) -> Value | None:
        if not code or len(code) > _LONGEST:
            return None
        text = self._text(code)
        if text is not None:
            return text
        try:
            return _Parser(code, self._seen).whole()
        except _UnknownError:
            return None

    def _text(self, code: Tokens) -> str | None:
        """The string that strings, and names of strings, make together."""
        if not any(map(is_string, code)):
            return None
        parts = [
            token[1:-1] if is_string(token) else self._seen(token) if is_name(token) else None
            for token in code
        ]
        texts = [part for part in parts if isinstance(part, str)]
        return "".join(texts) if len(texts) == len(parts) else None


class _Parser:
    """One expression by recursive descent."""

    def __init__(self, code: Tokens, value_of: Callable[[str], Value | None]) -> None:
        self._code = code
        self._at = 0
        self._depth = 0
        self._value_of = value_of

    def whole(self) -> Value:
        if len(self._code) == 1 and is_name(self._code[0]):
            value = self._value_of(self._code[0])
            if isinstance(value, str):
                return value
        found = self._binary(0)
        if self._at < len(self._code):
            raise _UnknownError
        return found

    def _next(self) -> str:
        return self._code[self._at] if self._at < len(self._code) else ""

    def _take(self, wanted: str = "") -> str:
        word = self._next()
        if not word or (wanted and word != wanted):
            raise _UnknownError
        self._at += 1
        return word

    def _binary(self, level: int) -> int:
        if level == len(_BINARY):
            return self._unary()
        left = self._binary(level + 1)
        while self._next() in _BINARY[level]:
            combine = _BINARY[level][self._take()]
            left = _bounded(combine(left, self._binary(level + 1)))
        return left

    def _unary(self) -> int:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise _UnknownError
        word = self._take()
        if word == "-":
            value = -self._unary()
        elif word == "(":
            value = self._binary(0)
            self._take(")")
        elif is_name(word):
            value = self._named(word)
        else:
            value = _number(word)
        self._depth -= 1
        return value

    def _named(self, name: str) -> int:
        if name == "sizeof":
            return self._size()
        if name in _CALLS and self._next() == "(":
            return self._call(*_CALLS[name])
        value = self._value_of(name)
        if not isinstance(value, int):
            raise _UnknownError
        return value

    def _size(self) -> int:
        """``sizeof`` of a plain type, or of a string with the NUL behind it."""
        self._take("(")
        words = [self._take()]
        while self._next() != ")":
            words.append(self._take())
        self._take(")")
        name, *others = same_types(tuple(words))
        value = self._value_of(name)
        if isinstance(value, str) and not others:
            return len(value) + 1
        if name not in SIZES or others:
            raise _UnknownError
        return SIZES[name]

    def _call(self, count: int, function: Callable[..., int]) -> int:
        self._take("(")
        arguments = [self._binary(0)]
        while self._next() == ",":
            self._take()
            arguments.append(self._binary(0))
        self._take(")")
        if len(arguments) != count:
            raise _UnknownError
        return _bounded(function(*arguments))


def _number(word: str) -> int:
    digits = word.rstrip("uUlL")
    if len(digits) > 20 or not digits.isascii():
        raise _UnknownError
    try:
        old = len(digits) > 1 and digits[0] == "0" and digits.isdigit()
        return int(digits, 8 if old else 0)
    except ValueError:
        raise _UnknownError from None
