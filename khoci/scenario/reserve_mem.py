"""Memory reserved by name on the command line (``reserve_mem=``), revived by the consumer.

khoci writes the content itself, from outside, at the jump, and compares it when the consumer is
up: an equal address proves nothing. The kernel's own test is switched off, so that a consumer
that dies in it does not hide what happens to reserved memory.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

from khoci.format.components import union, whole
from khoci.format.extents import Extents
from khoci.format.handover import Handover
from khoci.format.ranges import Range
from khoci.scenario.base import Definition, Parameter, Scenario, WritableMemory
from khoci.sizes import size_text

NAME = "reserve-mem"
SUMMARY = "regions by reserve_mem=, content written and verified by khoci"
_CHUNK = 1 << 20
_MOST = 8
_PAGE = 4096
_SMALL = 64 << 10


def pattern(name: str, offset: int, size: int) -> bytes:
    """Bytes that no kernel writes by chance: they depend on region, place and nothing else."""
    return hashlib.shake_128(f"khoci {name} {offset}".encode()).digest(size)


def fill(memory: WritableMemory, handover: Handover) -> None:
    """Write a recognisable pattern into every region that is preserved.

    What a broken handover calls a region may be the kernel itself: that is left alone.
    """
    regions = handover.reserve_mem.regions if handover.reserve_mem else ()
    preserved = handover.map.blocks.extents & Extents.of(memory.ram)
    alone = preserved - union(_others(handover))
    for region in regions:
        if not alone.covers(Range(region.start, region.size)):
            continue
        for offset in range(0, region.size, _CHUNK):
            size = min(_CHUNK, region.size - offset)
            memory.write(region.start + offset, pattern(region.name, offset, size))


def _others(handover: Handover) -> Iterator[Extents]:
    """What is preserved for anything but the regions."""
    if handover.fdt_addr is not None:
        yield Extents.of([Range(handover.fdt_addr, 1 << handover.page_shift)])
    for component in handover.components:
        yield component.owned
        if component.name != "reserve_mem":
            yield whole(component.children)


def make(values: Mapping[str, Any]) -> Scenario:
    """The scenario for ``regions`` and ``size``.

    mm/memblock.c has room for eight regions (RESERVE_MEM_MAX_ENTRIES); a name has 15 characters.
    """
    regions = values["regions"]
    if not 1 <= regions <= _MOST:
        raise ValueError(f"regions must be 1 to {_MOST}")
    if not values["size"] or values["size"] % _PAGE:
        raise ValueError("size must be whole pages of 4K, at least one")
    if values["align"] < _PAGE or values["align"] & (values["align"] - 1):
        raise ValueError("align must be a power of 2, at least 4K")
    sizes = dict(list({"khoci-large": values["size"], "khoci-small": _SMALL}.items())[:regions])
    sizes |= {f"khoci-{number}": values["size"] for number in range(3, regions + 1)}
    align = size_text(values["align"])
    asked = (f"reserve_mem={size_text(size)}:{align}:{name}" for name, size in sizes.items())
    return Scenario(
        name=NAME,
        summary=SUMMARY,
        component="reserve_mem",
        components=("reserve_mem",),
        needs=("KEXEC_HANDOVER",),
        cmdline=" ".join((*asked, "initcall_blacklist=kho_test_init")),
        fill=fill,
    )


SCENARIO = Definition(
    name=NAME,
    summary=SUMMARY,
    make=make,
    parameters={
        "regions": Parameter(2, "how many; the second one has 64K, the others have size"),
        "size": Parameter(8 << 20, "of a region, in bytes"),
        "align": Parameter(4096, "of a region, in bytes: a power of 2"),
    },
)
