"""Faults of the root FDT: ``include/linux/kho/abi/kexec_handover.h``, read by ``kho_populate``."""

from __future__ import annotations

from collections.abc import Callable

from khoci.fault.base import Fault, NotApplicableError, Write
from khoci.fault.patching import OUTSIDE, field, renumbered, swapped
from khoci.format.handover import Handover
from khoci.format.memory import Memory

_TOTALSIZE = 4
"""Offset of the header's ``totalsize``, a big-endian u32."""

_HEADER_SIZE = 40

Apply = Callable[[Memory, Handover], tuple[Write, ...]]


def _page(handover: Handover) -> int:
    if handover.fdt_addr is None:
        raise NotApplicableError("the address of the root FDT is not known")
    return handover.fdt_addr


def _version(step: int) -> Apply:
    def apply(memory: Memory, handover: Handover) -> tuple[Write, ...]:
        return (renumbered(memory, _page(handover), "kho", handover.root.version, step),)

    return apply


def _header(offset: int, value: int, what: str) -> Apply:
    def apply(memory: Memory, handover: Handover) -> tuple[Write, ...]:
        return (field(memory, _page(handover) + offset, value.to_bytes(4, "big"), what),)

    return apply


def _map_pointer(change: Callable[[int], int]) -> Apply:
    def apply(memory: Memory, handover: Handover) -> tuple[Write, ...]:
        pointer = handover.root.memory_map
        if not pointer:
            raise NotApplicableError("the root has no memory map")
        old, new = (value.to_bytes(8, "little") for value in (pointer, change(pointer)))
        return (swapped(memory, _page(handover), old, new, "preserved-memory-map"),)

    return apply


def _subtree_outside(memory: Memory, handover: Handover) -> tuple[Write, ...]:
    for subtree in handover.root.subtrees:
        if subtree.name == "memblock" and subtree.address:
            old, new = (value.to_bytes(8, "little") for value in (subtree.address, OUTSIDE))
            return (swapped(memory, _page(handover), old, new, "the blob of memblock"),)
    raise NotApplicableError("there is no subtree 'memblock'")


def _fault(name: str, summary: str, apply: Apply) -> Fault:
    return Fault(name, summary, "root", "reserve-mem", apply)


FAULTS = (
    _fault("root-version-bumped", "compatible is the next version", _version(1)),
    _fault("root-version-downgraded", "compatible is the version before", _version(-1)),
    _fault("root-magic-zeroed", "the FDT's magic is 0", _header(0, 0, "magic")),
    _fault(
        "root-cut", "totalsize ends the FDT after its header", _header(_TOTALSIZE, _HEADER_SIZE, "")
    ),
    _fault("root-size-huge", "totalsize is 2 GiB", _header(_TOTALSIZE, 1 << 31, "totalsize")),
    _fault("root-map-zeroed", "the pointer to the memory map is 0", _map_pointer(lambda _: 0)),
    _fault(
        "root-map-outside",
        "the pointer to the memory map leads out of RAM",
        _map_pointer(lambda _: OUTSIDE),
    ),
    _fault(
        "root-map-unaligned",
        "the pointer to the memory map is 8 bytes off",
        _map_pointer(lambda pointer: pointer + 8),
    ),
    _fault(
        "root-subtree-outside",
        "the pointer to the blob of memblock leads out of RAM",
        _subtree_outside,
    ),
)
