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
from bench.toinit import quiet
from khoci.compat.ready import Producers
from khoci.vm.machine import TCG


def main() -> None:
    """Count, time all ways in turn, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kernels", type=lambda text: text.split(","), default=["7.2", "7.3"])
    parser.add_argument("--rounds", type=int, default=5)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="khoci-bench-") as folder:
        asyncio.run(_compare(Pair.get(chosen.kernels, Path(folder), TCG.name), chosen.rounds))


async def _compare(pair: Pair, rounds: int) -> None:
    boot = pair.to_init(pair.consumer)
    silent = replace(boot, machine=quiet(boot.machine))
    loud, least = await boot.instructions(), await silent.instructions()
    kept = Producers(1)
    try:
        await pair.cell(kept)
        taken = await in_turn(
            {
                "one quiet boot to /init": silent.run,
                "of that, QEMU before it runs": silent.start,
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
    name, speed = pair.cells[0].consumer, least / (whole.cpu - start.cpu)
    click.echo(
        f"{name} gets to /init in {least / 1e6:.1f} million instructions, {loud / 1e6:.1f} with "
        f"its log on the console; TCG does {speed / 1e6:.0f} million in a second of this boot"
    )


if __name__ == "__main__":
    main()
