"""What a kernel's image says itself that it reads: sections that were proposed. Pure.

``.liveupdate_versions`` (RFC of December 2025) and ``.liveupdate_features`` (2026) both begin with
a u32 magic ``LVUP`` and a u32 version, 1. The first goes on with strings of 48 bytes, the second
with entries of 80: a name of 48 bytes, a u32 count of bytes, a reserved u32, and three u64 of
feature bits: supported, required, active. All in the byte order of the machine.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from khoci.format.errors import Place

VERSIONS, FEATURES = ".liveupdate_versions", ".liveupdate_features"
MAGIC = 0x4C565550
VERSION = 1
_HEADER = struct.Struct("<II")
_NAME_BYTES = 48
_ENTRY = struct.Struct("<48sIIQQQ")


@dataclass(frozen=True, slots=True)
class Features:
    """Bits of a subsystem: what it supports, what it needs, what it uses in what it writes."""

    supported: int
    required: int
    active: int

    def missing(self, reader: Features) -> str:
        """What keeps ``reader`` from reading what a writer with these writes; empty if nothing."""
        strange = self.active & ~reader.supported
        if strange:
            return f"features {strange:#x} are in use, and it does not support them"
        lacking = reader.required & ~self.active
        return f"it requires features {lacking:#x}, which are not in use" if lacking else ""


def versions(data: bytes) -> tuple[str, ...]:
    """The strings in a section ``.liveupdate_versions``.

    Raises:
        DecodeError: it has another header, or is cut off.
    """
    body = _body(data, VERSIONS, _NAME_BYTES)
    parts = (body[at : at + _NAME_BYTES] for at in range(0, len(body), _NAME_BYTES))
    return tuple(_text(part) for part in parts)


def features(data: bytes) -> dict[str, Features]:
    """The feature bits by name in a section ``.liveupdate_features``.

    Raises:
        DecodeError: it has another header, or is cut off.
    """
    body = _body(data, FEATURES, _ENTRY.size)
    entries = _ENTRY.iter_unpack(body)
    return {_text(name): Features(*bits) for name, _, _, *bits in entries}


def _body(data: bytes, section: str, size: int) -> bytes:
    place = Place(section)
    if len(data) < _HEADER.size:
        raise place.error(f"has {len(data)} bytes, less than its header")
    magic, version = _HEADER.unpack_from(data)
    if magic != MAGIC or version != VERSION:
        raise place.error(f"begins with {magic:#x}, version {version}")
    body = data[_HEADER.size :]
    if len(body) % size:
        raise place.error(f"has {len(body)} bytes of entries that take {size} each")
    return body


def _text(part: bytes) -> str:
    return part.partition(b"\0")[0].decode("ascii", "backslashreplace")
