"""Faults of the memory map: chunks and bitmaps of ``kho-v1``, the radix tree from ``kho-v3`` on.

``kernel/kexec_handover.c`` (``kernel/liveupdate/`` from 6.19 on), read by ``kho_mem_deserialize``,
``kho_radix_walk_tree`` from 7.1 on.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from khoci.fault.base import Fault, NotApplicableError, Write
from khoci.fault.patching import OUTSIDE, field, word
from khoci.format.bitmaps import layout_named
from khoci.format.blocks import Block
from khoci.format.handover import Handover
from khoci.format.memory import PAGE_SHIFT, PAGE_SIZE, Memory
from khoci.format.radix import Geometry

_T = TypeVar("_T")
_CHUNK = struct.Struct("<QII")
_ENTRY = struct.Struct("<QQ")
_ABSURD = 63
_GEOMETRY = Geometry(PAGE_SHIFT)
_CHILDREN = PAGE_SIZE // 8
_MOST = 10000


@dataclass(frozen=True)
class _Bitmap:
    """An entry of a chunk: where it is, and what it says."""

    at: int
    order: int
    start: int
    bitmap: int


@dataclass(frozen=True)
class _Leaf:
    """A leaf of the radix tree: where it is, the pointer to it, and the key of its first bit."""

    at: int
    pointer: int
    key: int


def _pointer(handover: Handover) -> int:
    if not handover.root.memory_map:
        raise NotApplicableError("the root has no memory map")
    return handover.root.memory_map


def _first_chunk(handover: Handover) -> int:
    if handover.family in (None, "radix"):
        raise NotApplicableError("its memory map has no chunks")
    return _pointer(handover)


def _root_node(handover: Handover) -> int:
    if handover.family != "radix":
        raise NotApplicableError("its memory map is no radix tree")
    return _pointer(handover)


def _bitmaps(memory: Memory, handover: Handover) -> Iterator[_Bitmap]:
    chunk = _first_chunk(handover)
    for _ in range(_MOST):
        following, order, count = _CHUNK.unpack(memory.read(chunk, _CHUNK.size))
        for index in range(count):
            at = chunk + _CHUNK.size + index * _ENTRY.size
            yield _Bitmap(at, order, *_ENTRY.unpack(memory.read(at, _ENTRY.size)))
        if not following:
            return
        chunk = following


def _leaves(memory: Memory, handover: Handover) -> Iterator[_Leaf]:
    return _below(memory, _root_node(handover), 0, _GEOMETRY.depth - 1, 0)


def _below(memory: Memory, node: int, pointer: int, level: int, key: int) -> Iterator[_Leaf]:
    if level == 0:
        yield _Leaf(node, pointer, key)
        return
    for index in range(_CHILDREN):
        at = node + 8 * index
        child = int.from_bytes(memory.read(at, 8), "little")
        if child:
            yield from _below(memory, child, at, level - 1, key | index << _GEOMETRY.shift(level))


def _victim(handover: Handover) -> Block:
    """A block of reserved memory that nobody uses before user space asks."""
    reserved = handover.reserve_mem
    for region in reserved.regions if reserved else ():
        for block in handover.map.blocks:
            if region.start <= block.phys < region.start + region.size:
                return block
    raise NotApplicableError("there is no region of reserve_mem")


def _bit_of(memory: Memory, handover: Handover, block: Block) -> tuple[int, int]:
    """The address of the byte and the number of the bit that preserve ``block``."""
    if handover.family == "radix":
        key = _GEOMETRY.encode(block)
        for leaf in _leaves(memory, handover):
            bit = key - leaf.key
            if 0 <= bit < 1 << _GEOMETRY.leaf_bits:
                return leaf.at + bit // 8, bit % 8
    elif handover.family:
        size = layout_named(handover.family).bitmap_size() * 8
        for item in _bitmaps(memory, handover):
            bit = (block.phys - item.start) >> (item.order + PAGE_SHIFT)
            if item.order == block.order and 0 <= bit < size:
                return item.bitmap + bit // 8, bit % 8
    raise NotApplicableError(f"the bit of the block at {block.phys:#x} is not found")


def _bit_cleared(memory: Memory, handover: Handover) -> tuple[Write, ...]:
    _pointer(handover)
    block = _victim(handover)
    at, bit = _bit_of(memory, handover, block)
    new = bytes([memory.read(at, 1)[0] & ~(1 << bit)])
    return (field(memory, at, new, f"the bit of the block at {block.phys:#x}"),)


def _block_outside(memory: Memory, handover: Handover) -> tuple[Write, ...]:
    if handover.family == "radix":
        leaf = _last(_leaves(memory, handover))
        last = leaf.at + PAGE_SIZE - 1
        return (field(memory, last, b"\x80", "the last bit of a leaf"),)
    item = _last(_bitmaps(memory, handover))
    return (word(memory, item.at, OUTSIDE, "phys_start of a bitmap"),)


def _pointer_outside(memory: Memory, handover: Handover) -> tuple[Write, ...]:
    if handover.family == "radix":
        leaf = _last(_leaves(memory, handover))
        return (word(memory, leaf.pointer, OUTSIDE, "the pointer to a leaf"),)
    item = _last(_bitmaps(memory, handover))
    return (word(memory, item.at + 8, OUTSIDE, "the pointer to a bitmap"),)


def _cycle(memory: Memory, handover: Handover) -> tuple[Write, ...]:
    if handover.family == "radix":
        leaf, root = _last(_leaves(memory, handover)), _root_node(handover)
        return (word(memory, leaf.pointer, root, "the pointer to a leaf"),)
    first = _first_chunk(handover)
    return (word(memory, first, first, "next of the first chunk"),)


def _next_outside(memory: Memory, handover: Handover) -> tuple[Write, ...]:
    return (word(memory, _first_chunk(handover), OUTSIDE, "next of the first chunk"),)


def _order_absurd(memory: Memory, handover: Handover) -> tuple[Write, ...]:
    order = _ABSURD.to_bytes(4, "little")
    return (field(memory, _first_chunk(handover) + 8, order, "order of the first chunk"),)


def _count_huge(memory: Memory, handover: Handover) -> tuple[Write, ...]:
    return (field(memory, _first_chunk(handover) + 12, b"\xff\xff\xff\x0f", "num_elms"),)


def _last(items: Iterator[_T]) -> _T:
    found = list(items)
    if not found:
        raise NotApplicableError("its memory map is empty")
    return found[-1]


def _fault(
    name: str, summary: str, apply: Callable[[Memory, Handover], tuple[Write, ...]]
) -> Fault:
    return Fault(name, summary, "memory map", "reserve-mem", apply)


FAULTS = (
    _fault("map-bit-cleared", "the bit of a reserved block is cleared", _bit_cleared),
    _fault("map-block-outside", "a block is preserved that is not in RAM", _block_outside),
    _fault("map-pointer-outside", "a bitmap or leaf is not in RAM", _pointer_outside),
    _fault("map-cycle", "a chunk or node points back to the first", _cycle),
    _fault("map-next-outside", "the next chunk is not in RAM", _next_outside),
    _fault("map-order-absurd", "a chunk is for blocks of 2^63 pages", _order_absurd),
    _fault("map-count-huge", "a chunk has 2^28 entries", _count_huge),
)
