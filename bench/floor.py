"""How far a cell is from what emulating one boot costs.

``python -m bench.floor [--kernels A,B] [--rounds N]``: first the instructions from power on until
the consumer's kernel starts /init, counted by QEMU (``-icount``), as a cell boots it and with a
console that is quiet. Then, in turn, what QEMU takes before the first instruction, the quiet boot
up to there, and the joint boot of a cell. No cell with a boot in it can be faster than the boot.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
from dataclasses import replace
from pathlib import Path

import click

from bench.pair import Pair
from bench.rounds import in_turn, show
from khoci.compat.ready import Producers
from khoci.cost.boot import COUNTED
from khoci.errors import HarnessError
from khoci.vm.guest import Guest, start_guest
from khoci.vm.machine import TCG, Machine
from khoci.vm.symbols import address_of

_LOUD = ("earlyprintk=", "ignore_loglevel")
_EXEC = "kernel_execve"
"""Called by nobody before /init is started: these kernels have no helpers."""
_TIMER = "i /w 0x608"
"""Reads the ACPI timer of QEMU's machine: guest time since power on, in 24 bits."""
_TICKS = 3_579_545


def main() -> None:
    """Count, time all ways in turn, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kernels", type=lambda text: text.split(","), default=["7.2", "7.3"])
    parser.add_argument("--rounds", type=int, default=5)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="khoci-bench-") as folder:
        asyncio.run(_compare(Pair.get(chosen.kernels, Path(folder), TCG.name), chosen.rounds))


async def _compare(pair: Pair, rounds: int) -> None:
    boot = _Boot(pair)
    loud, quiet = await boot.instructions(pair.consumer), await boot.instructions(boot.quiet)
    kept = Producers(1)
    try:
        await pair.cell(kept)
        taken = await in_turn(
            {
                "one quiet boot to /init": boot.run,
                "of that, QEMU before it runs": boot.start,
                "cell, its producer kept": lambda: pair.cell(kept),
                "cell, its producer booted": lambda: pair.cell(None),
            },
            rounds,
        )
    finally:
        kept.close()
    click.echo(f"{pair}: medians of {rounds}")
    show(taken)
    whole, start, *_ = taken.values()
    name, speed = pair.cells[0].consumer, quiet / (whole.cpu - start.cpu)
    click.echo(
        f"{name} gets to /init in {quiet / 1e6:.1f} million instructions, {loud / 1e6:.1f} with "
        f"its log on the console; TCG does {speed / 1e6:.0f} million in a second of this boot"
    )


class _Boot:
    """The consumer's boot up to its /init, which is not run."""

    def __init__(self, pair: Pair) -> None:
        words = pair.consumer.cmdline.split()
        cmdline = " ".join(["quiet", *(word for word in words if not word.startswith(_LOUD))])
        self.quiet = replace(pair.consumer, cmdline=cmdline)
        self._log = pair.folder / "qemu.log"
        system_map = pair.kernels[1].system_map
        if system_map is None:
            raise HarnessError(f"{pair.kernels[1].name}: has no System.map")
        self._address = address_of(_EXEC, system_map)

    async def instructions(self, machine: Machine) -> int:
        """How many there are."""
        cmdline = " ".join([machine.cmdline, *COUNTED])
        counted = replace(machine, cmdline=cmdline, counted=True)
        async with start_guest(counted, self._log) as guest:
            await self._to_init(guest)
            return await _nanoseconds(guest)

    async def run(self) -> None:
        """Boot by the clock."""
        async with start_guest(self.quiet, self._log) as guest:
            await self._to_init(guest)

    async def start(self) -> None:
        """Do all but let the guest go."""
        async with start_guest(self.quiet, self._log):
            pass

    async def _to_init(self, guest: Guest) -> None:
        await guest.break_at(self._address)
        await guest.run()
        await guest.wait_for_break()


async def _nanoseconds(guest: Guest) -> int:
    """Guest time since power on."""
    asked = {"command-line": _TIMER}
    said = await guest._qmp.execute("human-monitor-command", asked)  # noqa: SLF001
    return int(str(said).rpartition("=")[2], 16) * 1_000_000_000 // _TICKS


if __name__ == "__main__":
    main()
