"""What differs between two kernels in the definitions of the handover. Pure.

Only names and values count: text that was moved, another order of files, comments, a constant of
another name with the same value, and another way to write the same number are no change.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from khoci.abi.definitions import Definitions, definitions
from khoci.abi.layout import Layout, aliases_of, layout
from khoci.abi.lexer import Tokens
from khoci.abi.places import VERSIONS, component, governors, is_handover
from khoci.abi.reached import reached
from khoci.abi.renamed import renamed
from khoci.abi.types import same_types
from khoci.abi.uses import means_the_same
from khoci.abi.values import Values

VERSION, STRING, CONSTANT, STRUCT, NAMES = "version", "string", "constant", "struct", "names"


@dataclass(frozen=True, slots=True)
class Change:
    """A definition that differs.

    Attributes:
        file: where it stands, of what is gone, where it stood.
        name: of the constant, struct or macro.
        kind: ``version``, ``string``, ``constant``, ``struct``, or ``names``: a struct whose
            members lie where they lay, and one is called otherwise.
        old: as text, None if it is new.
        new: as text, None if it is gone.
        component: what it is a part of.
        governor: the constant that is the component's version, None if there is none.
        new_file: whether the file was not there before.
        same_use: of ``names``, whether nothing else changed where the member is used.
        unused: whether it is new and nothing that was there before comes to it.
    """

    file: str
    name: str
    kind: str
    old: str | None
    new: str | None
    component: str
    governor: str | None = None
    new_file: bool = False
    same_use: bool = False
    unused: bool = False

    def __str__(self) -> str:
        is_struct = self.kind in (STRUCT, NAMES) and not self.name.startswith("DECLARE_")
        word = "struct " if is_struct else ""
        if self.old is None or self.new is None:
            what = "is new" if self.old is None else "is gone"
        elif self.kind == NAMES:
            what = "has a member of another name"
        elif self.kind == STRUCT:
            what = "changed"
        else:
            what = f"was {self.old} and is {self.new}"
        return f"{word}{self.name} {what} ({self.file})"


@dataclass(frozen=True, slots=True)
class _Part:
    """A definition of the handover: what it is a part of, and its value or layout as text."""

    file: str
    component: str
    kind: str
    text: str
    layout: Layout | None = None


_Parts = dict[str, _Part]


def changes(before: Mapping[str, str], after: Mapping[str, str]) -> tuple[Change, ...]:
    """What differs from ``before`` to ``after``: texts of files by their path in the tree.

    Files that cannot define a part of the handover (`places.is_handover`) do not count; of the
    others all should be there, as a constant of one may be used in another.
    """
    was, now = _source(before), _source(after)
    others = renamed(was.texts(), now.texts(), was.structs | now.structs, VERSIONS)
    old, new = (was.with_names(others) if others else was).parts(), now.parts()
    same = _only_renamed(old, new)
    names = sorted((old.keys() | new.keys()) - same)
    found = [_change(name, old.get(name), new.get(name), new) for name in names]
    told = [_told(change, before, after, old, new) for change in found if change]
    used = reached(before, after) if any(change.old is None for change in told) else ()
    return tuple(
        replace(change, unused=change.old is None and change.name not in used) for change in told
    )


def _change(name: str, old: _Part | None, new: _Part | None, parts: _Parts) -> Change | None:
    part = new or old
    if part is None or (old and new and old.text == new.text):
        return None
    return Change(
        file=part.file,
        name=name,
        kind=NAMES if old and new and _is_renaming(old, new) else part.kind,
        old=old.text if old else None,
        new=new.text if new else None,
        component=part.component,
        governor=next((item for item in governors(part.component) if item in parts), None),
    )


def _is_renaming(old: _Part, new: _Part) -> bool:
    """Whether members lie where others lay, and none of them is one of the others."""
    if not old.layout or not new.layout or old.layout.types != new.layout.types:
        return False
    pairs = zip(_members(old), _members(new), strict=True)
    return not {other for one, other in pairs if one != other} & {*_members(old)}


def _told(
    change: Change,
    before: Mapping[str, str],
    after: Mapping[str, str],
    old: _Parts,
    new: _Parts,
) -> Change:
    """The change with what only the files around it tell."""
    if change.kind == NAMES:
        pairs = zip(_members(old[change.name]), _members(new[change.name]), strict=True)
        others = {one: other for one, other in pairs if one != other}
        return replace(change, same_use=means_the_same(before, after, others))
    return replace(change, new_file=change.old is None and change.file not in before)


def _members(part: _Part) -> tuple[str, ...]:
    return tuple(member.name for member in part.layout.members) if part.layout else ()


@dataclass(frozen=True, slots=True)
class _Source:
    """What the files of one kernel define."""

    each: Mapping[str, Definitions]
    values: Values
    aliases: Mapping[str, Tokens]

    @property
    def structs(self) -> set[str]:
        return {name for found in self.each.values() for name in found.structs}

    def texts(self) -> dict[str, Tokens]:
        """Every definition as tokens, whether it is part of the handover or not."""
        return {
            name: tuple(text.split(" "))
            for found in self.each.values()
            for name, _, text, _ in self._defined(found)
        }

    def parts(self) -> _Parts:
        """Everything that is part of the handover."""
        return {
            name: _Part(path, of, kind, text, inside)
            for path, found in self.each.items()
            for name, kind, text, inside in self._defined(found)
            if (of := component(name, path))
        }

    def _defined(self, found: Definitions) -> Iterator[tuple[str, str, str, Layout | None]]:
        """The name, kind and text of each definition, and of structs the layout."""
        for name, body in found.constants.items():
            yield name, _kind(name, body, self.values), self._text(name, body), None
        for name, body in found.shapes.items():
            yield name, STRUCT, " ".join(same_types(body, self.aliases)), None
        for name, body in found.structs.items():
            inside = layout(body, self.values, self.aliases)
            yield name, STRUCT, str(inside), inside

    def _text(self, name: str, body: Tokens) -> str:
        """The value of a constant, or of an unknown one its body."""
        value = self.values.of(name)
        if value is None:
            return " ".join(same_types(body, self.aliases))
        return f'"{value}"' if isinstance(value, str) else str(value)

    def with_names(self, names: Mapping[str, str]) -> _Source:
        return _of({path: found.with_names(names) for path, found in self.each.items()})


def _source(files: Mapping[str, str]) -> _Source:
    return _of({path: definitions(text) for path, text in files.items() if is_handover(path)})


def _of(each: Mapping[str, Definitions]) -> _Source:
    constants = {name: body for found in each.values() for name, body in found.constants.items()}
    typedefs = {name: body for found in each.values() for name, body in found.typedefs.items()}
    values = Values(constants)
    return _Source(each, values, aliases_of(typedefs, values))


def _kind(name: str, body: Tokens, values: Values) -> str:
    if name in VERSIONS:
        return VERSION
    return STRING if isinstance(values.of(name), str) or '"' in "".join(body) else CONSTANT


def _only_renamed(old: _Parts, new: _Parts) -> set[str]:
    """Constants and structs that are the same under another name, by both of their names."""
    gone = {name: old[name] for name in old.keys() - new.keys() - VERSIONS}
    come = {name: new[name] for name in new.keys() - old.keys() - VERSIONS}
    by_meaning: dict[tuple[str, str, str], list[str]] = {}
    for name in sorted(come):
        by_meaning.setdefault(_meaning(come[name]), []).append(name)
    same: set[str] = set()
    for name in sorted(gone):
        others = by_meaning.get(_meaning(gone[name]))
        if others:
            same |= {name, others.pop(0)}
    return same


def _meaning(part: _Part) -> tuple[str, str, str]:
    return part.component, part.kind, part.text
