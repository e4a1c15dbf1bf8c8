"""A cell for a person to watch: QEMU on the terminal, with its monitor, khoci driving the agent."""

from __future__ import annotations

import asyncio
import socket

from khoci.errors import HarnessError
from khoci.guest.session import Agent, AgentError, jump, load_consumer
from khoci.proc import dying_with_parent
from khoci.vm.machine import Machine, interactive_command


class _Line:
    """The agent's serial line over one end of a socket pair."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def next_line(self) -> str:
        line = await self._reader.readline()
        if not line:
            raise EOFError
        return line.decode("utf-8", "replace").rstrip()

    async def send_line(self, line: str) -> None:
        self._writer.write(line.encode() + b"\n")
        await self._writer.drain()


def run_interactive(machine: Machine, consumer_cmdline: str) -> None:
    """Boot the producer on this terminal and hand over; ends when QEMU ends.

    Ctrl-a c switches to QEMU's monitor, Ctrl-a x ends the guest.

    Raises:
        HarnessError: QEMU or the agent failed.
    """
    asyncio.run(_run(machine, consumer_cmdline))


async def _run(machine: Machine, consumer_cmdline: str) -> None:
    ours, theirs = socket.socketpair()
    command = dying_with_parent(interactive_command(machine, theirs.fileno()))
    process = await asyncio.create_subprocess_exec(*command, pass_fds=(theirs.fileno(),))
    theirs.close()
    reader, writer = await asyncio.open_connection(sock=ours)
    driving = asyncio.create_task(_drive(_Line(reader, writer), consumer_cmdline))
    try:
        status = await process.wait()
        if driving.done():
            driving.result()
    finally:
        driving.cancel()
        writer.close()
        if process.returncode is None:
            process.kill()
    if status:
        raise HarnessError(f"QEMU ended with status {status}")


async def _drive(line: _Line, consumer_cmdline: str) -> None:
    agent = Agent(line)
    try:
        await agent.hello()
        await load_consumer(agent, consumer_cmdline)
        await jump(agent)
        await agent.hello()
    except AgentError as error:
        raise HarnessError(f"the agent: {error}") from None
    except EOFError:
        return
