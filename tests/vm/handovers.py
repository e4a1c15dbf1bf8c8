"""Real handovers in the making: a kernel at the jump, with what its agent was told to preserve."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from khoci.compat.cmdline import kernel_cmdline
from khoci.compat.scratch import read_scratch, scratch_array
from khoci.compat.side import JUMP, log_completed
from khoci.config.kernels import load_kernels
from khoci.config.matrix import GuestConfig
from khoci.errors import HarnessError
from khoci.format import handoff
from khoci.guest.build import build_agent
from khoci.guest.initramfs import consumer_initramfs, producer_initramfs
from khoci.guest.session import Agent, jump, load_consumer
from khoci.kernel.cache import Artifact
from khoci.kernel.store import obtain
from khoci.paths import cache_dir, data_dir
from khoci.progress import LineProgress
from khoci.scenario.base import Scenario
from khoci.vm.guest import Guest, start_guest
from khoci.vm.machine import TCG, Machine
from khoci.vm.ram import GuestRam
from khoci.vm.symbols import address_of

T = TypeVar("T")
LIMIT = 60.0
SMALL = GuestConfig(memory=512 << 20, scratch="16M,128M,64M", cmdline="liveupdate=on")
"""Room enough for both sides, and a RAM file that is quickly copied."""

ALONE = Scenario("handover", "", "luo", cmdline="initcall_blacklist=kho_test_init")
"""Nothing is preserved but what the agent is told to."""


@dataclass(frozen=True)
class Standing(Generic[T]):
    """A producer at the jump.

    Attributes:
        ram: its memory, live.
        fdt_addr: physical address of the root FDT.
        scratch: the scratch areas as the kernel has them.
        log: its console up to here.
        prepared: what ``Handover.prepare`` returned.
    """

    ram: GuestRam
    fdt_addr: int
    scratch: bytes | None
    log: str
    prepared: T


@dataclass(frozen=True)
class Handover(Generic[T]):
    """One handover, and who takes part in it.

    Attributes:
        producer: the kernel that is booted.
        consumer: the kernel that it starts.
        prepare: tells the producer's agent what to preserve.
        look: is called at the jump; None to pass by.
        check: asks the consumer's agent, with what ``prepare`` returned; None for no consumer.
        guest: the machine's shape.
        scenario: what is on the command line of both sides.
    """

    producer: Artifact
    consumer: Artifact
    prepare: Callable[[Agent], Awaitable[T]]
    look: Callable[[Standing[T]], object] | None = None
    check: Callable[[Agent, T], Awaitable[None]] | None = None
    guest: GuestConfig = SMALL
    scenario: Scenario = ALONE


def built(name: str) -> Artifact:
    """A kernel of ``matrix/kernels.toml``, built if the cache has it not."""
    spec = load_kernels(data_dir("matrix") / "kernels.toml").select(name)
    return obtain(spec, LineProgress(sys.__stderr__))


def run(handover: Handover[T], folder: Path) -> str:
    """Make the handover; return the whole console. It is left in ``folder`` too."""
    return asyncio.run(asyncio.wait_for(_run(handover, folder), LIMIT))


async def _run(handover: Handover[T], folder: Path) -> str:
    async with start_guest(_machine(handover), folder / "qemu.log") as guest:
        try:
            standing = await _bring_to_jump(handover, guest)
            if handover.look:
                handover.look(standing)
            if handover.check:
                await guest.clear_break(_jump(handover))
                await guest.run()
                agent = await _consumer(handover, guest)
                await handover.check(agent, standing.prepared)
                await log_completed(agent, guest, "checked")
        finally:
            (folder / "console.log").write_bytes(guest.console)
        return guest.console.decode("utf-8", "replace")


async def _bring_to_jump(handover: Handover[T], guest: Guest) -> Standing[T]:
    agent = Agent(guest)
    await guest.break_at(_jump(handover))
    await guest.run()
    await agent.hello()
    scratch = await read_scratch(agent)
    prepared = await handover.prepare(agent)
    await load_consumer(
        agent, kernel_cmdline(handover.guest, [handover.scenario], handover.consumer.cmdline)
    )
    await log_completed(agent, guest, "jump")
    await jump(agent)
    await guest.wait_for_break()
    found = handoff.locate(guest.ram)
    if found is None:
        raise HarnessError(f"{handover.producer.release}: nothing is handed over")
    log = guest.console.decode("utf-8", "replace")
    return Standing(guest.ram, found.fdt_addr, scratch_array(scratch), log, prepared)


async def _consumer(handover: Handover[T], guest: Guest) -> Agent:
    agent = Agent(guest)
    hello = await agent.hello()
    if hello.release != handover.consumer.release:
        raise HarnessError(f"{hello.release} came up instead of {handover.consumer.release}")
    return agent


def _jump(handover: Handover[T]) -> int:
    if handover.producer.system_map is None:
        raise HarnessError(f"{handover.producer.release}: has no System.map")
    return address_of(JUMP, handover.producer.system_map)


def _machine(handover: Handover[T]) -> Machine:
    cache = cache_dir()
    agent = build_agent(cache)
    inner = consumer_initramfs(agent, cache)
    return Machine(
        kernel=handover.producer.image,
        initrd=producer_initramfs(agent, handover.consumer.image, inner, cache),
        cmdline=kernel_cmdline(handover.guest, [handover.scenario], handover.producer.cmdline),
        memory=handover.guest.memory,
        cpus=handover.guest.cpus,
        accelerator=TCG,
        arch=handover.producer.arch,
    )
