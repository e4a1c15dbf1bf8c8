"""From a decoded handover to the facts that verdicts need. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from khoci.compat.facts import Handed
from khoci.format import bitmaps
from khoci.format.errors import DecodeError, Place
from khoci.format.handover import BITMAPS, Handover, owned
from khoci.format.memory import Memory
from khoci.format.ranges import Range, merge

_FIRST = ("root", "memory map", "scratch")
_MOST_MISREAD = 64


def summary(handover: Handover) -> Handed:
    """What was handed over, in the terms of the report."""
    metadata, luo, reserved = handover.metadata, handover.luo, handover.reserve_mem
    return Handed(
        version=str(handover.version),
        layout=_layout(handover),
        components=(*_FIRST, *(component.name for component in handover.components)),
        blocks=len(handover.blocks),
        size=sum(block.size for block in handover.blocks),
        scratch=tuple((area.start, area.size) for area in handover.scratch)
        if handover.scratch
        else None,
        reserve_mem=tuple(region.name for region in reserved.regions) if reserved else (),
        luo_number=luo.number if luo else None,
        luo_sessions=luo.sessions if luo else None,
        release=metadata.previous_release if metadata else None,
        problems=tuple(f"{item.where}: {item.message}" for item in handover.problems),
    )


def _layout(handover: Handover) -> str:
    if handover.family is None:
        return "none"
    decision = handover.map.decision
    doubt = "" if decision is None or decision.sure else " (not certain)"
    return f"{handover.family}{doubt}"


def regions(handover: Handover) -> list[tuple[str, Range]]:
    """Every preserved region with its owner, in whole pages.

    Of ``reserve_mem`` each region by its own name. The first page of a component's blob is there
    once more as ``NAME blob``: it stays where it is, whatever becomes of the rest.
    """
    named = handover.reserve_mem.regions if handover.reserve_mem else ()
    page = 1 << handover.page_shift
    blobs = [
        (f"{component.name} blob", Range(component.subtree.address, 1).widened(page))
        for component in handover.components
        if component.subtree.address is not None
    ]
    rest = [
        (owner, item)
        for owner, items in owned(handover).items()
        if owner != "reserve_mem"
        for item in items
    ]
    return [*rest, *blobs, *((f"reserve_mem {item.name}", item.range) for item in named)]


def misread(memory: Memory, handover: Handover) -> list[Range]:
    """Memory that only the other bitmap layout of ``kho-v1`` would call preserved.

    A consumer that reserves it reads the map wrongly. At most 64 ranges, the largest first.
    """
    pointer = handover.root.memory_map
    if handover.version not in BITMAPS or not pointer or handover.family is None:
        return []
    place = Place("root/preserved-memory-map", pointer)
    other = next(layout for layout in bitmaps.Layout if layout.value != handover.family)
    try:
        entries = bitmaps.entries(memory, pointer, place, handover.page_shift)
        runs = bitmaps.listing(memory, entries, other, place, handover.page_shift)
    except DecodeError:
        return []
    right = merge(block.range for block in handover.blocks)
    ram = merge(memory.ram)
    read = (part for run in runs for part in _without(run.range, _gaps(ram)))
    gained = merge(part for item in read for part in _without(item, right))
    return sorted(gained, key=lambda item: -item.size)[:_MOST_MISREAD]


def _gaps(ram: Sequence[Range]) -> list[Range]:
    """Everything that is not RAM."""
    ends = [0, *(item.end for item in ram)]
    starts = [*(item.start for item in ram), 1 << 64]
    return [Range(end, start - end) for end, start in zip(ends, starts, strict=True)]


def _without(item: Range, taken: Sequence[Range]) -> Iterator[Range]:
    """The parts of ``item`` that are in none of ``taken``, which is sorted and merged."""
    start = item.start
    for other in taken:
        if other.start >= item.end:
            break
        if other.end > start:
            if other.start > start:
                yield Range(start, other.start - start)
            start = max(start, other.end)
    if start < item.end:
        yield Range(start, item.end - start)
