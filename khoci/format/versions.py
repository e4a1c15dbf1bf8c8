"""Compatible strings: ``kho-v1`` names a format and counts its versions."""

from __future__ import annotations

import re
from dataclasses import dataclass

_NUMBERED = re.compile(r"(?P<name>.+)-v(?P<number>0|[1-9][0-9]{0,8})", re.ASCII | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Version:
    """A compatible string: ``number`` is None if it has no ``-vN`` at its end."""

    name: str
    number: int | None

    def __str__(self) -> str:
        return self.name if self.number is None else f"{self.name}-v{self.number}"


def parse(compatible: str) -> Version:
    """Split ``x-vN``; any other string is a value too, kept whole as the name."""
    match = _NUMBERED.fullmatch(compatible)
    if match is None:
        return Version(compatible, None)
    return Version(match["name"], int(match["number"]))
