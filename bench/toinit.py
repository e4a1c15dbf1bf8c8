"""A boot up to where the kernel starts its /init, which is not run: counted, or by the clock."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from khoci.cost.boot import COUNTED
from khoci.vm.guest import Guest, start_guest
from khoci.vm.machine import Machine

_LOUD = ("earlyprintk=", "ignore_loglevel")
INIT = "kernel_execve"
"""Called by nobody before /init is started: these kernels have no helpers."""
_TIMER = "i /w 0x608"
"""Reads the ACPI timer of QEMU's machine: guest time since power on, in 24 bits."""
_TICKS = 3_579_545


def quiet(machine: Machine) -> Machine:
    """The same, with nothing on the console."""
    words = (word for word in machine.cmdline.split() if not word.startswith(_LOUD))
    return replace(machine, cmdline=" ".join(["quiet", *words]))


@dataclass(frozen=True)
class ToInit:
    """A guest that is booted.

    Attributes:
        machine: what it is.
        address: of `INIT` in its kernel.
        log: for QEMU's messages.
    """

    machine: Machine
    address: int
    log: Path

    async def instructions(self) -> int:
        """How many there are from power on."""
        cmdline = " ".join([self.machine.cmdline, *COUNTED])
        async with self._there(replace(self.machine, cmdline=cmdline, counted=True)) as guest:
            return await _nanoseconds(guest)

    async def run(self) -> None:
        """Boot by the clock."""
        async with self._there(self.machine):
            pass

    async def start(self) -> None:
        """Do all but let the guest go."""
        async with start_guest(self.machine, self.log):
            pass

    @asynccontextmanager
    async def _there(self, machine: Machine) -> AsyncIterator[Guest]:
        async with start_guest(machine, self.log) as guest:
            await guest.break_at(self.address)
            await guest.run()
            await guest.wait_for_break()
            yield guest


async def _nanoseconds(guest: Guest) -> int:
    """Guest time since power on."""
    asked = {"command-line": _TIMER}
    said = await guest._qmp.execute("human-monitor-command", asked)  # noqa: SLF001
    return int(str(said).rpartition("=")[2], 16) * 1_000_000_000 // _TICKS
