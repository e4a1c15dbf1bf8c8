"""The ``kho_test`` subtree of the kernel's own test (``lib/test_kho.c``, 6.17 and later).

The list of folios is inline in 6.17 and a vmalloc area from 6.18 on, under one version string: the
reader tells them apart by nothing, it wants its own length. ``kho_test_restore_data`` wants of each
folio the order that the list says, and ``csum`` to be right.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from khoci.format import versions, vmalloc
from khoci.format.blocks import Block
from khoci.format.errors import DecodeError, Place
from khoci.format.memory import PAGE_SHIFT, Memory, fetch, is_ram, ram_size
from khoci.format.payload import raw, string, u32
from khoci.format.versions import Version
from khoci.format.vmalloc import Area

if TYPE_CHECKING:
    from collections.abc import Iterable

    from khoci.format.fdt import Node

MAGIC = 0x4B484F21
MAX_FOLIOS = 1 << 20
KNOWN = frozenset({Version("kho-test", 1)})
_FOLIO_SIZE = 8
_ONES = 0xFFFFFFFF
_WINDOW = 4 << 20


class Shape(Enum):
    """How ``folios_info`` holds the list: as it is (6.17), or by a vmalloc descriptor (6.18)."""

    INLINE = "inline"
    VMALLOC = "vmalloc"


@dataclass(frozen=True, slots=True)
class KhoTest:
    """The test's folios in their order, and the checksum over them; empty if unknown."""

    version: Version
    shape: Shape | None = None
    csum: int | None = None
    folios: tuple[Block, ...] = ()
    area: Area | None = None


def parse(
    memory: Memory,
    root: Node,
    place: Place,
    likely: Shape | None = None,
    page_shift: int = PAGE_SHIFT,
) -> KhoTest:
    """Take the folios from the subtree's FDT.

    Args:
        memory: of the guest, for the vmalloc area.
        root: root node of the FDT.
        place: of the FDT, for errors.
        likely: the shape to take if both read well, which can be with two folios only: then both
            are as long.
        page_shift: log2 of the page size in bytes.

    Raises:
        DecodeError: a property is missing or wrong, the list does not fit its count, a folio is
            not aligned or not in RAM, or both shapes read well and none is likely.
    """
    version = versions.parse(string(root, "compatible", place))
    if version not in KNOWN:
        return KhoTest(version)
    if (magic := u32(root, "magic", place)) != MAGIC:
        raise (place / "magic").error(f"{magic:#x} is not {MAGIC:#x}")
    data, here = root.child("data"), place / "data"
    if data is None:
        raise here.error("the node is missing")
    listed = _List(memory, raw(data, "folios_info", here), u32(data, "nr_folios", here), here)
    shape, folios, area = _read(listed, likely, page_shift)
    return KhoTest(version, shape, u32(data, "csum", here), folios, area)


def checksum(memory: Memory, folios: Iterable[Block]) -> int:
    """What ``csum_partial`` over the folios yields on x86: compare it with ``csum``.

    The sum of all little-endian u32 words modulo 0xffffffff, and 0xffffffff rather than 0 unless
    all words are 0. As 2**32 is 1 by that modulus, the content as one number has the same rest.

    Raises:
        DecodeError: a folio is not all in RAM.
    """
    rest, blank = 0, True
    for index, folio in enumerate(folios):
        for start in range(folio.phys, folio.range.end, _WINDOW):
            size = min(_WINDOW, folio.range.end - start)
            number = int.from_bytes(fetch(memory, start, size, Place(f"folio[{index}]")), "little")
            rest, blank = (rest + number) % _ONES, blank and not number
    return rest if rest or blank else _ONES


@dataclass(frozen=True, slots=True)
class _List:
    memory: Memory
    raw: bytes
    count: int
    place: Place


_Found = tuple[Shape, tuple[Block, ...], Area | None]


def _read(listed: _List, likely: Shape | None, page_shift: int) -> _Found:
    found: dict[Shape, _Found] = {}
    errors: list[DecodeError] = []
    for shape in _by_length(listed):
        try:
            found[shape] = _READERS[shape](listed, page_shift)
        except DecodeError as error:
            errors.append(error)
    if len(found) == 1 or likely in found:
        return found[likely] if likely in found else next(iter(found.values()))
    if errors:
        raise errors[0]
    reason = "fit both" if found else "fit no"
    size = len(listed.raw)
    raise (listed.place / "folios_info").error(
        f"{size} bytes for {listed.count} folios {reason} shapes of the list"
    )


def _by_length(listed: _List) -> list[Shape]:
    shapes = [Shape.VMALLOC] if len(listed.raw) == vmalloc.DESCRIPTOR_SIZE else []
    return [Shape.INLINE, *shapes] if len(listed.raw) == listed.count * _FOLIO_SIZE else shapes


def _inline(listed: _List, page_shift: int) -> _Found:
    return Shape.INLINE, _folios(listed, listed.raw, page_shift), None


def _by_vmalloc(listed: _List, page_shift: int) -> _Found:
    here = listed.place / "folios_info"
    if listed.count > min(MAX_FOLIOS, ram_size(listed.memory) >> page_shift):
        raise here.error(f"{listed.count} folios do not fit into RAM")
    area = vmalloc.read(listed.memory, vmalloc.parse(listed.raw, here), here, page_shift)
    content = vmalloc.content(listed.memory, area, listed.count * _FOLIO_SIZE, here)
    return Shape.VMALLOC, _folios(listed, content, page_shift), area


_READERS = {Shape.INLINE: _inline, Shape.VMALLOC: _by_vmalloc}


def _folios(listed: _List, array: bytes, page_shift: int) -> tuple[Block, ...]:
    if len(array) != listed.count * _FOLIO_SIZE:
        raise listed.place.error(f"{len(array)} bytes are no list of {listed.count} folios")
    words = (word for (word,) in struct.iter_unpack("<Q", array))
    return tuple(_folio(listed, index, word, page_shift) for index, word in enumerate(words))


def _folio(listed: _List, index: int, word: int, page_shift: int) -> Block:
    order = word & ((1 << page_shift) - 1)
    phys = word - order
    here = (listed.place / f"folio[{index}]").at(phys)
    if order > 64 - page_shift or phys % (1 << (order + page_shift)):
        raise here.error(f"the folio is not aligned to its order {order}")
    folio = Block(phys, order, page_shift)
    if not is_ram(listed.memory, folio.range):
        raise here.error(f"the folio of order {order} is not in RAM")
    return folio
