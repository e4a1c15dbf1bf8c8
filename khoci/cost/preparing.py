"""What has to be there before anything is measured: kernels with the driver, an agent, room."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from khoci.config.kernels import KernelSpec
from khoci.cost.boot import Setup, memory_for
from khoci.cost.driver import with_driver
from khoci.costs import EMPTY, Point
from khoci.errors import UnfitError
from khoci.guest.build import build_agent
from khoci.guest.initramfs import consumer_initramfs
from khoci.guest.session import greeted
from khoci.kernel.store import obtain
from khoci.progress import Progress
from khoci.vm.accel import check_accelerator, working_accelerator
from khoci.vm.available import available_memory
from khoci.vm.machine import ACCELERATORS, TCG
from khoci.vm.tools import check_tools

_GIB = 1 << 30
_BESIDE = 128 << 20
"""Of a guest besides its RAM."""


def check(specs: Sequence[KernelSpec]) -> None:
    """See, before anything is built, that these kernels can have the driver, and guests run here.

    Raises:
        UnfitError: a program is not installed.
        UsageError: a kernel is a ready image.
    """
    check_tools(with_driver(spec).arch for spec in specs)


def prepare(
    specs: Sequence[KernelSpec],
    points: Sequence[Point],
    accelerator: str | None,
    cache: Path,
    progress: Progress,
) -> list[Setup]:
    """A setup for each kernel; those that are not built yet are, with the driver.

    Args:
        specs: the kernels, without it; seen by `check`.
        points: that are going to be measured.
        accelerator: for the boots by the clock; None for what works here.
        cache: where all that is made is kept.
        progress: who is told how far a build is.

    Raises:
        HarnessError: a kernel or the agent cannot be built.
        UnfitError: no guest comes up here.
    """
    with_it = [with_driver(spec) for spec in specs]
    initrd = consumer_initramfs(build_agent(cache), cache)
    memory = memory_for(points)
    by_clock = ACCELERATORS.get(accelerator or "", TCG)
    first = Setup(obtain(with_it[0], progress), initrd, memory, by_clock)
    machine = first.machine(EMPTY, counted=False)
    if accelerator is None:
        first = replace(
            first, accelerator=asyncio.run(working_accelerator(machine, greeted, cache))
        )
    else:
        asyncio.run(check_accelerator(machine, greeted))
    return [first, *(replace(first, kernel=obtain(spec, progress)) for spec in with_it[1:])]


def jobs_here(points: Sequence[Point], asked: int | None) -> tuple[int, str | None]:
    """How many guests at once there are cores and memory for; a line if they are fewer than cores.

    Raises:
        UnfitError: not one, or not as many as are asked for.
    """
    memory, available = memory_for(points), available_memory()
    wanted = asked or os.cpu_count() or 1
    fitting = wanted if available is None else available // (memory + _BESIDE)
    if available is None or fitting >= wanted:
        return wanted, None
    one, there = (memory + _BESIDE) / _GIB, f"{available / _GIB:.1f} GiB are available"
    if not fitting:
        raise UnfitError(f"a guest takes {one:.1f} GiB, and {there}: choose a smaller --most")
    both = f"{wanted} guests at once take {wanted * one:.1f} GiB, and {there}"
    if asked is not None:
        raise UnfitError(f"not enough memory: {both}: -j {fitting} fits, or a smaller --most")
    return fitting, f"{both}: running with -j {fitting}"
