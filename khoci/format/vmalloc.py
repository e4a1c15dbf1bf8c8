"""Preserved vmalloc areas (6.18 and later): a descriptor and a list of pages of addresses.

``struct kho_vmalloc`` and ``struct kho_vmalloc_chunk`` of
``include/linux/kho/abi/kexec_handover.h`` (``include/linux/kexec_handover.h`` before 7.0).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from khoci.format.blocks import Block
from khoci.format.memory import PAGE_SHIFT, Memory, fetch, is_ram, ram_size
from khoci.format.ranges import Range

if TYPE_CHECKING:
    from collections.abc import Iterator

    from khoci.format.errors import Place

DESCRIPTOR_SIZE = 16
_DESCRIPTOR = struct.Struct("<QIHH")


@dataclass(frozen=True, slots=True)
class Descriptor:
    """What users embed: the first chunk, and how many pages come in runs of ``1 << order``."""

    first: int
    total_pages: int
    flags: int
    order: int


@dataclass(frozen=True, slots=True)
class Area:
    """A whole area: its runs of pages in order of content, and the pages that list them."""

    runs: tuple[Block, ...]
    chunks: tuple[int, ...]

    @property
    def size(self) -> int:
        """Bytes of content."""
        return sum(run.size for run in self.runs)


def parse(raw: bytes, place: Place) -> Descriptor:
    """Parse the 16 bytes of a descriptor.

    Raises:
        DecodeError: there are more or less.
    """
    if len(raw) != DESCRIPTOR_SIZE:
        raise place.error(f"a vmalloc descriptor has {DESCRIPTOR_SIZE} bytes, not {len(raw)}")
    return Descriptor(*_DESCRIPTOR.unpack(raw))


def read(
    memory: Memory, descriptor: Descriptor, place: Place, page_shift: int = PAGE_SHIFT
) -> Area:
    """Follow the chunks of ``descriptor``.

    Raises:
        DecodeError: more pages than RAM has, a chunk or a run that is not aligned or not in RAM,
            a cycle, or another number of pages than the descriptor's.
    """
    if descriptor.total_pages > ram_size(memory) >> page_shift:
        raise place.error(f"{descriptor.total_pages} pages are more than RAM has")
    wanted, rest = divmod(descriptor.total_pages, 1 << descriptor.order)
    if rest:
        raise place.error(f"{descriptor.total_pages} pages are no runs of order {descriptor.order}")
    runs: list[Block] = []
    chunks: list[int] = []
    for address, addresses in _chunks(memory, descriptor.first, place, page_shift):
        chunks.append(address)
        runs.extend(Block(phys, descriptor.order, page_shift) for phys in addresses)
        if len(runs) > wanted:
            break
    if len(runs) != wanted:
        raise place.error(f"{len(runs)} runs of order {descriptor.order}, not {wanted}")
    _check(memory, runs, place)
    return Area(tuple(runs), tuple(chunks))


def content(memory: Memory, area: Area, size: int, place: Place) -> bytes:
    """The first ``size`` bytes of ``area``.

    Raises:
        DecodeError: it has fewer.
    """
    if size > area.size:
        raise place.error(f"{size} bytes wanted, the area has {area.size}")
    pieces: list[bytes] = []
    for run in area.runs:
        if size <= 0:
            break
        pieces.append(fetch(memory, run.phys, min(size, run.size), place))
        size -= run.size
    return b"".join(pieces)


def _chunks(
    memory: Memory, first: int, place: Place, page_shift: int
) -> Iterator[tuple[int, tuple[int, ...]]]:
    seen: set[int] = set()
    address = first
    while address:
        here = (place / f"chunk[{len(seen)}]").at(address)
        if address in seen or address % (1 << page_shift):
            raise here.error("a chunk is not page aligned, or closes a cycle")
        seen.add(address)
        page = fetch(memory, address, 1 << page_shift, here)
        successor, *runs = (value for (value,) in struct.iter_unpack("<Q", page))
        end = runs.index(0) if 0 in runs else len(runs)
        yield address, tuple(runs[:end])
        address = successor


def _check(memory: Memory, runs: list[Block], place: Place) -> None:
    for index, run in enumerate(runs):
        if run.phys % (1 << run.page_shift) or not is_ram(memory, Range(run.phys, run.size)):
            here = (place / f"run[{index}]").at(run.phys)
            raise here.error(f"a run of order {run.order} is not aligned or not in RAM")
