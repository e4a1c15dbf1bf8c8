"""The components of a handover: each known subtree with its decoder and the memory it owns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from khoci.format import fdt, khotest, luo, memblock, metadata
from khoci.format.khotest import KhoTest
from khoci.format.luo import Luo
from khoci.format.memblock import ReserveMem
from khoci.format.memory import PAGE_SHIFT, Memory, fetch
from khoci.format.metadata import KexecMetadata
from khoci.format.ranges import Range

if TYPE_CHECKING:
    from collections.abc import Callable

    from khoci.format.errors import Place
    from khoci.format.fdt import Fdt
    from khoci.format.root import Subtree

MAX_FDT = 4 << 20
"""Bytes of the largest FDT that a subtree can have: the buddy allocator's largest folio."""

Value = ReserveMem | KhoTest | Luo | KexecMetadata


@dataclass(frozen=True, slots=True)
class Component:
    """A subtree, by its component's name; ``value`` is None if it could not be decoded.

    ``owned`` is the memory that has to be preserved for it, in whole pages.
    """

    name: str
    subtree: Subtree
    value: Value | None
    owned: tuple[Range, ...]


@dataclass(frozen=True, slots=True)
class Blob:
    """What a decoder gets: the memory, and where the subtree's blob is (bytes)."""

    memory: Memory
    address: int
    size: int | None
    place: Place
    shape: khotest.Shape | None = None
    page_shift: int = PAGE_SHIFT

    def tree(self) -> Fdt:
        """The blob as an FDT."""
        limit = MAX_FDT if self.size is None else min(self.size, MAX_FDT)
        return fdt.read(self.memory, self.address, self.place, limit)

    def pages(self, size: int) -> Range:
        """The whole pages of ``size`` bytes of the blob."""
        return Range(self.address, size).widened(1 << self.page_shift)


_Decoded = tuple[Value, tuple[Range, ...]]


def component_name(subtree: str) -> str:
    """The component that a subtree of the root is; its own name if nobody knows it."""
    return _KNOWN[subtree][0] if subtree in _KNOWN else subtree


def decode(subtree: Subtree, blob: Blob) -> Component:
    """Decode the blob of ``subtree``.

    Raises:
        DecodeError: nobody knows the subtree, or its blob is broken.
    """
    if subtree.name not in _KNOWN:
        raise blob.place.error("no decoder knows this subtree")
    name, decoder = _KNOWN[subtree.name]
    value, owned = decoder(blob)
    return Component(name, subtree, value, owned)


def undecoded(subtree: Subtree, blob: Blob | None) -> Component:
    """The component of a subtree that cannot be decoded; it owns the blob, as far as known."""
    owned = (blob.pages(blob.size or 1),) if blob else ()
    return Component(component_name(subtree.name), subtree, None, owned)


def _memblock(blob: Blob) -> _Decoded:
    tree = blob.tree()
    value = memblock.parse(tree.root, blob.place)
    mask = (1 << blob.page_shift) - 1
    whole = (Range(item.start & ~mask, item.size & ~mask) for item in value.regions)
    return value, (blob.pages(tree.size), *whole)


def _kho_test(blob: Blob) -> _Decoded:
    tree = blob.tree()
    value = khotest.parse(blob.memory, tree.root, blob.place, blob.shape, blob.page_shift)
    owned = [blob.pages(tree.size), *(folio.range for folio in value.folios)]
    if value.area:
        owned += [run.range for run in value.area.runs]
        owned += [Range(chunk, 1 << blob.page_shift) for chunk in value.area.chunks]
    return value, tuple(owned)


def _luo(blob: Blob) -> _Decoded:
    value = luo.read(blob.memory, blob.address, blob.place)
    return value, (blob.pages(luo.STRUCT_SIZE), *value.owned)


def _metadata(blob: Blob) -> _Decoded:
    size = metadata.SIZE if blob.size is None else min(blob.size, metadata.SIZE)
    raw = fetch(blob.memory, blob.address, size, blob.place)
    return metadata.parse(raw, blob.place), (blob.pages(metadata.SIZE),)


_KNOWN: dict[str, tuple[str, Callable[[Blob], _Decoded]]] = {
    "memblock": ("reserve_mem", _memblock),
    "kho_test": ("kho_test", _kho_test),
    "LUO": ("luo", _luo),
    "kexec-metadata": ("kexec-metadata", _metadata),
}
