"""Where a handover may be, in memory of which nobody says where to look.

A root FDT is found by a hand-off that points to it, or else by what its page begins with. A dump
can hold several: what this kernel was given, what it hands over, and what is left of older ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from khoci.format import fdt, handoff
from khoci.format.errors import DecodeError, Place
from khoci.format.extents import Extents
from khoci.format.memory import PAGE_SIZE, ram_size
from khoci.format.ranges import Range

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from khoci.format.blocks import Blocks
    from khoci.format.handoff import Chosen
    from khoci.format.memory import Memory

MAX_DEVICE_TREE = 2 << 20
"""Bytes of the largest device tree: ``MAX_FDT_SIZE`` of arm64."""

_WINDOW = 8 << 20


@dataclass(frozen=True, slots=True)
class Candidate:
    """A root FDT that could be decoded.

    Attributes:
        fdt_addr: its physical address.
        scratch: where the scratch array is and its bytes, None if only the page itself was found.
        found: what points to it, for people; that of the page itself is last.
    """

    fdt_addr: int
    scratch: Range | None
    found: tuple[str, ...]


def candidates(memory: Memory) -> tuple[Candidate, ...]:
    """Every root FDT in ``memory``: those with a hand-off first, then by address.

    A device tree is found if it lies in one piece and begins a page. At the jump it does not where
    it will be used, but the producer keeps the buffer that it was made in. Of all device trees
    together no more bytes are read than RAM has.
    """
    pages = list(_magic(memory, memory.data()))
    roots = [address for address in pages if _is_root(memory, address)]
    pointers = [*_setup_data(memory), *_device_trees(memory, set(pages).difference(roots))]
    found: dict[tuple[int, Range | None], list[str]] = {}
    for text, fdt_addr, scratch in pointers:
        found.setdefault((fdt_addr, scratch), []).append(text)
    pointed = {fdt_addr for fdt_addr, _ in found}
    alone = (Candidate(address, None, ("its page",)) for address in roots if address not in pointed)
    return (*(Candidate(*key, (*texts, "its page")) for key, texts in found.items()), *alone)


def roots_among(memory: Memory, blocks: Blocks) -> tuple[int, ...]:
    """The addresses of the root FDTs in blocks of order 0.

    A root FDT's own page is one of the preserved: so it is found where only its map is known.
    """
    extents = blocks[blocks.order == 0].extents & Extents.of(memory.data())
    return tuple(item for item in _magic(memory, extents) if _is_root(memory, item))


_Pointer = tuple[str, int, Range | None]


def _setup_data(memory: Memory) -> Iterator[_Pointer]:
    for item in handoff.find_handoffs(memory):
        at = ", ".join(f"{address:#x}" for address in item.seen)
        yield f"setup_data at {at}", item.fdt_addr, Range(item.scratch_addr, item.scratch_size)


def _device_trees(memory: Memory, addresses: Iterable[int]) -> Iterator[_Pointer]:
    left = ram_size(memory)
    for address in sorted(addresses):
        chosen = _chosen(memory, address, min(left, MAX_DEVICE_TREE))
        left -= min(left, _claimed(memory, address))
        if chosen and _is_root(memory, chosen.fdt_addr):
            scratch = Range(chosen.scratch_addr, chosen.scratch_size)
            yield f"/chosen of the device tree at {address:#x}", chosen.fdt_addr, scratch


def _chosen(memory: Memory, address: int, limit: int) -> Chosen | None:
    try:
        return handoff.parse_chosen(fdt.read(memory, address, Place("device tree"), limit).root)
    except DecodeError:
        return None


def _claimed(memory: Memory, address: int) -> int:
    """How many bytes had to be read of a tree: one that claims more than allowed is not."""
    size = int.from_bytes(memory.read(address, 8)[4:], "big")
    return size if size <= MAX_DEVICE_TREE else 0


def _is_root(memory: Memory, address: int) -> bool:
    try:
        return handoff.is_root(memory, address)
    except DecodeError:
        return False


def _magic(memory: Memory, extents: Iterable[Range]) -> Iterator[int]:
    """The pages that begin as an FDT does, in ascending order."""
    for extent in extents:
        for start in range(extent.start, extent.end, _WINDOW):
            window = memory.read(start, min(_WINDOW, extent.end - start))
            yield from _magic_in(window, start)


def _magic_in(window: bytes, start: int) -> Iterator[int]:
    position = window.find(fdt.MAGIC)
    while position >= 0:
        if (start + position) % PAGE_SIZE == 0:
            yield start + position
        position = window.find(fdt.MAGIC, position + 1)
