"""RAM as it is, with nothing around it: a QEMU RAM file or a ``pmemsave`` dump."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from khoci.errors import UsageError
from khoci.format.errors import DecodeError
from khoci.format.memory import PAGE_SIZE
from khoci.format.ranges import Range, merge
from khoci.source.backed import FileMemory, Piece, disjoint, file_size

if TYPE_CHECKING:
    from collections.abc import Sequence

    from khoci.source.backed import ByteFile

EXAMPLE = "0x0-0x80000000,0x100000000-0x180000000"
_UNITS = {"": 0, "k": 10, "m": 20, "g": 30, "t": 40}
_NUMBER = re.compile(r"(0x[0-9a-f]{1,16}|[0-9]{1,20})([kmgt]?)", re.ASCII | re.IGNORECASE)
_TOP = 1 << 64


def parse_layout(text: str) -> tuple[Range, ...]:
    """Physical ranges in the order of the file: ``0-2G,4G-6G``, each end exclusive.

    Raises:
        UsageError: it is not written so, or a range is empty or overlaps another.
    """
    ranges = tuple(_range(word.strip()) for word in text.split(","))
    if sum(item.size for item in merge(ranges)) != sum(item.size for item in ranges):
        raise UsageError(f"layout {text!r}: two ranges overlap")
    return ranges


def open_raw(file: ByteFile, layout: Sequence[Range] | None = None) -> FileMemory:
    """The memory of a file whose bytes are those of ``layout``, one range behind the other.

    Without a layout an offset in the file is a physical address.

    Raises:
        DecodeError: the file has another size than the layout, or not whole pages.
    """
    size = file_size(file)
    if layout is None:
        layout = (Range(0, size),)
        if size % PAGE_SIZE:
            message = f"{size} bytes are no whole pages: it is cut off, or no memory dump"
            raise DecodeError(message, where="RAM", address=None)
    described = sum(item.size for item in layout)
    if described != size:
        message = f"the layout describes {described} bytes, the file has {size}"
        raise DecodeError(message, where="RAM", address=None)
    pieces: list[Piece] = []
    offset = 0
    for item in layout:
        pieces.append(Piece(item.start, item.size, offset))
        offset += item.size
    return FileMemory(file, disjoint(pieces), merge(layout))


def _range(word: str) -> Range:
    start, dash, end = word.partition("-")
    if not dash:
        raise UsageError(f"layout: {word!r} is no START-END, write it like {EXAMPLE}")
    first, behind = _address(start), _address(end)
    if not first < behind <= _TOP:
        raise UsageError(f"layout: {word!r} is empty, or ends behind 64 bits")
    return Range(first, behind - first)


def _address(text: str) -> int:
    match = _NUMBER.fullmatch(text.strip())
    if match is None:
        raise UsageError(f"layout: {text!r} is no address, write it like 0x80000000 or 2G")
    return int(match[1], 0 if match[1][:2].lower() == "0x" else 10) << _UNITS[match[2].lower()]
