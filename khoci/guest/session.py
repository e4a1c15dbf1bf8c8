"""A conversation with the agent inside a guest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from khoci.errors import HarnessError
from khoci.guest import protocol
from khoci.guest.initramfs import CONSUMER_INITRD, CONSUMER_KERNEL


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


async def load_consumer(agent: Agent, cmdline: str, *, finalize: bool = True) -> None:
    """Finalize where the kernel has that, and load the consumer: what is left is to jump.

    Finalizing comes before the load: 6.17 and 6.18 attach the handover to the image only then,
    and every release that has it allows it then. Without it, they hand over nothing.

    Raises:
        AgentError: a step failed.
    """
    if finalize:
        await agent.command("finalize")
    await agent.command("load", kernel=CONSUMER_KERNEL, initrd=CONSUMER_INITRD, cmdline=cmdline)


async def jump(agent: Agent) -> None:
    """Start the consumer that is loaded.

    Raises:
        AgentError: none is.
    """
    await agent.command("jump")
