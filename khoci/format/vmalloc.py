"""Preserved vmalloc areas (6.18 and later): a descriptor and a list of pages of addresses.

``struct kho_vmalloc`` and ``struct kho_vmalloc_chunk`` of
``include/linux/kho/abi/kexec_handover.h`` (``kernel/kexec_handover.c`` and
``include/linux/kexec_handover.h`` before 7.0). It has no version of its own.

``kho_preserve_vmalloc`` puts an address for each run of ``1 << order`` pages, and begins a new
chunk as soon as one is full: the last chunk always has room, and may be empty.
``kho_restore_vmalloc`` ends a chunk at the first 0, ignores unknown flags, and wants exactly
``total_pages``. 6.18 maps the first page of a run for each of its pages.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from khoci.format.extents import Addresses, Extents
from khoci.format.memory import PAGE_SHIFT, Memory, fetch, ram_size

if TYPE_CHECKING:
    from collections.abc import Iterator

    from khoci.format.errors import Place

DESCRIPTOR_SIZE = 16
FLAGS = {1: "alloc", 2: "huge"}
"""``KHO_VMALLOC_ALLOC`` and ``KHO_VMALLOC_HUGE_VMAP``."""

_DESCRIPTOR = struct.Struct("<QIHH")
_WORD = 8


@dataclass(frozen=True, slots=True)
class Descriptor:
    """What users embed: the first chunk, and how many pages come in runs of ``1 << order``."""

    first: int
    total_pages: int
    flags: int
    order: int


@dataclass(frozen=True, slots=True, eq=False)
class Area:
    """A whole area.

    Attributes:
        flags: bits of `FLAGS`.
        order: log2 of the pages of each run.
        runs: physical addresses of the runs, in order of content.
        chunks: physical addresses of the pages that list them.
        page_shift: log2 of the page size in bytes.
    """

    flags: int
    order: int
    runs: Addresses
    chunks: Addresses
    page_shift: int = PAGE_SHIFT

    @property
    def size(self) -> int:
        """Bytes of content."""
        return len(self.runs) << self._shift

    @property
    def owned(self) -> Extents:
        """All pages that are preserved for the area."""
        page = np.uint64((1 << self.page_shift) - 1)
        first = np.concatenate((self.runs, self.chunks))
        return Extents.merged(first, np.concatenate((self.last, self.chunks + page)))

    @property
    def last(self) -> Addresses:
        """The address of each run's last byte."""
        last: Addresses = self.runs + np.uint64((1 << self._shift) - 1)
        return last

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Area)
            and (self.flags, self._shift) == (other.flags, other._shift)
            and np.array_equal(self.runs, other.runs)
            and np.array_equal(self.chunks, other.chunks)
        )

    __hash__ = None  # type: ignore[assignment]

    @property
    def _shift(self) -> int:
        return self.order + self.page_shift


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
        DecodeError: more pages than RAM has, a chunk or a run that is not page aligned or not in
            RAM, more chunks than are written for so many runs, or another number of pages than
            the descriptor's.
    """
    if descriptor.total_pages > ram_size(memory) >> page_shift:
        raise place.error(f"{descriptor.total_pages} pages are more than RAM has")
    wanted, rest = divmod(descriptor.total_pages, 1 << descriptor.order)
    if rest:
        raise place.error(f"{descriptor.total_pages} pages are no runs of order {descriptor.order}")
    listed = list(_chunks(memory, descriptor.first, wanted, place, page_shift))
    none = np.zeros(0, dtype=np.uint64)
    runs = np.concatenate([none, *(runs for _, runs in listed)])
    if len(runs) != wanted:
        raise place.error(f"{len(runs)} runs of order {descriptor.order}, not {wanted}")
    chunks = np.array([address for address, _ in listed], dtype=np.uint64)
    order = descriptor.order if wanted else 0
    area = Area(descriptor.flags, order, runs, chunks, page_shift)
    _check(memory, area, place)
    return area


def content(memory: Memory, area: Area, size: int, place: Place) -> bytes:
    """The first ``size`` bytes of ``area``.

    Raises:
        DecodeError: it has fewer.
    """
    if size > area.size:
        raise place.error(f"{size} bytes wanted, the area has {area.size}")
    step = 1 << area.order + area.page_shift
    pieces = [
        fetch(memory, address, min(step, size - index * step), place)
        for index, address in enumerate(area.runs[: -(-size // step)].tolist())
    ]
    return b"".join(pieces)


def _chunks(
    memory: Memory, first: int, wanted: int, place: Place, page_shift: int
) -> Iterator[tuple[int, Addresses]]:
    """Address and runs of each chunk; so many as the kernel writes for ``wanted`` runs."""
    most = wanted // ((1 << page_shift) // _WORD - 1) + 1
    address, number = first, 0
    while address:
        here = (place / f"chunk[{number}]").at(address)
        if address % (1 << page_shift):
            raise here.error("a chunk is not page aligned")
        page = np.frombuffer(fetch(memory, address, 1 << page_shift, here), dtype="<u8")
        if number == most:
            raise here.error(f"a cycle, or one more than the {most} chunks of {wanted} runs")
        runs = page[1:]
        ends = np.flatnonzero(runs == 0)
        yield address, runs[: ends[0]] if len(ends) else runs
        address, number = int(page[0]), number + 1


def _check(memory: Memory, area: Area, place: Place) -> None:
    inside = Extents.of(memory.ram).holds(area.runs, area.last) & (area.last >= area.runs)
    aligned = area.runs % np.uint64(1 << area.page_shift) == 0
    for index in np.flatnonzero(~(inside & aligned))[:1].tolist():
        here = (place / f"run[{index}]").at(int(area.runs[index]))
        raise here.error(f"a run of order {area.order} is not aligned or not in RAM")
