"""What a running kernel shows in debugfs: its scratch areas, and that it was given a handover."""

from __future__ import annotations

import errno

from khoci.format.scratch import pack
from khoci.guest.session import Agent, AgentError

_FOLDER = "/sys/kernel/debug/kho/out"
_GIVEN = "/sys/kernel/debug/kho/in"

Areas = tuple[tuple[int, int], ...]


async def read_scratch(agent: Agent) -> Areas | None:
    """Start and size of each area in bytes; None if the kernel does not show them."""
    try:
        starts = await agent.command("read", path=f"{_FOLDER}/scratch_phys", max=1 << 16)
        sizes = await agent.command("read", path=f"{_FOLDER}/scratch_len", max=1 << 16)
        return parse_scratch(str(starts["text"]), str(sizes["text"]))
    except (AgentError, ValueError):
        return None


async def was_given(agent: Agent) -> bool:
    """Whether there is a folder for what it was given: that is made only where it was taken."""
    try:
        await agent.command("read", path=_GIVEN, max=1)
    except AgentError as error:
        return error.errno == errno.EISDIR
    return False


def parse_scratch(starts: str, sizes: str) -> Areas:
    """Two files with one hex number a line.

    Raises:
        ValueError: they are not, or differ in length.
    """
    numbers = ([int(word, 16) for word in text.split()] for text in (starts, sizes))
    return tuple(zip(*numbers, strict=True))


def scratch_array(areas: Areas | None) -> bytes | None:
    """The array as the kernel has it in memory."""
    return pack(areas) if areas else None
