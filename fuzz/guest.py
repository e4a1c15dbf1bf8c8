"""A guest as a fuzzer sees it: a few pages, the RAM around them, and the decoder's arguments."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from khoci.format.memory import Pages
from khoci.format.ranges import Range, merge

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

MAX_RAM = 1 << 30
"""Bytes of RAM: time and memory are bounded by it, so a guest may not claim more."""
_SHIFTS = (12, 14, 16)
_HEADER = struct.Struct("<BBB")
_WORD = struct.Struct("<Q")
_PAIR = struct.Struct("<QQ")
_PAGE = struct.Struct("<QI")


@dataclass
class Guest:
    """Mutable, so that a mutator can change it in place.

    Addresses and sizes are bytes. Pages are aligned to their size of ``1 << page_shift``.
    """

    ram: list[Range]
    pages: dict[int, bytearray]
    args: list[int] = field(default_factory=list)
    page_shift: int = 12

    @classmethod
    def of(cls, pages: Pages, args: Sequence[int]) -> Guest:
        """The guest of a decoder's memory."""
        content = {address: bytearray(page) for address, page in pages.pages.items()}
        shift = pages.page_size.bit_length() - 1
        return cls(list(pages.ram), content, list(args), shift)

    @classmethod
    def parse(cls, data: bytes) -> Guest:
        """Any bytes are a guest: what is cut off is zeros, what is too much is cut off."""
        reader = _Reader(data)
        shift, args, ram = reader.take(_HEADER)
        guest = cls([], {}, [], _SHIFTS[shift % len(_SHIFTS)])
        guest.args = [reader.take(_WORD)[0] for _ in range(args)]
        guest.ram = list(_bounded([Range(*reader.take(_PAIR)) for _ in range(ram)]))
        for address, page in reader.pages(1 << guest.page_shift):
            guest.pages[address] = page
        return guest

    def pack(self) -> bytes:
        """The bytes that `parse` takes; zeros at the end of a page are left out."""
        args, ram = self.args[:255], list(_bounded(self.ram))[:255]
        parts = [_HEADER.pack(_SHIFTS.index(self.page_shift), len(args), len(ram))]
        parts += [_WORD.pack(arg) for arg in args]
        parts += [_PAIR.pack(item.start, item.size) for item in ram]
        for address, page in sorted(self.pages.items()):
            content = bytes(page.rstrip(b"\0"))
            parts += [_PAGE.pack(address, len(content)), content]
        return b"".join(parts)

    def memory(self) -> Pages:
        """What a decoder gets."""
        pages = {address: bytes(page) for address, page in self.pages.items()}
        return Pages(tuple(self.ram), pages, 1 << self.page_shift)

    def arg(self, index: int) -> int:
        """An argument; 0 if it was cut off."""
        return self.args[index] if index < len(self.args) else 0


def _bounded(ram: Sequence[Range]) -> Iterator[Range]:
    """RAM in whole pages of any size, that ends within 64 bits and is not too large."""
    left, mask = MAX_RAM, ~0xFFFF
    for item in merge(Range(item.start & mask, item.size & mask) for item in ram):
        size = min(item.size, left, (1 << 64) - item.start)
        if size > 0:
            left -= size
            yield Range(item.start, size)


class _Reader:
    """Consumes bytes; behind their end are zeros."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._position = 0

    def take(self, layout: struct.Struct) -> tuple[int, ...]:
        return layout.unpack(self._bytes(layout.size))

    def pages(self, page_size: int) -> Iterator[tuple[int, bytearray]]:
        while self._position < len(self._data):
            address, size = self.take(_PAGE)
            content = self._bytes(min(size, page_size)).ljust(page_size, b"\0")
            yield address & -page_size, bytearray(content)

    def _bytes(self, size: int) -> bytes:
        content = self._data[self._position : self._position + size]
        self._position += size
        return content.ljust(size, b"\0")
