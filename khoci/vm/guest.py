"""A running guest: the QEMU process, its console, its agent line, QMP and the breakpoint."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar

from qemu.qmp import EventListener, QMPClient, QMPError

from khoci.errors import HarnessError
from khoci.proc import dying_with_parent
from khoci.vm import gdb
from khoci.vm.channel import Channel, LogPipe
from khoci.vm.machine import Channels, Machine, driven_command
from khoci.vm.ram import GuestRam
from khoci.vm.silence import SilenceClock

T = TypeVar("T")

_START_LIMIT = 30.0
_POLL = 0.005
_LOG_POLL = 0.01
_WITHOUT_RAM = {"capabilities": [{"capability": "x-ignore-shared", "state": True}]}
"""What is kept of a parked guest besides its RAM file."""
_PANIC_ENDS = b"---[ end Kernel panic"


class End(StrEnum):
    """How a guest came to its end, or stopped making progress."""

    RESET = "reset"
    PANICKED = "panicked"
    POWEROFF = "poweroff"
    HALTED = "halted"
    SILENT = "silent"


@dataclass(frozen=True)
class Ended:
    """The end of a guest, with what showed it."""

    how: End
    detail: str


class GuestEndedError(Exception):
    """Raised to whoever waits for a guest that ended instead."""

    def __init__(self, ended: Ended) -> None:
        super().__init__(ended.detail)
        self.ended = ended


_SHUTDOWN_REASONS = {
    "guest-reset": Ended(End.RESET, "the guest reset the machine"),
    "guest-panic": Ended(End.RESET, "the guest reported a panic to QEMU"),
    "guest-shutdown": Ended(End.POWEROFF, "the guest powered the machine off"),
}


class Guest:
    """One guest under khoci's control; made by ``start_guest``.

    Attributes:
        ram: its memory, live.
        console: everything its first serial port has written.
        parked: whether its memory is kept for others.
    """

    def __init__(self, machine: Machine, ram: GuestRam, parked: Parked | None = None) -> None:
        self.machine = machine
        self.ram = ram
        self.console = bytearray(parked.console if parked else b"")
        self.parked = False
        self._state = parked.devices if parked else None
        self._lines: asyncio.Queue[str] = asyncio.Queue()
        self._partial = b""
        self._packets = gdb.Packets((), b"")
        self._stops: asyncio.Queue[str] = asyncio.Queue()
        self._qmp = QMPClient("khoci")
        self._events = EventListener(names={"SHUTDOWN"})
        self._clock = SilenceClock(machine.accelerator.silence)
        self._end: asyncio.Future[Ended] = asyncio.get_running_loop().create_future()
        self._process: asyncio.subprocess.Process | None = None
        self._console_pipe = LogPipe(self._on_console)
        self._agent_channel = Channel(self._on_agent)
        self._gdb_channel = Channel(self._on_gdb)
        self._watchers: list[asyncio.Task[None]] = []

    @property
    def ended(self) -> Ended | None:
        """How the guest ended, or None while it lives."""
        return self._end.result() if self._end.done() else None

    async def next_line(self) -> str:
        """The next line of the agent.

        Raises:
            GuestEndedError: the guest ended, or hangs, before it wrote one.
        """
        return await self._unless_ended(self._lines.get())

    async def until_logged(self, text: str) -> None:
        """Wait until ``text`` is on the console: a kernel may print after its user space answers.

        Raises:
            GuestEndedError: the guest ended, or hangs, before that.
        """
        await self._unless_ended(self._logged(text.encode()))

    async def _logged(self, text: bytes) -> None:
        while text not in self.console:
            await asyncio.sleep(_LOG_POLL)

    async def send_line(self, line: str) -> None:
        """Send one line to the agent."""
        self._clock.reset()
        await self._agent_channel.send(line.encode() + b"\n")

    async def run(self) -> None:
        """Let the guest run on."""
        self._clock.reset()
        await self._gdb_channel.send(b"+" + gdb.encode_packet("c"))

    async def interrupt(self) -> None:
        """Stop the guest where it is.

        Raises:
            GuestEndedError: the guest ended before that.
        """
        await self._gdb_channel.send(gdb.INTERRUPT)
        await self._unless_ended(self._stops.get())

    async def break_at(self, address: int) -> None:
        """Set the one breakpoint, at virtual ``address``; the guest must be stopped."""
        await self._gdb_command(gdb.insert_breakpoint(address))

    async def clear_break(self, address: int) -> None:
        """Remove the breakpoint; the guest must be stopped."""
        await self._gdb_command(gdb.remove_breakpoint(address))

    async def wait_for_break(self) -> None:
        """Wait until the guest stops at the breakpoint; its console is complete up to there.

        Raises:
            GuestEndedError: the guest ended, or hangs, before it got there.
        """
        while not gdb.is_stop(await self._unless_ended(self._stops.get())):
            pass
        self._console_pipe.drain()

    async def registers(self) -> str:
        """The registers of all CPUs, as QEMU's monitor prints them."""
        command = {"command-line": "info registers -a"}
        return str(await self._qmp.execute("human-monitor-command", command))

    async def open(self, log: Path) -> None:
        """Start the QEMU process, stopped before its first instruction.

        Raises:
            HarnessError: QEMU is missing, or did not start; its last words are in the message.
        """
        self._qmp.register_listener(self._events)
        qmp, peer = socket.socketpair()
        try:
            process = await self._spawn(peer, log)
            peer.close()
            await asyncio.wait_for(self._connect(qmp), _START_LIMIT)
        except (QMPError, TimeoutError):
            raise HarnessError(f"QEMU did not start: {_last_words(log)}") from None
        finally:
            peer.close()
            if self._process is None:
                qmp.close()
        self._watchers = [
            asyncio.create_task(self._watch_events()),
            asyncio.create_task(self._watch_process(process, log)),
            asyncio.create_task(self._watch_silence(process.pid)),
        ]

    async def _connect(self, qmp: socket.socket) -> None:
        await self._qmp.connect(qmp)
        if self._state is not None:
            await self._qmp.execute("migrate-set-capabilities", _WITHOUT_RAM)
            await self._qmp.execute("migrate-incoming", {"uri": f"fd:{self._state}"})
            while await self._status() == "inmigrate":
                await asyncio.sleep(_POLL)

    async def _status(self) -> str:
        answer: Any = await self._qmp.execute("query-status")
        return str(answer["status"])

    async def park(self) -> Parked:
        """Stop the guest where it is and keep all of it; it cannot run on in this process.

        Raises:
            HarnessError: QEMU cannot do that.
        """
        devices = os.memfd_create("khoci-devices", os.MFD_CLOEXEC)
        try:
            await self._keep_devices(f"/proc/{os.getpid()}/fd/{devices}")
        except QMPError as error:
            os.close(devices)
            raise HarnessError(f"a guest cannot be parked: {error}") from None
        self.parked = True
        return Parked(self.machine, self.ram, devices, bytes(self.console))

    async def _keep_devices(self, path: str) -> None:
        await self._qmp.execute("stop")
        self._console_pipe.drain()
        await self._qmp.execute("migrate-set-capabilities", _WITHOUT_RAM)
        await self._qmp.execute("migrate", {"uri": f"exec:cat > {path}"})
        while (status := await self._saved()) != "completed":
            if status in ("failed", "cancelled"):
                raise QMPError(f"QEMU says that it {status}")
            await asyncio.sleep(_POLL)

    async def _saved(self) -> str:
        answer: Any = await self._qmp.execute("query-migrate")
        return str(answer.get("status", ""))

    async def close(self) -> None:
        """End the guest now and free everything it used; may be called more than once."""
        for task in self._watchers:
            task.cancel()
        process = self._process
        if process is not None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
        for channel in (self._console_pipe, self._agent_channel, self._gdb_channel):
            channel.close()
        with contextlib.suppress(QMPError, OSError, EOFError):
            await self._qmp.disconnect()

    async def _spawn(self, qmp: socket.socket, log: Path) -> asyncio.subprocess.Process:
        ends = (self._console_pipe, self._agent_channel, self._gdb_channel)
        channels = Channels(
            console=self._console_pipe.peer,
            agent=self._agent_channel.peer.fileno(),
            qmp=qmp.fileno(),
            gdb=self._gdb_channel.peer.fileno(),
            ram=self.ram.fd,
            state=self._state,
        )
        command = driven_command(self.machine, channels)
        try:
            with log.open("wb") as stderr:
                self._process = await asyncio.create_subprocess_exec(
                    *dying_with_parent(command),
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=stderr,
                    stderr=stderr,
                    pass_fds=channels.inherited,
                )
        finally:
            for channel in ends:
                channel.close_peer()
        return self._process

    def _on_console(self, data: bytes) -> None:
        self._clock.reset()
        self.console += data
        if _PANIC_ENDS in self.console[-len(data) - len(_PANIC_ENDS) :]:
            self._set_end(Ended(End.PANICKED, "the guest panicked and waits"))

    def _on_agent(self, data: bytes) -> None:
        self._clock.reset()
        *lines, self._partial = (self._partial + data).split(b"\n")
        for line in lines:
            self._lines.put_nowait(line.decode("utf-8", "replace").rstrip("\r"))

    def _on_gdb(self, data: bytes) -> None:
        try:
            self._packets = gdb.split_packets(self._packets.rest + data)
        except HarnessError as error:
            self._fail(error)
            return
        for payload in self._packets.payloads:
            self._stops.put_nowait(payload)

    async def _gdb_command(self, payload: str) -> None:
        await self._gdb_channel.send(b"+" + gdb.encode_packet(payload))
        answer = await self._unless_ended(self._stops.get())
        if answer != "OK":
            raise HarnessError(f"QEMU's gdb stub answered {answer!r} to {payload!r}")

    async def _unless_ended(self, waiting: Awaitable[T]) -> T:
        task = asyncio.ensure_future(waiting)
        both: tuple[asyncio.Future[Any], ...] = (task, self._end)
        try:
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                return task.result()
            raise GuestEndedError(self._end.result())
        finally:
            task.cancel()

    def _set_end(self, ended: Ended) -> None:
        if not self._end.done():
            self._console_pipe.drain()
            self._agent_channel.drain()
            self._end.set_result(ended)

    def _fail(self, error: HarnessError) -> None:
        if not self._end.done():
            self._end.set_exception(error)

    async def _watch_events(self) -> None:
        async for event in self._events:
            data: Any = event.get("data", {})
            reason = data.get("reason", "")
            if reason in _SHUTDOWN_REASONS:
                self._set_end(_SHUTDOWN_REASONS[reason])

    async def _watch_process(self, process: asyncio.subprocess.Process, log: Path) -> None:
        status = await process.wait()
        self._fail(HarnessError(f"QEMU ended with status {status}: {_last_words(log)}"))

    async def _watch_silence(self, pid: int) -> None:
        while not self._end.done():
            await asyncio.sleep(self._clock.poll)
            if self._clock.quiet and await self._is_dead():
                self._set_end(Ended(End.HALTED, "all CPUs are halted with interrupts off"))
            elif self._clock.expired(pid):
                self._set_end(Ended(End.SILENT, self._clock.describe(pid)))

    async def _is_dead(self) -> bool:
        try:
            return _dead(await self.registers())
        except QMPError:
            return False  # QEMU is going; the watcher of the process says how


@dataclass(frozen=True)
class Parked:
    """A guest that was stopped and kept, to be run on as often as one likes.

    Attributes:
        machine: what it is.
        ram: its memory; nobody writes to it any more.
        devices: descriptor of a file with the state of its CPUs and devices.
        console: what its first serial port had written.
    """

    machine: Machine
    ram: GuestRam
    devices: int
    console: bytes

    def close(self) -> None:
        """Give up what it holds; guests that were resumed run on."""
        os.close(self.devices)
        self.ram.close()


@asynccontextmanager
async def resume_guest(parked: Parked, log: Path) -> AsyncIterator[Guest]:
    """Run a parked guest on, in a process and in memory of its own, for the length of a block.

    It is stopped where it was parked until it is told to run.

    Raises:
        HarnessError: QEMU does not take it back.
    """
    ram = await asyncio.to_thread(parked.ram.copy)
    devices = os.open(f"/proc/self/fd/{parked.devices}", os.O_RDONLY)
    guest = Guest(parked.machine, ram, replace(parked, devices=devices))
    try:
        await guest.open(log)
        yield guest
    finally:
        await guest.close()
        os.close(devices)
        ram.close()


@asynccontextmanager
async def start_guest(machine: Machine, log: Path) -> AsyncIterator[Guest]:
    """Run a guest for the length of a ``with`` block; it never outlives the block, nor khoci.

    Args:
        machine: what to start.
        log: where QEMU's own messages go.
    """
    ram = GuestRam.create(machine.memory)
    guest = Guest(machine, ram)
    try:
        await guest.open(log)
        yield guest
    finally:
        await guest.close()
        if not guest.parked:
            ram.close()


def _dead(registers: str) -> bool:
    """Whether every CPU is halted with interrupts off: nothing can wake it but an NMI."""
    flags = [int(word[4:], 16) for word in registers.split() if word.startswith("EFL=")]
    flags += [int(word[4:], 16) for word in registers.split() if word.startswith("RFL=")]
    halted = registers.count("HLT=1")
    return bool(flags) and halted == len(flags) and not any(flag & 0x200 for flag in flags)


def _last_words(log: Path) -> str:
    lines = log.read_text(errors="replace").strip().splitlines() if log.is_file() else []
    return lines[-1].strip() if lines else "it said nothing"
