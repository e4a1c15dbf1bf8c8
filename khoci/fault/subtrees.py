"""Faults of the subtrees without LUO: ``reserve_mem``, ``kho_test`` and ``kexec-metadata``."""

from __future__ import annotations

from collections.abc import Callable

from khoci.fault.base import Fault, NotApplicableError, Write
from khoci.fault.patching import address, component, field, renumbered, swapped
from khoci.format.handover import Handover
from khoci.format.memblock import Region
from khoci.format.memory import Memory

Apply = Callable[[Memory, Handover], tuple[Write, ...]]


def _version(name: str, string: str) -> Apply:
    def apply(memory: Memory, handover: Handover) -> tuple[Write, ...]:
        item = component(handover, name)
        return (renumbered(memory, address(item), string, item.version, 1),)

    return apply


def _region(change: Callable[[Region], tuple[int, int]], what: str) -> Apply:
    def apply(memory: Memory, handover: Handover) -> tuple[Write, ...]:
        reserved = handover.reserve_mem
        if not reserved or not reserved.regions:
            raise NotApplicableError("there is no region of reserve_mem")
        old, new = (value.to_bytes(8, "little") for value in change(reserved.regions[-1]))
        return (swapped(memory, address(component(handover, "reserve_mem")), old, new, what),)

    return apply


def _metadata_version(memory: Memory, handover: Handover) -> tuple[Write, ...]:
    at = address(component(handover, "kexec-metadata"))
    return (field(memory, at, (2).to_bytes(4, "little"), "version"),)


FAULTS = (
    Fault(
        "reserve-mem-version-bumped",
        "compatible of the tree is the next version",
        "reserve_mem",
        "reserve-mem",
        _version("reserve_mem", "memblock"),
    ),
    Fault(
        "reserve-mem-start-moved",
        "a region starts 1 MiB before it does",
        "reserve_mem",
        "reserve-mem",
        _region(lambda region: (region.start, region.start - (1 << 20)), "start"),
    ),
    Fault(
        "reserve-mem-size-doubled",
        "a region is twice as large",
        "reserve_mem",
        "reserve-mem",
        _region(lambda region: (region.size, region.size * 2), "size"),
    ),
    Fault(
        "kho-test-version-bumped",
        "compatible of the kernel's own test is the next version",
        "kho_test",
        "kho-test",
        _version("kho_test", "kho-test"),
    ),
    Fault(
        "metadata-version-bumped",
        "kexec-metadata is of version 2",
        "kexec-metadata",
        "reserve-mem",
        _metadata_version,
    ),
)
