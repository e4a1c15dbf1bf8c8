"""Where a running kernel has its named regions, read from its own memory.

``reserved_mem_table`` of mm/memblock.c is what ``reserve_mem_find_by_name`` answers from: eight
entries, the same in 6.16 to 7.3. A log line says that a region was revived, not where.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping, Sequence

from khoci.compat.side import Side
from khoci.errors import HarnessError
from khoci.format.errors import DecodeError
from khoci.format.memory import Memory
from khoci.format.ranges import Range, covers
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
    try:
        offset = address_of(TABLE, side.system_map) - address_of(TEXT, side.system_map)
        return parse_table(memory.read(code + offset, _ENTRIES * _ENTRY.size), memory.ram)
    except (HarnessError, DecodeError):
        return None


def kernel_code(iomem: str) -> int | None:
    """Where the kernel's first byte is, by /proc/iomem; None if it is not shown."""
    found = _KERNEL_CODE.search(iomem)
    return int(found[1], 16) or None if found else None


def parse_table(raw: bytes, ram: Sequence[Range]) -> dict[str, Range] | None:
    """The regions of a table; those of size 0 are given back.

    None if an entry is none: another kernel may have another table.
    """
    found: dict[str, Range] = {}
    for field, start, size in _ENTRY.iter_unpack(raw):
        name, _, rest = field.partition(b"\0")
        if any(rest) or not (name.isascii() and name.decode("ascii").isprintable()):
            return None
        if bool(name) != bool(start) or (size and not covers(ram, Range(start, size))):
            return None
        if size:
            found[name.decode("ascii")] = Range(start, size)
    return found
