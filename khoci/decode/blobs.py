"""A handover of which only the components' blobs are known, and no memory."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from khoci.format import subtrees
from khoci.format.checks import Problem
from khoci.format.decoding import Decoding
from khoci.format.errors import Place
from khoci.format.extents import Extents
from khoci.format.handover import Handover, scratch_areas
from khoci.format.memory import Pages
from khoci.format.memorymap import MemoryMap
from khoci.format.ranges import Range, covers, merge
from khoci.format.root import Root, Subtree
from khoci.format.versions import Version

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from khoci.format.components import Component

NO_ROOT = Root(Version("not known", None), None, (), truncated=True)
"""Stands for a root FDT that nobody shows."""

_NOWHERE = 1 << 62
"""Where the blobs are put of which nobody says where they are; no RAM is there."""

_ROOM = 1 << 30


def decode_blobs(
    root: Root,
    blobs: Mapping[str, bytes],
    ram: Sequence[Range],
    page_shift: int,
    *,
    fdt_addr: int | None = None,
    scratch: bytes | None = None,
) -> tuple[Handover, Pages]:
    """Decode the blobs, and nothing that they point to: there is no memory map.

    Args:
        root: may be cut off, and not say where a blob is.
        blobs: by the name of the subtree.
        ram: of the machine.
        page_shift: log2 of the page size in bytes.
        fdt_addr: physical address of the root FDT, if known.
        scratch: the scratch array as it is in memory, if known.

    Returns:
        The handover, and the memory that holds the blobs and no more.
    """
    listed = tuple(_placed(root, blobs))
    memory = _memory(listed, blobs, ram, 1 << page_shift)
    decoding = Decoding(memory, page_shift=page_shift)
    place = Place("root", fdt_addr)
    components = tuple(
        _without_place(subtrees.decode(item, decoding, place / item.name)) for item in listed
    )
    areas, wrong = scratch_areas(scratch, ram)
    problems = (*wrong, *(_elsewhere(item) for item in decoding.problems()))
    return Handover(fdt_addr, root, MemoryMap(), areas, components, problems, page_shift), memory


def _placed(root: Root, blobs: Mapping[str, bytes]) -> Iterator[Subtree]:
    """The subtrees of the root, then those of which only the blob is known."""
    known = {item.name: item for item in root.subtrees}
    for index, name in enumerate({**known, **blobs}):
        item = known.get(name) or Subtree(name, None, len(blobs[name]))
        if item.address is None and name in blobs:
            item = replace(item, address=_NOWHERE + index * _ROOM)
        yield item


def _memory(
    listed: Iterable[Subtree], blobs: Mapping[str, bytes], ram: Sequence[Range], page_size: int
) -> Pages:
    """The blobs where they are, as a partial copy."""
    there = list(ram)
    content: dict[int, bytearray] = {}
    for item in listed:
        blob, address = blobs.get(item.name, b""), item.address or 0
        extent = Range(address, len(blob)).widened(page_size)
        if address >= _NOWHERE:
            there.append(extent)
        if covers(merge(there), extent):
            _write(content, address, blob, page_size)
    pages = {address: bytes(page) for address, page in content.items()}
    return Pages(tuple(there), pages, page_size, partial=True)


def _write(content: dict[int, bytearray], address: int, blob: bytes, page_size: int) -> None:
    while blob:
        offset = address % page_size
        part, blob = blob[: page_size - offset], blob[page_size - offset :]
        page = content.setdefault(address - offset, bytearray(page_size))
        page[offset : offset + len(part)] = part
        address += len(part)


def _without_place(item: Component) -> Component:
    """The component without the addresses that nobody told."""
    if item.address is None or item.address < _NOWHERE:
        return item
    return replace(item, address=None, owned=Extents.of(()))


def _elsewhere(problem: Problem) -> Problem:
    if problem.address is None or problem.address < _NOWHERE:
        return problem
    return replace(problem, address=None)
