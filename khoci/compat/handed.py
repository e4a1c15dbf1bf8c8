"""From a decoded handover to the facts that verdicts need. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from khoci.compat.facts import Handed
from khoci.format.components import Component, whole
from khoci.format.errors import Place
from khoci.format.extents import Extents
from khoci.format.handover import Handover, owned
from khoci.format.memory import Memory
from khoci.format.memorymap import BITMAPS
from khoci.format.ownership import ROOT
from khoci.format.ranges import Range
from khoci.format.reading import Reader, read_as
from khoci.format.root import MEMORY_MAP

FIRST = ("root", "memory map", "scratch")
"""What every handover has, whatever was preserved, by the names of the report."""

_MOST_MISREAD = 64


def summary(handover: Handover) -> Handed:
    """What was handed over, in the terms of the report."""
    metadata, luo, reserved = handover.metadata, handover.luo, handover.reserve_mem
    return Handed(
        version=str(handover.version),
        layout=_layout(handover),
        components=(*FIRST, *(component.name for component in handover.components)),
        blocks=len(handover.map.blocks),
        size=handover.map.blocks.size,
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
        (f"{component.name} blob", Range(component.address, 1).widened(page))
        for component in handover.components
        if component.address is not None
    ]
    rest = [(owner, item) for owner, extents in _owners(handover) for item in extents]
    return [*rest, *blobs, *((f"reserve_mem {item.name}", item.range) for item in named)]


def _owners(handover: Handover) -> Iterator[tuple[str, Extents]]:
    """All that the root and each component but ``reserve_mem`` need, with what is below it."""
    yield ROOT, owned(handover).get(ROOT, Extents.of(()))
    names = dict.fromkeys(item.name for item in handover.components)
    for name in names:
        if name != "reserve_mem":
            yield name, whole(_named(handover, name))


def _named(handover: Handover, name: str) -> Iterator[Component]:
    return (item for item in handover.components if item.name == name)


def misread(memory: Memory, handover: Handover) -> list[Range]:
    """Memory that only the other bitmap layout of ``kho-v1`` would call preserved.

    A consumer that reserves it reads the map wrongly. At most 64 ranges, the largest first.
    """
    pointer = handover.root.memory_map
    if handover.version not in BITMAPS or not pointer or handover.family is None:
        return []
    other = Reader.B if handover.family == "A" else Reader.A
    place = Place(f"root/{MEMORY_MAP}", pointer)
    found = read_as(memory, pointer, other, place, handover.page_shift, int_sizes=False)
    if found.error:
        return []
    gained = (found.blocks.extents & Extents.of(memory.ram)) - handover.map.blocks.extents
    return sorted(gained, key=lambda item: -item.size)[:_MOST_MISREAD]
