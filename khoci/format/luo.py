"""The head of the ``LUO`` subtree (live update orchestrator): version, number, sessions.

An FDT in 6.19 to 7.1 (``kernel/liveupdate/luo_core.c``, ``include/linux/kho/abi/luo.h``) and
``struct luo_ser`` of 32 bytes from 7.2 on, told apart by how the blob begins.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from khoci.format import fdt, versions
from khoci.format.memory import PAGE_SIZE, Memory, fetch
from khoci.format.payload import string, text, u64
from khoci.format.ranges import Range
from khoci.format.versions import Version

if TYPE_CHECKING:
    from collections.abc import Iterator

    from khoci.format.errors import Place
    from khoci.format.fdt import Node

STRUCT_SIZE = 32
MAX_BLOCKS = 10000
_STRUCT = struct.Struct("<8sQQQ")
_SESSION_SIZE = 80
_SESSION_FOLIO = 16 * PAGE_SIZE
_KNOWN_FDT = Version("luo", 1)
_KNOWN_STRUCT = Version("luo", 5)


class Shape(Enum):
    """How the head is written."""

    FDT = "fdt"
    STRUCT = "struct"


@dataclass(frozen=True, slots=True)
class Luo:
    """The head; ``number`` counts live updates. Of an unknown version nothing else is read.

    ``owned`` is the memory that was found to be LUO's: sessions and FLB, without files.
    """

    version: Version
    shape: Shape
    number: int | None = None
    sessions: int | None = None
    owned: tuple[Range, ...] = ()


def read(memory: Memory, phys: int, place: Place) -> Luo:
    """Read the blob at ``phys``.

    Raises:
        DecodeError: it is cut off, a property is missing, or the sessions are not countable.
    """
    here = place.at(phys)
    if fetch(memory, phys, 4, here) == fdt.MAGIC:
        return _from_fdt(memory, fdt.read(memory, phys, place).root, here)
    return _from_struct(memory, fetch(memory, phys, STRUCT_SIZE, here), here)


def _from_fdt(memory: Memory, root: Node, place: Place) -> Luo:
    version = versions.parse(string(root, "compatible", place))
    if version != _KNOWN_FDT:
        return Luo(version, Shape.FDT)
    number = u64(root, "liveupdate-number", place)
    here = place / "luo-session"
    session, flb = root.child("luo-session"), root.child("luo-flb")
    if session is None:
        raise here.error("the node is missing")
    header = u64(session, "luo-session-header", here)
    count = _session_count(memory, header, here)
    owned = [Range(header, _SESSION_FOLIO)]
    if flb is not None:
        owned.append(Range(u64(flb, "luo-flb-header", place / "luo-flb"), PAGE_SIZE))
    return Luo(version, Shape.FDT, number, count, tuple(owned))


def _session_count(memory: Memory, header: int, place: Place) -> int:
    capacity = (_SESSION_FOLIO - 8) // _SESSION_SIZE
    count = int.from_bytes(fetch(memory, header, 8, place), "little")
    if count > capacity:
        raise place.at(header).error(f"{count} sessions, there is room for {capacity}")
    return count


def _from_struct(memory: Memory, raw: bytes, place: Place) -> Luo:
    compatible, number, sessions, flbs = _STRUCT.unpack(raw)
    version = versions.parse(text(compatible))
    if version != _KNOWN_STRUCT:
        return Luo(version, Shape.STRUCT)
    blocks = dict(_blocks(memory, sessions, place / "sessions"))
    pages = [*blocks, flbs] if flbs else list(blocks)
    owned = tuple(Range(page, PAGE_SIZE) for page in pages)
    return Luo(version, Shape.STRUCT, number, sum(blocks.values()), owned)


def _blocks(memory: Memory, first: int, place: Place) -> Iterator[tuple[int, int]]:
    """Address and number of entries of each ``struct kho_block_header_ser`` of sessions."""
    capacity = (PAGE_SIZE - 16) // _SESSION_SIZE
    seen: set[int] = set()
    address = first
    while address:
        here = (place / f"block[{len(seen)}]").at(address)
        if address in seen or address % PAGE_SIZE or len(seen) == MAX_BLOCKS:
            raise here.error("a block is not page aligned, closes a cycle, or is one too many")
        seen.add(address)
        successor, count = struct.unpack("<QQ", fetch(memory, address, 16, here))
        if not 0 < count <= capacity:
            raise here.error(f"{count} sessions, a block holds 1 to {capacity}")
        yield address, count
        address = successor
