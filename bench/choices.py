"""What was chosen for a boot, against what could have been: the same boot with one thing changed.

``python -m bench.choices [--kernel NAME] [--rounds N]``: a quiet boot from power on until the
kernel starts /init, as khoci boots it, with other memory, without a word of the command line, with
its image compressed in other ways, and not at all: its ELF file, which QEMU starts by PVH (for
which the kernel has to be one for a guest of a hypervisor). First the instructions, counted by QEMU
(``-icount``), then the clock, in turn. The images are built anew.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import click

from bench.builds import built, make_in, tree_of
from bench.pair import Pair
from bench.rounds import in_turn, show
from bench.toinit import INIT, ToInit, quiet
from khoci.config.kernels import KernelSpec
from khoci.kernel.arch import ARCHES
from khoci.kernel.cache import SYSTEM_MAP
from khoci.kernel.made import made_image, made_system_map
from khoci.vm.machine import TCG
from khoci.vm.symbols import address_of

_COMPRESSIONS = ("GZIP", "ZSTD", "XZ")
_ELF = "CONFIG_HYPERVISOR_GUEST=y\nCONFIG_PVH=y\n"
_WORDS = ("nolapic_timer",)
_MEMORY = (512, 2048)
"""MiB."""


def main() -> None:
    """Build, count, time all in turn, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kernel", default="7.3")
    parser.add_argument("--rounds", type=int, default=5)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        pair = Pair.get([chosen.kernel], Path(folder), TCG.name)
        asyncio.run(_compare(dict(_boots(pair, Path(folder))), chosen.rounds))


async def _compare(boots: Mapping[str, ToInit], rounds: int) -> None:
    counted = {name: await boot.instructions() for name, boot in boots.items()}
    usual = next(iter(counted.values()))
    for name, instructions in counted.items():
        size = boots[name].machine.kernel.stat().st_size
        click.echo(
            f"  {name:<40} {instructions / 1e6:7.1f} million instructions"
            f"  ratio {instructions / usual:.2f}  image {size / 1e6:.1f} MB"
        )
    click.echo(f"medians of {rounds}")
    show(await in_turn({name: boot.run for name, boot in boots.items()}, rounds))


def _boots(pair: Pair, folder: Path) -> Iterator[tuple[str, ToInit]]:
    usual = pair.to_init(quiet(pair.consumer))
    machine = usual.machine
    yield "as it is", usual
    for word in _WORDS:
        words = (each for each in machine.cmdline.split() if each != word)
        yield f"without {word}", replace(usual, machine=replace(machine, cmdline=" ".join(words)))
    for size in _MEMORY:
        yield f"memory {size}M", replace(usual, machine=replace(machine, memory=size << 20))
    for name, image, system_map in _images(pair.specs[1], folder):
        there = address_of(INIT, system_map)
        yield name, ToInit(replace(machine, kernel=image), there, usual.log)


def _images(spec: KernelSpec, folder: Path) -> Iterator[tuple[str, Path, Path]]:
    """The kernel with other images, built in one tree: their files, and each its System.map."""
    fragment = folder / "other.config"
    other = replace(spec, config=(*spec.config, fragment))
    target = ARCHES[spec.arch].target
    with tree_of(spec) as tree:
        make = make_in(tree, len(os.sched_getaffinity(0)))
        for name in _COMPRESSIONS:
            fragment.write_text(f"# CONFIG_KERNEL_LZ4 is not set\nCONFIG_KERNEL_{name}=y\n")
            built(make, other, (target,))
            image = made_image(spec.name, tree, ARCHES[spec.arch].image)
            yield name.lower(), *_copied(spec, image, tree, folder / name)
        fragment.write_text(_ELF)
        built(make, other, ("vmlinux",))
        yield "not compressed, by PVH", *_copied(spec, make.objects / "vmlinux", tree, folder / "E")


def _copied(spec: KernelSpec, image: Path, tree: Path, target: Path) -> tuple[Path, Path]:
    target.mkdir()
    shutil.copyfile(image, target / "image")
    shutil.copyfile(made_system_map(spec.name, tree), target / SYSTEM_MAP)
    return target / "image", target / SYSTEM_MAP


if __name__ == "__main__":
    main()
