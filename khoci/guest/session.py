"""A conversation with the agent inside a guest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from khoci.errors import HarnessError
from khoci.guest import protocol
from khoci.guest.initramfs import CONSUMER_INITRD, CONSUMER_KERNEL

RECEIVED_KERNEL = "/kernel"
RECEIVED_INITRD = "/initrd"


class AgentError(HarnessError):
    """The agent could not do what it was told; the message is its own.

    ``errno`` is the number of the error in the guest, as in the module ``errno``; 0 if unknown.
    """

    def __init__(self, message: str, errno: int = 0) -> None:
        super().__init__(message)
        self.errno = errno


class Line(Protocol):
    """The serial line to the agent."""

    async def next_line(self) -> str:
        """The next line from the agent."""

    async def send_line(self, line: str) -> None:
        """Send one line to the agent."""


class Agent:
    """Sends commands and waits for the answer to each; events in between are left out."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self._number = 0

    async def hello(self) -> protocol.Hello:
        """Wait until the agent is up.

        Raises:
            ProtocolError: it speaks another version, or something else speaks.
        """
        while True:
            message = protocol.parse_line(await self._line.next_line())
            if isinstance(message, protocol.Hello):
                return message

    async def command(self, name: str, /, **arguments: protocol.Argument) -> Mapping[str, Any]:
        """Send a command; return the fields of its answer.

        Raises:
            AgentError: the agent refuses, or fails.
        """
        self._number += 1
        await self._line.send_line(protocol.encode_command(self._number, name, **arguments))
        fields: Mapping[str, Any] = {}
        while True:
            part = await self._part()
            if not part.ok:
                raise AgentError(f"{name}: {part.error}", part.errno)
            fields = protocol.joined(fields, part.fields)
            if not part.more:
                return fields

    async def _part(self) -> protocol.Answer:
        while True:
            message = protocol.parse_line(await self._line.next_line())
            awaited = (self._number, protocol.UNREADABLE)
            if isinstance(message, protocol.Answer) and message.id in awaited:
                return message


async def greeted(line: Line) -> protocol.Hello:
    """Wait until the agent at the other end of a line is up.

    Raises:
        ProtocolError: as `Agent.hello`.
    """
    return await Agent(line).hello()


@dataclass(frozen=True)
class Images:
    """Where a guest has the kernel that it is to start, and its initramfs."""

    kernel: str
    initrd: str


NESTED = Images(CONSUMER_KERNEL, CONSUMER_INITRD)
"""What came with the producer's own initramfs."""


class Memory(Protocol):
    """The memory of a guest, to be written from outside."""

    def write(self, phys: int, data: bytes) -> None:
        """Write ``data`` at guest-physical ``phys``."""


async def send_images(agent: Agent, memory: Memory, kernel: bytes, initrd: bytes) -> Images:
    """Make files of a kernel and its initramfs in the guest.

    Raises:
        AgentError: the guest has no room, or not what was written.
    """
    for path, content in ((RECEIVED_KERNEL, kernel), (RECEIVED_INITRD, initrd)):
        await _send_file(agent, memory, path, content)
    return Images(RECEIVED_KERNEL, RECEIVED_INITRD)


async def _send_file(agent: Agent, memory: Memory, path: str, content: bytes) -> None:
    """Write a file's pages from outside: that costs the guest next to nothing."""
    answer = await agent.command("receive", path=path, size=len(content))
    runs, rest = list(answer["runs"]), memoryview(content)
    for start, size in zip(runs[::2], runs[1::2], strict=True):
        memory.write(start, bytes(rest[:size]))
        rest = rest[size:]
    seen = str((await agent.command("sum", path=path))["sum"])
    if rest or int(seen, 16) != protocol.sum_of_words(content):
        raise AgentError(f"{path}: the guest does not have what was written into its memory")


async def load_consumer(
    agent: Agent, cmdline: str, images: Images = NESTED, *, finalize: bool = True
) -> int:
    """Finalize where the kernel has that, and load the consumer: what is left is to jump.

    Finalizing comes before the load: 6.17 and 6.18 attach the handover to the image only then,
    and every release that has it allows it then. Without it, they hand over nothing.

    Returns:
        the cycles that loading took.

    Raises:
        AgentError: a step failed.
    """
    if finalize:
        await agent.command("finalize")
    answer = await agent.command(
        "load", kernel=images.kernel, initrd=images.initrd, cmdline=cmdline
    )
    return int(answer["cycles"])


async def jump(agent: Agent) -> None:
    """Start the consumer that is loaded.

    Raises:
        AgentError: none is.
    """
    await agent.command("jump")
