"""Memory reserved by name on the command line (``reserve_mem=``), revived by the consumer.

khoci writes the content itself, from outside, at the jump, and compares it when the consumer is
up: an equal address proves nothing. The kernel's own test is switched off, so that a consumer
that dies in it does not hide what happens to reserved memory.
"""

from __future__ import annotations

import hashlib

from khoci.format.handover import Handover
from khoci.scenario.base import Scenario, WritableMemory

_CHUNK = 1 << 20


def pattern(name: str, offset: int, size: int) -> bytes:
    """Bytes that no kernel writes by chance: they depend on region, place and nothing else."""
    return hashlib.shake_128(f"khoci {name} {offset}".encode()).digest(size)


def fill(memory: WritableMemory, handover: Handover) -> None:
    """Write a recognisable pattern into every region that is handed over."""
    regions = handover.reserve_mem.regions if handover.reserve_mem else ()
    for region in regions:
        for offset in range(0, region.size, _CHUNK):
            size = min(_CHUNK, region.size - offset)
            memory.write(region.start + offset, pattern(region.name, offset, size))


SCENARIO = Scenario(
    name="reserve-mem",
    summary="two regions by reserve_mem=, content written and verified by khoci",
    needs=("KEXEC_HANDOVER",),
    cmdline=(
        "reserve_mem=8M:4K:khoci-large reserve_mem=64K:4K:khoci-small "
        "initcall_blacklist=kho_test_init"
    ),
    component="reserve_mem",
    fill=fill,
)
