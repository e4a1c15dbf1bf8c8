"""The driver that preserves, jumps and restores in the guest: a patch, and how to speak to it."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import replace

from khoci.config.kernels import DebianImageSource, ImageSource, KernelSpec
from khoci.costs import ARRANGEMENTS, Point
from khoci.errors import HarnessError, UsageError
from khoci.guest import protocol
from khoci.guest.session import Agent
from khoci.paths import data_dir

SUFFIX = "+cost"
WORD = "khoci_cost"
"""On the command line: the driver notes when it is read."""
_FOLDER = "/sys/kernel/debug/khoci_cost"
_STAMPS = ("called", "notified")
STAMPS_SIZE = 8 * len(_STAMPS)
"""Bytes of what it leaves in memory when it jumps."""


def with_driver(spec: KernelSpec) -> KernelSpec:
    """The kernel with the driver in it.

    Raises:
        UsageError: it is a ready image.
    """
    if all(isinstance(source, ImageSource | DebianImageSource) for source in spec.sources):
        raise UsageError(f"{spec.name}: is a ready image: the driver cannot be built into it")
    patch = data_dir("matrix") / "cost" / "driver.patch"
    return replace(spec, name=f"{spec.name}{SUFFIX}", patches=(*spec.patches, patch))


async def preserve(agent: Agent, point: Point) -> None:
    """Have the guest allocate and preserve the blocks of a point.

    Raises:
        AgentError: it has no room, or the kernel refuses.
    """
    how = ARRANGEMENTS.index(point.arrangement)
    text = f"{point.count} {point.order} {point.stride} {how}"
    await agent.command("write", path=f"{_FOLDER}/preserve", text=text)


async def restore(agent: Agent, head: int, count: int) -> None:
    """Have the consumer restore ``count`` blocks, that begin with the one at ``head``.

    Raises:
        AgentError: the kernel does not give one of them back.
    """
    await agent.command("write", path=f"{_FOLDER}/restore", text=f"{head:x} {count}")


async def figures(agent: Agent) -> Mapping[str, int]:
    """What the driver of the running kernel has counted, by name.

    Raises:
        HarnessError: the kernel has no such driver, or it says something else.
    """
    text = str((await agent.command("read", path=f"{_FOLDER}/figures"))["text"])
    try:
        return {name: int(value) for name, value in map(str.split, text.splitlines())}
    except ValueError:
        raise HarnessError("the driver in the guest says something else") from None


def jump_line() -> str:
    """The command that has the driver jump; it is never answered."""
    return protocol.encode_command(0, "write", path=f"{_FOLDER}/jump", text="1")


def stamps(data: bytes) -> Mapping[str, int]:
    """When the driver called for the jump, and when the kernel began to leave, in cycles."""
    return dict(zip(_STAMPS, struct.unpack("<QQ", data), strict=True))
