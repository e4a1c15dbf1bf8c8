"""Versions in all their shapes: ``kho-v1``, ``kho-v4;block-v1``, and bare numbers.

A compatible string names a format and counts its versions. A composite one holds several with
``;`` between them (proposed for releases after 7.3). A struct may begin with a u32 instead
(kexec-metadata): that is a `Version` without a name.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

_NUMBERED = re.compile(r"(?P<name>.+)-v(?P<number>0|[1-9][0-9]{0,8})", re.ASCII | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Version:
    """One version, maybe with more: ``rest`` are the other parts of a composite string.

    ``number`` is None if a string has no ``-vN`` at its end; it is then all ``name``.
    """

    name: str
    number: int | None
    rest: tuple[Version, ...] = ()

    @property
    def parts(self) -> tuple[Version, ...]:
        """Each part of a composite version; of another one, itself."""
        return (Version(self.name, self.number), *self.rest)

    def __str__(self) -> str:
        return ";".join(map(_text, self.parts))


def parse(compatible: str) -> Version:
    """Split a compatible string; whatever it is, it is a value."""
    first, *rest = (_parse_part(part) for part in compatible.split(";"))
    return Version(first.name, first.number, tuple(rest))


def bare(number: int) -> Version:
    """The version of a struct that begins with ``number``."""
    return Version("", number)


def unknown(version: Version, known: Collection[Version]) -> str:
    """Says what is unknown about a version that is not in ``known``.

    A numbered one is held against the nearest known of its name: ``luo-v6 is unknown, next to
    v5``. Of a composite one it says which parts are known.
    """
    if not version.rest:
        return f"{version} is unknown{_nearest(version, known)}"
    parts = (
        f"{part} is known" if part in known else unknown(part, known) for part in version.parts
    )
    return f"{version} is unknown: {', '.join(parts)}"


def _parse_part(part: str) -> Version:
    match = _NUMBERED.fullmatch(part)
    return Version(match["name"], int(match["number"])) if match else Version(part, None)


def _text(part: Version) -> str:
    if part.number is None:
        return part.name
    return f"{part.name}-v{part.number}" if part.name else str(part.number)


def _nearest(version: Version, known: Collection[Version]) -> str:
    number = version.number
    same = [item.number for item in known if item.name == version.name and item.number is not None]
    if number is None or not same:
        return ""
    return f", next to v{min(same, key=lambda other: (abs(other - number), other))}"
