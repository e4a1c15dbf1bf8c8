"""A cell against what else boots the same two images: vmtest.sh, virtme-ng, a boot a scenario.

``python -m bench.boots [--kernels A,B] [--rounds N]``: the ways take turns, what is printed are
their medians, and ratios to the first of their kind.

A cell is the joint boot of a matrix run: each scenario that can share one, the capture, its
decoding and the verdicts. vmtest.sh does what is in the cell of kho-test, and looks for one line in
a log. virtme-ng boots one image, to its user space; so does khoci in that part, the same one: the
newer kernel with ``virtme.config``.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
from dataclasses import replace
from pathlib import Path

import click

from bench.others import Virtme, VmTest, VngError, installed
from bench.pair import Pair
from bench.rounds import in_turn, show
from khoci.compat.ready import Producers
from khoci.kernel.build import How
from khoci.kernel.store import obtain
from khoci.progress import progress_for

_FRAGMENT = Path(__file__).with_name("virtme.config")


def main() -> None:
    """Run all ways in turn, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kernels", type=lambda text: text.split(","), default=["7.2", "7.3"])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("-j", "--jobs", type=int, help="of make, for the kernel of virtme-ng")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="khoci-bench-") as folder:
        pair = Pair.get(chosen.kernels, Path(folder))
        asyncio.run(_handovers(pair, chosen.rounds))
        asyncio.run(_boots(pair, chosen.rounds, chosen.jobs))


async def _handovers(pair: Pair, rounds: int) -> None:
    test = VmTest.prepare(pair.specs[1], pair.folder / "vmtest", pair.bench.accelerator.name)
    producer, consumer = pair.kernels
    kept = Producers(2)
    joint = {
        "cell, its producer kept": lambda: pair.cell(kept),
        "cell, its producer booted": lambda: pair.cell(None),
        "a boot of both for each scenario": pair.each_alone,
    }
    alone = {
        "cell of kho-test, its producer kept": lambda: pair.kernel_test(kept),
        "cell of kho-test, its producer booted": lambda: pair.kernel_test(None),
        "vmtest.sh, boot part": lambda: test.run(producer.image, consumer.image),
    }
    try:
        await pair.cell(kept)
        await pair.kernel_test(kept)
        taken = await in_turn({**joint, **alone}, rounds)
    finally:
        kept.close()
    click.echo(f"{pair}: medians of {rounds}")
    show({name: taken[name] for name in joint})
    click.echo("the kernel's own test on the same images:")
    show({name: taken[name] for name in alone})


async def _boots(pair: Pair, rounds: int, jobs: int | None) -> None:
    """Boot one image by khoci and by virtme-ng."""
    found = installed("vng")
    if found is None:
        click.echo("virtme-ng is not installed: pip install --group bench")
        return
    spec = replace(pair.specs[1], config=(*pair.specs[1].config, _FRAGMENT))
    kernel = obtain(spec, progress_for(), how=How(jobs))
    try:
        vng = Virtme(found, kernel.image, pair.bench.accelerator.name, pair.folder)
        taken = await in_turn(
            {
                "one boot to /init": lambda: pair.to_user_space(pair.booted(kernel)),
                "vng --run to /init": vng.to_user_space,
                "vng --run of a command": vng.run,
                "vng --dry-run, no boot in it": vng.dry_run,
            },
            rounds,
        )
    except VngError as error:
        click.echo(f"virtme-ng does not get to user space with {kernel.name}: {error}")
        return
    click.echo(f"{kernel.name} with {_FRAGMENT.name}: medians of {rounds}")
    show(taken)


if __name__ == "__main__":
    main()
