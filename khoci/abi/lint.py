"""Comments and documents that name another version than the code has. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from khoci.abi.model import KernelAbi, Part
from khoci.abi.places import is_document, is_handover
from khoci.format.versions import parse

_COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*", re.DOTALL)
_MENTION = re.compile(r"(?<![\w-])([a-z][a-z0-9]*(?:-[a-z0-9]+)*?)-v(\d{1,9})(?![\w-])", re.ASCII)


@dataclass(frozen=True, slots=True)
class Drift:
    """A version that is named, and is not the one that the code has.

    Attributes:
        file: a path in the tree.
        line: from 1.
        says: what stands there.
        code: what the code has.
        constant: its name there.
        place: ``file:line`` of that.
    """

    file: str
    line: int
    says: str
    code: str
    constant: str
    place: str

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}"
        return (
            f"{where}: says {self.says}, the code has {self.code} ({self.constant}, {self.place})"
        )


def drifts(files: Mapping[str, str], abi: KernelAbi) -> tuple[Drift, ...]:
    """All such places, by file and line.

    Args:
        files: texts of the files that define the handover, and of documents, by path.
        abi: of the same tree.
    """
    known: dict[str, list[Part]] = {}
    for part in abi.versions.values():
        for piece in parse(str(part.value)).parts if isinstance(part.value, str) else ():
            known.setdefault(piece.name, []).append(part)
    return tuple(
        Drift(path, line, says, _nearest(known[name]), known[name][0].name, known[name][0].place)
        for path in sorted(files)
        if is_handover(path) or is_document(path)
        for line, name, says in _mentions(files[path], whole=is_document(path))
        if name in known and not _is_current(says, known[name])
    )


def _nearest(parts: list[Part]) -> str:
    return " and ".join(sorted({str(part.value) for part in parts}))


def _is_current(says: str, parts: list[Part]) -> bool:
    mentioned = parse(says)
    return any(mentioned in parse(str(part.value)).parts for part in parts)


def _mentions(text: str, *, whole: bool) -> Iterator[tuple[int, str, str]]:
    """The line, name and text of each version in the comments of a file, or in all of it."""
    spans = [(0, len(text))] if whole else [m.span() for m in _COMMENT.finditer(text)]
    for start, end in spans:
        for match in _MENTION.finditer(text, start, end):
            yield text.count("\n", 0, match.start()) + 1, match[1], match[0]
