"""Digests of preserved blocks: what tells a changed block from a kept one without its content.

A record has 25 bytes, little endian: the physical address (u64), the order (u8), and the 16 bytes
of BLAKE2b (RFC 7693, no key, ``digest_size=16``) over the block's content. Records are sorted by
address, then by order.
"""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from khoci.format.errors import DecodeError, Place
from khoci.format.memory import PAGE_SHIFT, Memory, is_ram, ram_size
from khoci.format.ranges import Range, merge, touched

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

DIGEST_SIZE = 16
RECORD = struct.Struct("<QB16s")
WINDOW = 1 << 20


@dataclass(frozen=True, slots=True, order=True)
class Digest:
    """The digest of ``1 << order`` pages from ``phys`` (bytes)."""

    phys: int
    order: int
    value: bytes


@dataclass(frozen=True, slots=True)
class Digests:
    """Records as they are in a file; make one by `of` or `parse`."""

    packed: bytes = b""

    @classmethod
    def of(cls, found: Iterable[Digest]) -> Digests:
        """The records of ``found``, in any order; of equal blocks one is kept."""
        unique = {(item.phys, item.order): item for item in found}
        ordered = (unique[key] for key in sorted(unique))
        return cls(b"".join(RECORD.pack(item.phys, item.order, item.value) for item in ordered))

    @classmethod
    def parse(cls, raw: bytes, place: Place, page_shift: int = PAGE_SHIFT) -> Digests:
        """Check records that come from outside.

        Raises:
            DecodeError: they are cut off, not in order, or one is of no possible block.
        """
        if len(raw) % RECORD.size:
            raise place.error(f"{len(raw)} bytes are no records of {RECORD.size}")
        previous = (-1, 0)
        for phys, order, _ in RECORD.iter_unpack(raw):
            if (phys, order) <= previous:
                raise place.error(f"the record of {phys:#x} is not in order")
            if phys + (1 << min(order + page_shift, 65)) > 1 << 64:
                raise place.error(f"the block at {phys:#x} of order {order} leaves 64 bits")
            previous = (phys, order)
        return cls(raw)

    def __len__(self) -> int:
        return len(self.packed) // RECORD.size

    def __iter__(self) -> Iterator[Digest]:
        for record in RECORD.iter_unpack(self.packed):
            yield Digest(*record)


def digests(
    memory: Memory, blocks: Iterable[tuple[int, int]], page_shift: int = PAGE_SHIFT
) -> Digests:
    """Digest each block that is all in RAM; another one has no content to prove.

    Args:
        memory: a whole one: what `Memory.data` leaves out counts as zeros.
        blocks: physical address in bytes and order of each.
        page_shift: log2 of the page size in bytes.

    Raises:
        DecodeError: the blocks overlap so much that they hold more bytes than RAM.
    """
    reader = _Reader(memory, page_shift)
    found = ((phys, order, reader.digest(phys, order)) for phys, order in blocks)
    return Digests.of(Digest(phys, order, value) for phys, order, value in found if value)


def changed(before: Digests, memory: Memory, page_shift: int = PAGE_SHIFT) -> list[tuple[int, int]]:
    """Address and order of each block whose content in ``memory`` is another, or out of RAM.

    Raises:
        DecodeError: see `digests`.
    """
    reader = _Reader(memory, page_shift)
    return [
        (item.phys, item.order)
        for item in before
        if reader.digest(item.phys, item.order) != item.value
    ]


@dataclass(slots=True)
class _Reader:
    """Reads blocks of ``memory``; ``left`` bounds the bytes it still hashes."""

    memory: Memory
    page_shift: int
    zeros: dict[int, bytes] = field(default_factory=dict)
    data: tuple[Range, ...] = field(init=False)
    left: int = field(init=False)

    def __post_init__(self) -> None:
        self.data = merge(self.memory.data())
        self.left = ram_size(self.memory)

    def digest(self, phys: int, order: int) -> bytes | None:
        """The block's digest, None if it is not all in RAM."""
        block = Range(phys, 1 << (order + self.page_shift))
        if not is_ram(self.memory, block):
            return None
        if touched(self.data, block):
            return self._hashed(block)
        if order not in self.zeros:
            self.zeros[order] = self._hashed(block)
        return self.zeros[order]

    def _hashed(self, block: Range) -> bytes:
        self.left -= block.size
        if self.left < 0:
            message = "the blocks up to this one hold more bytes than RAM"
            raise DecodeError(message, where="digests", address=block.start)
        state = hashlib.blake2b(digest_size=DIGEST_SIZE)
        for start in range(block.start, block.end, WINDOW):
            state.update(self._content(Range(start, min(WINDOW, block.end - start))))
        return state.digest()

    def _content(self, part: Range) -> bytes:
        if touched(self.data, part):
            return self.memory.read(part.start, part.size)
        return bytes(part.size)
