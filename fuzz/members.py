"""Several named pieces in one input: the members of an archive, the files of a folder."""

from __future__ import annotations

import struct

_HEAD = struct.Struct("<BI")
MAX_MEMBERS = 16


def parse(data: bytes) -> dict[int, bytes]:
    """Pieces by number; any bytes are pieces, the last of a number counts."""
    pieces: dict[int, bytes] = {}
    position = 0
    while position + _HEAD.size <= len(data):
        number, size = _HEAD.unpack_from(data, position)
        position += _HEAD.size
        pieces[number % MAX_MEMBERS] = data[position : position + size]
        position += size
    return pieces


def pack(pieces: dict[int, bytes]) -> bytes:
    """The bytes that `parse` takes."""
    return b"".join(_HEAD.pack(number, len(data)) + data for number, data in pieces.items())
