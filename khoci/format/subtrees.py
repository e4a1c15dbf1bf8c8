"""From the subtrees of the root FDT to components: each by the decoder of its name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from khoci.format import fdt, khotest, liveupdate, memblock, metadata
from khoci.format.checks import Problem
from khoci.format.components import Component, vmalloc_component
from khoci.format.extents import Extents
from khoci.format.memory import fetch
from khoci.format.ownership import ORPHAN, ROOT
from khoci.format.versions import bare

if TYPE_CHECKING:
    from collections.abc import Callable

    from khoci.format.decoding import Decoding
    from khoci.format.errors import Place
    from khoci.format.fdt import Fdt
    from khoci.format.root import Subtree

MAX_FDT = 4 << 20
"""Bytes of the largest FDT that a subtree can have: the buddy allocator's largest folio."""

_NOTHING = Extents.of(())


@dataclass(frozen=True, slots=True)
class Blob:
    """What a subtree points to; ``size`` in bytes, None up to 7.0."""

    address: int
    size: int | None
    place: Place
    decoding: Decoding

    def tree(self) -> Fdt:
        """The blob as an FDT."""
        limit = MAX_FDT if self.size is None else min(self.size, MAX_FDT)
        return fdt.read(self.decoding.memory, self.address, self.place, limit)

    def pages(self, size: int) -> Extents:
        """The whole pages of ``size`` bytes of the blob."""
        return self.decoding.pages(self.address, size)


def component_name(subtree: str) -> str:
    """The component that a subtree of the root is; if nobody knows it, its own name.

    In quotes if that means something else: there may be a subtree called ``orphan``.
    """
    if subtree in _KNOWN:
        return _KNOWN[subtree][0]
    return repr(subtree) if subtree in _RESERVED else subtree


def decode(subtree: Subtree, decoding: Decoding, place: Place) -> Component:
    """The component of ``subtree``; if it cannot be decoded it owns its blob, as far as known."""
    if subtree.address is None:
        decoding.note(Problem.at(place, "the node does not say where its blob is"))
        return Component(component_name(subtree.name), "", None, None, None, _NOTHING)
    blob = Blob(subtree.address, subtree.size, place.at(subtree.address), decoding)
    if subtree.name not in _KNOWN:
        message = "no decoder knows this subtree: what it owns is not known"
        decoding.note(Problem.at(blob.place, message, "version"))
        return _undecoded(component_name(subtree.name), blob)
    name, decoder = _KNOWN[subtree.name]
    return decoding.tried(blob.place, lambda: decoder(blob)) or _undecoded(name, blob)


def _undecoded(name: str, blob: Blob) -> Component:
    return Component(name, "", blob.address, None, None, blob.pages(blob.size or 1))


def _memblock(blob: Blob) -> Component:
    tree = blob.tree()
    value = memblock.parse(tree.root, blob.place)
    blob.decoding.knows(value.version, memblock.KNOWN, blob.place)
    regions = tuple(_region(item, blob.decoding) for item in value.regions)
    owned = blob.pages(tree.size)
    return Component("reserve_mem", "", blob.address, value.version, value, owned, regions)


def _region(region: memblock.Region, decoding: Decoding) -> Component:
    owned = Extents.of([region.preserved(decoding.page_shift)])
    return Component("reserve_mem", region.name, region.start, memblock.REGION, region, owned)


def _kho_test(blob: Blob) -> Component:
    tree, decoding = blob.tree(), blob.decoding
    value = khotest.parse(
        decoding.memory, tree.root, blob.place, decoding.likely, decoding.page_shift
    )
    decoding.knows(value.version, khotest.KNOWN, blob.place)
    owned = blob.pages(tree.size) | Extents.of(folio.range for folio in value.folios)
    below = (vmalloc_component(value.area),) if value.area else ()
    return Component("kho_test", "", blob.address, value.version, value, owned, below)


def _luo(blob: Blob) -> Component:
    return liveupdate.decode(blob.address, blob.decoding, blob.place)


def _metadata(blob: Blob) -> Component:
    size = metadata.SIZE if blob.size is None else min(blob.size, metadata.SIZE)
    raw = fetch(blob.decoding.memory, blob.address, size, blob.place)
    value = metadata.parse(raw, blob.place)
    version = bare(value.version)
    blob.decoding.knows(version, metadata.KNOWN, blob.place)
    owned = blob.pages(blob.size or metadata.SIZE)
    return Component("kexec-metadata", "", blob.address, version, value, owned)


_KNOWN: dict[str, tuple[str, Callable[[Blob], Component]]] = {
    "memblock": ("reserve_mem", _memblock),
    "kho_test": ("kho_test", _kho_test),
    "LUO": ("luo", _luo),
    "kexec-metadata": ("kexec-metadata", _metadata),
}
_RESERVED = frozenset({"", ROOT, ORPHAN, *(name for name, _ in _KNOWN.values())})
