"""Whether a member of another name is still used as it was. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from khoci.abi.lexer import Tokens, tokens, without_comments
from khoci.abi.places import is_handover

_ENDS = frozenset(";{}")
_ACCESS = frozenset({".", "->"})


def means_the_same(
    before: Mapping[str, str], after: Mapping[str, str], renamed: Mapping[str, str]
) -> bool:
    """Whether each statement that uses a member by its new name was there with the old name.

    A number of pages under the name of an address lies where the address lay: only its users show
    that it is not the same.

    Args:
        before: texts of files by their path.
        after: the same, later.
        renamed: new names by old names.
    """
    old = {
        tuple(renamed.get(token, token) if access else token for access, token in statement)
        for statement in _statements(before)
    }
    names = frozenset(renamed.values())
    return all(
        _plain(statement) in old
        for statement in _statements(after)
        if any(access and token in names for access, token in statement)
    )


_Statement = tuple[tuple[bool, str], ...]


def _statements(files: Mapping[str, str]) -> Iterator[_Statement]:
    """Each statement, and of each of its tokens whether it is the name of a member in use."""
    for path, text in files.items():
        if is_handover(path):
            yield from _cut(tokens(without_comments(text)))


def _cut(code: Tokens) -> Iterator[_Statement]:
    found: list[tuple[bool, str]] = []
    for token in code:
        if token in _ENDS:
            yield tuple(found)
            found = []
        else:
            found.append((bool(found) and found[-1][1] in _ACCESS, token))
    yield tuple(found)


def _plain(statement: _Statement) -> Tokens:
    return tuple(token for _, token in statement)
