"""Where a running kernel has its named regions, read from its own memory.

``reserved_mem_table`` of mm/memblock.c is what ``reserve_mem_find_by_name`` answers from: eight
entries, the same in 6.16 to 7.3. A log line says that a region was revived, not where.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping

from khoci.compat.side import Side
from khoci.format.memory import Memory
from khoci.format.ranges import Range
from khoci.guest.session import Agent, AgentError
from khoci.vm.symbols import address_of

TABLE, TEXT = "reserved_mem_table", "_text"
_ENTRY = struct.Struct("<16sQQ")
_ENTRIES = 8
_KERNEL_CODE = re.compile(r"^\s*([0-9a-f]+)-[0-9a-f]+ : Kernel code$", re.MULTILINE)


async def revived(agent: Agent, memory: Memory, side: Side) -> Mapping[str, Range] | None:
    """The named regions of the running kernel; None if there is no way to its table."""
    if side.system_map is None:
        return None
    try:
        text = str((await agent.command("read", path="/proc/iomem", max=1 << 16))["text"])
    except AgentError:
        return None
    code = kernel_code(text)
    if code is None:
        return None
    offset = address_of(TABLE, side.system_map) - address_of(TEXT, side.system_map)
    return parse_table(memory.read(code + offset, _ENTRIES * _ENTRY.size))


def kernel_code(iomem: str) -> int | None:
    """Where the kernel's first byte is, by /proc/iomem; None if it is not shown."""
    found = _KERNEL_CODE.search(iomem)
    return int(found[1], 16) or None if found else None


def parse_table(raw: bytes) -> dict[str, Range]:
    """The regions of a table; those of size 0 are given back."""
    return {
        name.partition(b"\0")[0].decode("ascii", "replace"): Range(start, size)
        for name, start, size in _ENTRY.iter_unpack(raw)
        if size
    }
