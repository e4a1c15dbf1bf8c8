"""What the cells of a run share, and the boots that are made of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from khoci.abi.patched import known_of
from khoci.compat.atjump import Tamper
from khoci.compat.cmdline import kernel_cmdline
from khoci.compat.observe import Route
from khoci.compat.ready import Producers
from khoci.compat.side import Side
from khoci.config.abi import Releases
from khoci.config.matrix import GuestConfig
from khoci.guest.initramfs import consumer_initramfs, producer_initramfs
from khoci.kernel.cache import Artifact
from khoci.scenario.base import Scenario
from khoci.vm.machine import Accelerator, Machine

WATCHED = ("KEXEC_HANDOVER", "TEST_KEXEC_HANDOVER", "LIVEUPDATE", "LIVEUPDATE_TEST")
"""Kconfig symbols of the consumer that verdicts depend on."""


@dataclass(frozen=True)
class Bench:
    """What all cells of a run share.

    Attributes:
        kernels: built kernels by name.
        broken: why a kernel is not there, by name.
        scenarios: by name.
        guest: the machine's shape.
        accelerator: how guest code is run.
        agent: the static /init.
        matrix: the matrix file, as named on the command line.
        cache: where initramfs images are kept.
        releases: what each release and each patched kernel understands, for the prediction.
        producers: those that are ready, to be used for several cells; None to boot for each.
    """

    kernels: Mapping[str, Artifact]
    broken: Mapping[str, str]
    scenarios: Mapping[str, Scenario]
    guest: GuestConfig
    accelerator: Accelerator
    agent: Path
    matrix: str
    cache: Path
    releases: Releases
    producers: Producers | None = None


def route(
    bench: Bench,
    names: Sequence[str],
    scenarios: Sequence[Scenario],
    folder: Path,
    tamper: Tamper | None = None,
) -> Route:
    """The boot of these kernels, one after the other, with all these scenarios."""
    return Route(
        sides=(
            *(_side(bench, name, scenarios, last=False) for name in names[:-1]),
            _side(bench, names[-1], scenarios, last=True),
        ),
        machine=machine(bench, names[0], scenarios),
        initrd=consumer_initramfs(bench.agent, bench.cache),
        scenarios=tuple(scenarios),
        folder=folder,
        tamper=tamper,
    )


def machine(bench: Bench, name: str, scenarios: Sequence[Scenario]) -> Machine:
    """The guest that boots a kernel; what it starts is sent to it."""
    initrd = consumer_initramfs(bench.agent, bench.cache)
    return booting(bench, bench.kernels[name], scenarios, initrd)


def nested(bench: Bench, names: Sequence[str], scenarios: Sequence[Scenario]) -> Machine:
    """The same for a person: the other kernels are in its initramfs, one in the other."""
    initrd = consumer_initramfs(bench.agent, bench.cache)
    for name in reversed(names[1:]):
        initrd = producer_initramfs(bench.agent, bench.kernels[name].image, initrd, bench.cache)
    return booting(bench, bench.kernels[names[0]], scenarios, initrd)


def booting(bench: Bench, kernel: Artifact, scenarios: Sequence[Scenario], initrd: Path) -> Machine:
    """The guest of this run that boots ``kernel`` with ``initrd``."""
    shape = scenarios[0].shape
    return Machine(
        kernel=kernel.image,
        initrd=initrd,
        cmdline=kernel_cmdline(bench.guest, scenarios, kernel.cmdline),
        memory=shape.memory or bench.guest.memory,
        cpus=bench.guest.cpus,
        accelerator=bench.accelerator,
        arch=kernel.arch,
    )


def consumer_cmdline(bench: Bench, name: str, scenarios: Sequence[Scenario]) -> str:
    """The kernel command line that a kernel is started with, if it is the last."""
    return kernel_cmdline(bench.guest, scenarios, bench.kernels[name].cmdline, consumer=True)


def watched(kernel: Artifact) -> dict[str, bool]:
    """Which of `WATCHED` it has, as far as its configuration is known."""
    known = {symbol: kernel.has(symbol) for symbol in WATCHED}
    return {symbol: value for symbol, value in known.items() if value is not None}


def missing_need(kernel: Artifact, scenario: Scenario) -> str | None:
    """The first kconfig symbol that the scenario needs and its producer does not have."""
    return next((symbol for symbol in scenario.needs if kernel.has(symbol) is False), None)


def _side(bench: Bench, name: str, scenarios: Sequence[Scenario], *, last: bool) -> Side:
    kernel = bench.kernels[name]
    return Side(
        name=name,
        image=kernel.image,
        release=kernel.release,
        key=kernel.key,
        cmdline=kernel_cmdline(bench.guest, scenarios, kernel.cmdline, consumer=last),
        has=watched(kernel),
        system_map=None if scenarios[0].shape.kaslr else kernel.system_map,
        known=known_of(bench.releases.find_for(name, kernel.release)),
    )
