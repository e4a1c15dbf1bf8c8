"""C as text: comments away, lines joined, tokens. Pure, in linear time, whatever the text is."""

from __future__ import annotations

import re

_COMMENT = re.compile(
    r"""
    "(?:\\.|[^"\\\n])*+"?
    | '(?:\\.|[^'\\\n])*+'?
    | (?P<comment>//(?:\\\n|[^\n])*+ | /\*.*?(?:\*/|\Z))
    """,
    re.DOTALL | re.VERBOSE,
)
_TOKEN = re.compile(
    r"""
    "(?:\\.|[^"\\\n])*+"?
    | '(?:\\.|[^'\\\n])*+'?
    | [A-Za-z_]\w*+
    | \d\w*+
    | <<=?|>>=?|->|\#\#|[<>=!]=|&&|\|\|
    | \S
    """,
    re.DOTALL | re.VERBOSE | re.ASCII,
)
_JOINED = re.compile(r"\\[ \t]*\n")

Tokens = tuple[str, ...]


def without_comments(text: str) -> str:
    """The text with a blank for each comment, and continued lines joined."""
    kept = _COMMENT.sub(lambda match: " " if match["comment"] else match[0], _unix(text))
    return _JOINED.sub(" ", kept)


def tokens(text: str) -> Tokens:
    """The tokens of a text without comments."""
    return tuple(match[0] for match in _TOKEN.finditer(text))


def is_name(token: str) -> bool:
    """Whether a token is an identifier or a keyword."""
    return token[:1].isalpha() or token[:1] == "_"


def is_string(token: str) -> bool:
    """Whether a token is a complete string."""
    return len(token) > 1 and token[0] == token[-1] == '"'


def _unix(text: str) -> str:
    return text.replace("\r\n", "\n")
