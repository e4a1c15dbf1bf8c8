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
from khoci.vm.accel import working_accelerator
from khoci.vm.available import available_memory
from khoci.vm.machine import ACCELERATORS, TCG

_BESIDE = 128 << 20
"""Of a guest besides its RAM."""


def prepare(
    specs: Sequence[KernelSpec],
    points: Sequence[Point],
    accelerator: str | None,
    cache: Path,
    progress: Progress,
) -> list[Setup]:
    """A setup for each kernel; those that are not built yet are, with the driver.

    Args:
        specs: the kernels, without it.
        points: that are going to be measured.
        accelerator: for the boots by the clock; None for what works here.
        cache: where all that is made is kept.
        progress: who is told how far a build is.

    Raises:
        HarnessError: a kernel or the agent cannot be built.
        UsageError: a kernel is a ready image.
    """
    with_it = [with_driver(spec) for spec in specs]
    initrd = consumer_initramfs(build_agent(cache), cache)
    memory = memory_for(points)
    by_clock = ACCELERATORS.get(accelerator or "", TCG)
    built = [obtain(spec, progress) for spec in with_it]
    found = [Setup(kernel, initrd, memory, by_clock) for kernel in built]
    if accelerator is None:
        machine = found[0].machine(EMPTY, counted=False)
        works = asyncio.run(working_accelerator(machine, greeted, cache))
        found = [replace(setup, accelerator=works) for setup in found]
    return found


def jobs_here(points: Sequence[Point], asked: int | None) -> int:
    """How many guests at once there are cores and memory for.

    Raises:
        UnfitError: not one, or not as many as are asked for.
    """
    memory, available = memory_for(points), available_memory()
    wanted = asked or os.cpu_count() or 1
    if available is None:
        return wanted
    fitting = available // (memory + _BESIDE)
    if fitting < (asked or 1):
        raise UnfitError(
            f"not enough memory: {asked or 1} guest(s) of {memory / (1 << 30):.1f} GiB, and "
            f"{available / (1 << 30):.1f} GiB are available: choose a smaller --most, or -j"
        )
    return min(wanted, fitting)
