"""Guest memory as the decoders see it: one small protocol, and two implementations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from khoci.format.errors import DecodeError, Place
from khoci.format.ranges import Range, common, covers, merge

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

PAGE_SHIFT = 12
PAGE_SIZE = 1 << PAGE_SHIFT
_MERGE_AT = 1024


class Memory(Protocol):
    """Physical memory of a guest that stands still."""

    @property
    def ram(self) -> tuple[Range, ...]:
        """The RAM as `ranges.merge` returns it; sizes in bytes."""

    def read(self, phys: int, size: int) -> bytes:
        """Exactly ``size`` bytes from ``phys``.

        Raises:
            DecodeError: not all of them are RAM.
        """

    def data(self) -> Iterator[Range]:
        """The extents of RAM that may hold anything but zeros, in ascending order."""


def fetch(memory: Memory, phys: int, size: int, place: Place) -> bytes:
    """Read ``size`` bytes at ``phys`` for the thing at ``place``.

    Raises:
        DecodeError: naming ``place``, if not all of them are RAM.
    """
    if not is_ram(memory, Range(phys, size)):
        raise place.at(phys).error(f"{size} bytes are not all in RAM")
    return memory.read(phys, size)


def is_ram(memory: Memory, wanted: Range) -> bool:
    """Whether every byte of ``wanted`` is RAM."""
    return covers(memory.ram, wanted)


def ram_size(memory: Memory) -> int:
    """Bytes of RAM: the bound of every count that is read from it."""
    return sum(item.size for item in memory.ram)


def ram_end(memory: Memory) -> int:
    """The first address behind all RAM."""
    return max((item.end for item in memory.ram), default=0)


class Pages:
    """Sparse memory of a dictionary of pages."""

    def __init__(
        self,
        ram: tuple[Range, ...],
        pages: Mapping[int, bytes],
        page_size: int = PAGE_SIZE,
        *,
        partial: bool = False,
    ) -> None:
        """Take ``pages`` by aligned physical address, each of ``page_size`` bytes.

        RAM in no page reads as zeros, or not at all if these are a ``partial`` copy of a memory.
        """
        self.ram = merge(ram)
        self.pages = dict(sorted(pages.items()))
        self.page_size = page_size
        self._partial = partial

    def read(self, phys: int, size: int) -> bytes:
        """See `Memory.read`.

        Raises:
            DecodeError: see there; or a page is not in the copy.
        """
        if size < 0 or not covers(self.ram, Range(phys, size)):
            message = f"{size} bytes are not all in RAM"
            raise DecodeError(message, where="memory", address=phys)
        return b"".join(self._pieces(phys, phys + size))

    def _pieces(self, start: int, end: int) -> Iterator[bytes]:
        while start < end:
            offset = start % self.page_size
            size = min(end - start, self.page_size - offset)
            yield self._page(start - offset)[offset : offset + size]
            start += size

    def _page(self, address: int) -> bytes:
        page = self.pages.get(address)
        if page is None and self._partial:
            raise DecodeError("the page is not in this copy", where="memory", address=address)
        return bytes(self.page_size) if page is None else page

    def data(self) -> Iterator[Range]:
        """See `Memory.data`."""
        for extent in merge(Range(address, self.page_size) for address in self.pages):
            yield from common(self.ram, extent)


class Recorder:
    """A memory that remembers which pages were read: what a capture has to keep.

    Wrap the memory for the decoding only: a search of all data reads, and so keeps, everything.
    """

    def __init__(self, memory: Memory, page_size: int = PAGE_SIZE) -> None:
        self._memory = memory
        self._page_size = page_size
        self._read: list[Range] = []
        self._limit = _MERGE_AT

    @property
    def ram(self) -> tuple[Range, ...]:
        """See `Memory.ram`."""
        return self._memory.ram

    def read(self, phys: int, size: int) -> bytes:
        """See `Memory.read`."""
        content = self._memory.read(phys, size)
        if not (self._read and self._read[-1].contains(phys, size)):
            self._note(Range(phys, size).widened(self._page_size))
        return content

    def data(self) -> Iterator[Range]:
        """See `Memory.data`."""
        return self._memory.data()

    def recorded(self) -> Pages:
        """Every page of which a byte was read, whole, as a partial memory of its own."""
        addresses = (
            address
            for extent in merge(self._read)
            for address in range(extent.start, extent.end, self._page_size)
        )
        pages = {address: self._page(address) for address in addresses}
        return Pages(self.ram, pages, self._page_size, partial=True)

    def _note(self, pages: Range) -> None:
        """Keep the list as short as what was read is fragmented."""
        self._read.append(pages)
        if len(self._read) > self._limit:
            self._read = list(merge(self._read))
            self._limit = 2 * len(self._read) + _MERGE_AT

    def _page(self, address: int) -> bytes:
        whole = Range(address, self._page_size)
        if is_ram(self._memory, whole):
            return self._memory.read(address, self._page_size)
        page = bytearray(self._page_size)
        for part in common(self.ram, whole):
            content = self._memory.read(part.start, part.size)
            page[part.start - address : part.end - address] = content
        return bytes(page)
