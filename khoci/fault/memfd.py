"""Faults of a preserved memfd and its list of folios (``include/linux/kho/abi/memfd.h``)."""

from __future__ import annotations

from collections.abc import Callable

from khoci.fault.base import Fault, NotApplicableError, Write
from khoci.fault.patching import OUTSIDE, address, components, field, word
from khoci.format.components import Component
from khoci.format.handover import Handover
from khoci.format.memfd import Memfd
from khoci.format.memory import PAGE_SHIFT, Memory
from khoci.format.vmalloc import Area

_SIZE, _SEALS = 8, 16
_COUNT = {1: 16, 2: 24}
"""Offset of nr_folios by the version's number; a struct kho_vmalloc comes after it."""

_UNKNOWN_SEAL = 1 << 30


def _file(handover: Handover) -> tuple[Component, Memfd]:
    """The file with the most folios."""
    files = [
        (item, item.value)
        for item in components(handover, "memfd")
        if isinstance(item.value, Memfd) and item.value.area is not None
    ]
    if not files:
        raise NotApplicableError("there is no memfd with content")
    return max(files, key=lambda found: len(found[1].folios))


def _area(handover: Handover) -> Area:
    area = _file(handover)[1].area
    if area is None:
        raise NotApplicableError("there is no list of folios")
    return area


def _count_at(handover: Handover) -> int:
    item, value = _file(handover)
    return address(item) + _COUNT[1 if value.version.number == 1 else 2]


def _count(memory: Memory, handover: Handover) -> tuple[Write, ...]:
    at = _count_at(handover)
    count = int.from_bytes(memory.read(at, 8), "little")
    return (word(memory, at, count - 1, "nr_folios"),)


def _size(memory: Memory, handover: Handover) -> tuple[Write, ...]:
    item, value = _file(handover)
    return (word(memory, address(item) + _SIZE, value.size + 4096, "size"),)


def _seals(memory: Memory, handover: Handover) -> tuple[Write, ...]:
    item, value = _file(handover)
    if value.seals is None:
        raise NotApplicableError(f"{value.version} has no seals")
    at = address(item) + _SEALS
    return (field(memory, at, _UNKNOWN_SEAL.to_bytes(4, "little"), "seals"),)


def _folio_outside(memory: Memory, handover: Handover) -> tuple[Write, ...]:
    run = int(_area(handover).runs[0])
    frame = memory.read(run, 8)
    flags = int.from_bytes(frame, "little") >> 52 << 52
    return (word(memory, run, flags | OUTSIDE >> PAGE_SHIFT, "the first folio's frame"),)


def _folio_twice(memory: Memory, handover: Handover) -> tuple[Write, ...]:
    run = int(_area(handover).runs[0])
    if len(_file(handover)[1].folios) < 2:
        raise NotApplicableError("no memfd has two folios")
    return (field(memory, run + 16, memory.read(run, 8), "the second folio's frame"),)


def _chunk_outside(memory: Memory, handover: Handover) -> tuple[Write, ...]:
    return (word(memory, _count_at(handover) + 8, OUTSIDE, "the first chunk"),)


def _run_outside(memory: Memory, handover: Handover) -> tuple[Write, ...]:
    chunk = int(_area(handover).chunks[0])
    return (word(memory, chunk + 8, OUTSIDE, "the first page of the list"),)


def _pages_more(memory: Memory, handover: Handover) -> tuple[Write, ...]:
    at = _count_at(handover) + 16
    pages = int.from_bytes(memory.read(at, 4), "little")
    return (field(memory, at, (pages + 1).to_bytes(4, "little"), "total_pages"),)


def _fault(
    name: str,
    summary: str,
    component: str,
    apply: Callable[[Memory, Handover], tuple[Write, ...]],
) -> Fault:
    return Fault(name, summary, component, "memfd", apply)


FAULTS = (
    _fault("memfd-folio-lost", "the list is one folio shorter", "memfd", _count),
    _fault("memfd-size-grown", "the file is a page longer than its folios", "memfd", _size),
    _fault("memfd-seals-unknown", "a seal that no kernel knows", "memfd", _seals),
    _fault("memfd-folio-outside", "a folio is not in RAM", "memfd", _folio_outside),
    _fault("memfd-folio-twice", "two folios are the same memory", "memfd", _folio_twice),
    _fault("vmalloc-chunk-outside", "the first chunk is not in RAM", "vmalloc", _chunk_outside),
    _fault("vmalloc-page-outside", "a page of the list is not in RAM", "vmalloc", _run_outside),
    _fault("vmalloc-page-missing", "total_pages is one more than listed", "vmalloc", _pages_more),
)
