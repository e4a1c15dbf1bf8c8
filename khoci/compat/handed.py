"""From a decoded handover to the facts that verdicts need. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from khoci.compat.facts import Handed
from khoci.format.components import Component, union, walk
from khoci.format.errors import Place
from khoci.format.extents import Extents
from khoci.format.handover import Handover
from khoci.format.memory import Memory
from khoci.format.memorymap import BITMAPS
from khoci.format.ownership import ROOT, assign
from khoci.format.radix import NAME
from khoci.format.ranges import Range
from khoci.format.reading import Reader, read_as
from khoci.format.root import MEMORY_MAP

FIRST = ("root", "memory map", "scratch")
"""What every handover has, whatever was preserved, by the names of the report."""

PARTS = ("vmalloc", "block")
"""What is always a part of something else, and has no reader of its own."""

_BLOBS = ("kho_test", "luo")
_MOST_MISREAD = 64
_NOTHING = Extents.of(())


def summary(handover: Handover) -> Handed:
    """What was handed over, in the terms of the report."""
    metadata, luo, reserved = handover.metadata, handover.luo, handover.reserve_mem
    return Handed(
        version=str(handover.version),
        layout=_layout(handover),
        components=present(handover),
        blocks=len(handover.map.blocks),
        size=handover.map.blocks.size,
        scratch=tuple((area.start, area.size) for area in handover.scratch)
        if handover.scratch
        else None,
        reserve_mem=tuple(region.name for region in reserved.regions) if reserved else (),
        luo_number=luo.number if luo else None,
        luo_sessions=luo.sessions if luo else None,
        release=metadata.previous_release if metadata else None,
        kexecs=metadata.kexec_count if metadata else None,
        problems=tuple(f"{item.where}: {item.message}" for item in handover.problems),
        versions=_versions(handover),
    )


def present(handover: Handover) -> tuple[str, ...]:
    """The components of a handover, in the order of the report; `PARTS` at the end."""
    top = (component.name for component in handover.components)
    return (*dict.fromkeys((*FIRST, *top, *kinds(handover), *parts(handover))),)


def _versions(handover: Handover) -> dict[str, str]:
    """The version string of the root, and of the first of each component that has one."""
    found = {ROOT: str(handover.version)}
    for _, item in walk(handover.components):
        if item.version is not None:
            found.setdefault(item.name, str(item.version))
    return found


def _layout(handover: Handover) -> str:
    if handover.family is None:
        return "none"
    decision = handover.map.decision
    doubt = "" if decision is None or decision.sure else " (not certain)"
    return f"{handover.family}{doubt}"


def regions(handover: Handover) -> list[tuple[str, Range]]:
    """All memory that is preserved or has to be, in whole pages; each byte with its one owner.

    A component's name, of ``reserve_mem`` with that of the region. What has no reader of its own
    belongs to its user: a vmalloc area to the file, a block to its sessions or files. The page
    that an entry of the root points to is apart in ``kho_test blob`` and ``luo blob``, because
    readers treat it otherwise. The memory of a block that nobody needs is its owner's too, or an
    ``orphan``.
    """
    owned = owners(handover)
    everything = union(owned.values())
    assigned = assign(handover.map.blocks, owned)
    rest = {name: assigned.of(name).extents - everything for name in assigned.names}
    whole = {name: union((owned.get(name, _NOTHING), rest[name])) for name in assigned.names}
    return [(owner, item) for owner, extents in whole.items() for item in extents]


@dataclass(frozen=True, slots=True)
class Region:
    """Memory of one owner; ``mapped``: the memory map lists it, so that it is preserved."""

    owner: str
    range: Range
    mapped: bool


def regions_in(handover: Handover, ram: Iterable[Range]) -> list[Region]:
    """`regions` as far as they are RAM: a broken handover may name any address."""
    listed, present = handover.map.blocks.extents, Extents.of(ram)
    found = []
    for owner, item in regions(handover):
        real = Extents.of([item]) & present
        pieces = ((real & listed, True), (real - listed, False))
        found += [Region(owner, piece, mapped) for part, mapped in pieces for piece in part]
    return found


def outside(handover: Handover, ram: Iterable[Range]) -> tuple[str, ...]:
    """A line for each owner that names memory which is no RAM."""
    present, found = Extents.of(ram), dict[str, Range]()
    for owner, item in regions(handover):
        for piece in Extents.of([item]) - present:
            found.setdefault(owner, piece)
    return tuple(f"{owner}: {item.start:#x} is not RAM" for owner, item in found.items())


def owners(handover: Handover) -> dict[str, Extents]:
    """What each owner needs of the memory, by the names of `regions`."""
    return _apart(_owned(handover))


def _owned(handover: Handover) -> Iterator[tuple[str, Extents]]:
    """Who needs what, what is to be cut out of the rest first."""
    page = 1 << handover.page_shift
    if handover.fdt_addr is not None:
        yield ROOT, Extents.of([Range(handover.fdt_addr, page)])
    for component in handover.components:
        if component.name in _BLOBS and component.address is not None:
            blob = Range(component.address, 1).widened(page)
            yield f"{component.name} blob", Extents.of([blob])
    for component in handover.components:
        yield from _below(component, component.name)


def _below(component: Component, above: str) -> Iterator[tuple[str, Extents]]:
    owner = above if component.name in PARTS else component.name
    if component.name == "reserve_mem" and component.label:
        owner = f"reserve_mem {component.label}"
    yield owner, component.owned
    for child in component.children:
        yield from _below(child, owner)


def _apart(owned: Iterable[tuple[str, Extents]]) -> dict[str, Extents]:
    """The memory of each owner, without what is one's before it."""
    pieces: dict[str, list[Extents]] = {}
    for owner, extents in owned:
        pieces.setdefault(owner, []).append(extents)
    found, taken = dict[str, Extents](), _NOTHING
    for owner, items in pieces.items():
        found[owner] = union(items) - taken
        taken = union((taken, found[owner]))
    return found


def kinds(handover: Handover) -> dict[str, list[Component]]:
    """What has a name of its own inside of LUO: sessions, files by their kind, FLBs."""
    found: dict[str, list[Component]] = {}
    for component in handover.components:
        for _, item in walk(component.children):
            if component.name == "luo" and item.name not in PARTS and not _is_page(item):
                found.setdefault(item.name, []).append(item)
    return found


def _is_page(component: Component) -> bool:
    """Whether it is the page of the FLBs, which LUO always hands over, and none of them."""
    return component.name == "flb" and not component.label


def parts(handover: Handover) -> list[str]:
    """Those of `PARTS` that are in the handover."""
    present = {item.name for _, item in walk(handover.components)}
    return [name for name in PARTS if name in present]


def misread(memory: Memory, handover: Handover) -> list[Range]:
    """Memory that only another release's bitmap layout of ``kho-v1`` would call preserved.

    A consumer that reserves it reads the map wrongly. At most 64 ranges, the largest first.
    """
    pointer = handover.root.memory_map
    if handover.version not in BITMAPS or not pointer or (handover.family or NAME).startswith(NAME):
        return []
    place = Place(f"root/{MEMORY_MAP}", pointer)
    others = (reader for reader in (Reader.A, Reader.B) if reader.value != handover.family)
    found = (
        read_as(memory, pointer, other, place, handover.page_shift, int_sizes=False)
        for other in others
    )
    listed = union(reading.blocks.extents for reading in found if not reading.error)
    gained = (listed & Extents.of(memory.ram)) - handover.map.blocks.extents
    return sorted(gained, key=lambda item: -item.size)[:_MOST_MISREAD]
