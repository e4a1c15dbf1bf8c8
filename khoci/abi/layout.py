"""The members of a struct, so that two layouts can be compared. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from khoci.abi.definitions import is_directive, split
from khoci.abi.lexer import Tokens, is_name
from khoci.abi.types import resolved, same_types
from khoci.abi.values import Values

_LONGEST = 40
"""Tokens of the longest size of an array that is evaluated."""
_MOST_OF_TYPE = 8
"""Tokens of the longest type that several members share."""
_ENDS = frozenset(";{}")


@dataclass(frozen=True, slots=True)
class Member:
    """A declaration as text: whole, its name (empty if there is not one), and all but that."""

    text: str
    name: str
    rest: str


@dataclass(frozen=True, slots=True)
class Layout:
    """The members in their order, and the attributes of the whole."""

    members: tuple[Member, ...]
    attributes: str

    @property
    def types(self) -> tuple[str, ...]:
        """All but the members' names: what decides where each lies."""
        return (*(member.rest for member in self.members), self.attributes)

    def __str__(self) -> str:
        members = "; ".join(member.text for member in self.members)
        return f"{{ {members} }} {self.attributes}".rstrip()


def layout(body: Tokens, values: Values, aliases: Mapping[str, Tokens] | None = None) -> Layout:
    """The layout of a struct's body as `definitions` keeps it.

    Sizes of arrays are numbers where their value is known: other words for the same are the same,
    and so are members that share a declaration. What stands under ``#if`` is kept with that.
    """
    body = _one_by_one(body)
    end = len(body) - 1 - body[::-1].index("}") if "}" in body and _closed(body) else len(body)
    members = (_member(part, values, aliases) for part in split(body[:end], ";") if part)
    return Layout(tuple(members), " ".join(body[end + 1 :]))


def _closed(body: Tokens) -> bool:
    return body.count("}") > body.count("{")


def _one_by_one(body: Tokens) -> Tokens:
    """The body with a declaration for each member, also in the structs inside."""
    found: list[str] = []
    start = 0
    for index, word in enumerate(body):
        if word in _ENDS:
            code = body[start:index]
            begins = start == 0 or body[start - 1] != "}"
            found.extend(_each(code) if word == ";" and begins else code)
            found.append(word)
            start = index + 1
        elif is_directive(word):
            found.extend((*body[start:index], word, ";"))
            start = index + 1
    return (*found, *body[start:])


def _each(code: Tokens) -> Tokens:
    """``u64 a; u64 *b`` of ``u64 a, *b``."""
    first, *others = split(code, ",") or [code]
    at = _name_at(first)
    if at is None or first[1:2] == ("(",) or not others:
        return code
    while at and first[at - 1] == "*":
        at -= 1
    if at > _MOST_OF_TYPE:
        return code
    return (*first, *(word for other in others for word in (";", *first[:at], *other)))


def aliases_of(typedefs: Mapping[str, Tokens], values: Values) -> dict[str, Tokens]:
    """The types that typedefs name; one of an array is a single token."""
    plain = {
        name: _evaluated(same_types(body), values) for name, body in resolved(typedefs).items()
    }
    return {name: (" ".join(body),) if "[" in body else body for name, body in plain.items()}


def _member(code: Tokens, values: Values, aliases: Mapping[str, Tokens] | None) -> Member:
    plain = _evaluated(same_types(code, aliases), values)
    at, text = _name_at(plain), " ".join(plain)
    if at is None:
        return Member(text, "", text)
    return Member(text, plain[at], " ".join((*plain[:at], "_", *plain[at + 1 :])))


def _name_at(code: Tokens) -> int | None:
    """Where the name of the member is: of a macro its first argument, else before an array."""
    if "{" in code or ("," in code and code[1:2] != ("(",)):
        return None
    if code[1:2] == ("(",):
        return 2 if len(code) > 2 and is_name(code[2]) else None
    end = next((at for at, word in enumerate(code) if word in "[:("), len(code))
    return end - 1 if end > 1 and is_name(code[end - 1]) else None


def _evaluated(code: Tokens, values: Values) -> Tokens:
    """The code with numbers for what stands between brackets and has a value."""
    found: list[str] = []
    opened: list[int] = []
    for word in code:
        if word in ("]", ")", ",") and opened and len(found) - opened[-1] <= _LONGEST:
            value = values.evaluate(tuple(found[opened[-1] :]))
            if value is not None:
                found[opened[-1] :] = [str(value)]
        if word in ("]", ")", ",") and opened:
            opened.pop()
        found.append(word)
        if word in ("[", "(", ","):
            opened.append(len(found))
    return tuple(found)
