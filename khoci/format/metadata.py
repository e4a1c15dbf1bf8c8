"""The ``kexec-metadata`` blob of 7.1 and later: who handed over, and after how many kexecs.

``struct kho_kexec_metadata`` of ``include/linux/kho/abi/kexec_metadata.h``, packed. Its version is
a number; the reader takes a blob that is too long.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from khoci.format.payload import text
from khoci.format.versions import bare

if TYPE_CHECKING:
    from khoci.format.errors import Place

SIZE = 73
KNOWN = frozenset({bare(1)})
_VERSION_SIZE = 4
_BODY = struct.Struct("<65sI")


@dataclass(frozen=True, slots=True)
class KexecMetadata:
    """The producer's release and the kexecs since the cold boot; None in an unknown version."""

    version: int
    previous_release: str | None
    kexec_count: int | None


def parse(raw: bytes, place: Place) -> KexecMetadata:
    """Parse the blob as its reader does: version first, then the size.

    Raises:
        DecodeError: it is too short.
    """
    if len(raw) < _VERSION_SIZE:
        raise place.error(f"{len(raw)} bytes hold no version")
    version = int.from_bytes(raw[:_VERSION_SIZE], "little")
    if bare(version) not in KNOWN:
        return KexecMetadata(version, None, None)
    if len(raw) < SIZE:
        raise place.error(f"version {version} has {SIZE} bytes, there are {len(raw)}")
    release, count = _BODY.unpack_from(raw, _VERSION_SIZE)
    return KexecMetadata(version, text(release), count)
