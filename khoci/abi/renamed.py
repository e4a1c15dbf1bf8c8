"""Structs, and what is in them, that are the same under another name. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from khoci.abi.lexer import Tokens

_MOST_TRIES = 400
"""Pairs that are compared; what is renamed beyond them counts as gone and new."""


def renamed(
    old: Mapping[str, Tokens],
    new: Mapping[str, Tokens],
    structs: AbstractSet[str],
    kept: AbstractSet[str],
) -> dict[str, str]:
    """New names by old ones, of definitions that differ in nothing but such names.

    Which of several equal structs one became is told by those that hold them: they come first.

    Args:
        old: definitions by their name.
        new: the same, later.
        structs: names on either side that may be renamed by themselves; other definitions are
            renamed only where a struct that has them would be the same.
        kept: names that are never others.
    """
    gone = old.keys() - new.keys() - kept
    come = new.keys() - old.keys() - kept
    if not gone & structs or not come & structs:
        return {}
    sides = _Sides(old, new, gone, come)
    pairs: dict[str, str] = {}
    for tried, (one, other) in enumerate(_candidates(sides, structs)):
        if tried == _MOST_TRIES:
            break
        if one not in pairs and other not in pairs.values():
            pairs = sides.together(one, other, pairs) or pairs
    return pairs


@dataclass(frozen=True, slots=True)
class _Sides:
    """Both sides, and the names that only one of them has."""

    old: Mapping[str, Tokens]
    new: Mapping[str, Tokens]
    gone: AbstractSet[str]
    come: AbstractSet[str]

    def together(self, one: str, other: str, known: Mapping[str, str]) -> dict[str, str] | None:
        """What is known, and the names that make ``one`` and ``other`` the same, if any do."""
        pairs = {**known, **({one: other} if one != other else {})}
        taken = set(pairs.values())
        todo = [(one, other)]
        while todo:
            one, other = todo.pop()
            if len(self.old[one]) != len(self.new[other]):
                return None
            for left, right in zip(self.old[one], self.new[other], strict=True):
                if pairs.get(left, left) == right:
                    continue
                fits = left in self.gone and right in self.come and right not in taken
                if left in pairs or not fits:
                    return None
                pairs[left] = right
                taken.add(right)
                todo.append((left, right))
        return pairs

    def shape(self, code: Tokens) -> Tokens:
        """The code without the names that may have become others."""
        return tuple("" if word in self.gone or word in self.come else word for word in code)


def _candidates(sides: _Sides, structs: AbstractSet[str]) -> Iterator[tuple[str, str]]:
    for name in sorted(sides.old.keys() & sides.new.keys()):
        if sides.old[name] != sides.new[name]:
            yield name, name
    by_shape: dict[Tokens, list[str]] = {}
    for name in sorted(sides.come & structs):
        by_shape.setdefault(sides.shape(sides.new[name]), []).append(name)
    for name in sorted(sides.gone & structs):
        for other in by_shape.get(sides.shape(sides.old[name]), ()):
            yield name, other
