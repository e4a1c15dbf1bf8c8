"""Faults of the hand-off: ``struct kho_data`` of ``arch/x86/include/uapi/asm/setup_data.h``."""

from __future__ import annotations

from collections.abc import Callable

from khoci.fault.base import Fault, NotApplicableError, Write
from khoci.fault.patching import OUTSIDE, word
from khoci.format.handoff import find_handoffs
from khoci.format.handover import Handover
from khoci.format.memory import Memory

_FDT_ADDR, _SCRATCH_ADDR, _SCRATCH_SIZE = 16, 32, 40
"""Offsets in the setup_data node."""


def _put(offset: int, value: int, what: str) -> Callable[[Memory, Handover], tuple[Write, ...]]:
    def apply(memory: Memory, handover: Handover) -> tuple[Write, ...]:
        found = [item for item in find_handoffs(memory) if item.fdt_addr == handover.fdt_addr]
        seen = [address for item in found for address in item.seen]
        if not seen:
            raise NotApplicableError("no setup_data of the handover is in memory")
        return tuple(word(memory, address + offset, value, what) for address in seen)

    return apply


FAULTS = (
    Fault(
        "handoff-fdt-outside",
        "kho_data.fdt_addr is not in RAM",
        "root",
        "reserve-mem",
        _put(_FDT_ADDR, OUTSIDE, "fdt_addr"),
    ),
    Fault(
        "handoff-scratch-zeroed",
        "kho_data.scratch_addr is 0",
        "scratch",
        "reserve-mem",
        _put(_SCRATCH_ADDR, 0, "scratch_addr"),
    ),
    Fault(
        "handoff-scratch-none",
        "kho_data.scratch_size is 0: there is no area",
        "scratch",
        "reserve-mem",
        _put(_SCRATCH_SIZE, 0, "scratch_size"),
    ),
)
