"""What the code that was there before comes to. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from khoci.abi.lexer import Tokens, is_name, tokens, without_comments
from khoci.abi.places import is_handover

_DEFINE = re.compile(r"[ \t]*#[ \t]*define[ \t]+(\w+)([^\n]*)", re.ASCII)
_AGGREGATES = ("struct", "union", "enum")
_NO_TYPES = frozenset({"return", "goto", "else", "case", "do", "if", "for", "while", "switch"})
_UNUSED = re.compile(
    r"(static_assert|_Static_assert|EXPORT_SYMBOL\w*|\w+_initcall|module_init|module_exit) \("
    r"|(struct|union|enum) \w+ ;",
    re.ASCII,
)
"""Statements that name what they do not use; what the kernel starts was not called before."""

_Item = tuple[str, Tokens]
"""A name, empty for what defines none, and the code of its definition."""


def reached(before: Mapping[str, str], after: Mapping[str, str]) -> frozenset[str]:
    """All names in definitions of ``after`` that were there before, and in those that they name.

    What only a new function uses, which only new functions call, is not among them. Code that is no
    clear definition counts as there before, in a file that was.

    Args:
        before: texts of files by their path.
        after: the same, later.
    """
    known = {name for path in before for name, _ in _items(path, before)}
    named: dict[str, list[Tokens]] = {}
    for path in after:
        for name, code in _items(path, after):
            if name or path in before:
                named.setdefault(name, []).append(code)
    found: set[str] = set()
    todo = [name for name in named if name in known or not name]
    while todo:
        words = {word for code in named.pop(todo.pop(), ()) for word in code} - found
        found |= words
        todo.extend(words & named.keys())
    return frozenset(found)


def _items(path: str, files: Mapping[str, str]) -> Iterator[_Item]:
    """Each macro and each definition outside of braces."""
    rest: list[str] = []
    lines = without_comments(files[path]).split("\n") if is_handover(path) else ()
    for line in lines:
        match = _DEFINE.match(line)
        if match:
            yield match[1], tokens(match[2])
        elif not line.lstrip().startswith("#"):
            rest.append(line)
    for head, code in _outermost(tokens("\n".join(rest))):
        if not _UNUSED.match(" ".join(code[:4])):
            yield _name(head, "{" in code), code


def _outermost(code: Tokens) -> Iterator[tuple[Tokens, Tokens]]:
    """What stands before the first brace or ``=`` of each statement, and the whole statement."""
    start, depth, head, is_function = 0, 0, 0, False
    for index, word in enumerate(code):
        if word in ("{", "=") and not depth and not head:
            head = index
            is_function = word == "{" and "(" in code[start:index]
        depth = max(depth + (word == "{") - (word == "}"), 0)
        if not depth and (word == ";" or (word == "}" and is_function)):
            yield code[start : head or index], code[start : index + 1]
            start, head, is_function = index + 1, 0, False
    if code[start:]:
        yield code[start : head or len(code)], code[start:]


def _name(head: Tokens, braced: bool) -> str:
    """What a statement defines or declares, empty if it may be one of a function's body."""
    if not head or head[0] in _NO_TYPES:
        return ""
    if braced and "(" not in head and head[-2:-1] and head[-2] in _AGGREGATES:
        return head[-1]
    at = next((at for at, word in enumerate(head) if word in ("(", "[")), len(head)) - 1
    typed = at > 0 and is_name(head[at]) and (is_name(head[at - 1]) or head[at - 1] == "*")
    return head[at] if typed else ""
