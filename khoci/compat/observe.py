"""One boot: the producer, the jump, the consumer; in a chain, that consumer hands over again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import TypeVar

from khoci.compat.arrival import Arrival
from khoci.compat.atjump import AtJump, Standing, Tamper
from khoci.compat.facts import Facts
from khoci.compat.ready import PRODUCER_LOG, Producers, Ready, Start, booted, failing
from khoci.compat.scratch import scratch_array
from khoci.compat.side import Side, log_completed
from khoci.files import write_atomic
from khoci.format.capture import Kernel
from khoci.format.handoff import find_handoffs
from khoci.guest.session import Agent, Images, jump, load_consumer, send_images
from khoci.scenario.base import NotPossibleError, Scenario, State
from khoci.vm.guest import Guest
from khoci.vm.machine import Machine
from khoci.vm.ram import GuestRam

T = TypeVar("T")


@dataclass(frozen=True)
class Route:
    """All that a boot takes.

    Attributes:
        sides: the kernels in the order they run, two or more.
        machine: the guest that boots the first.
        initrd: the initramfs of the others.
        scenarios: what is preserved.
        folder: where logs and captures go; it exists.
        tamper: changes the handover on purpose; None to leave it alone.
    """

    sides: tuple[Side, ...]
    machine: Machine
    initrd: Path
    scenarios: tuple[Scenario, ...]
    folder: Path
    tamper: Tamper | None = None

    def hop_folder(self, number: int) -> Path:
        """Where what belongs to one handover goes, made if needed; the first is number 0."""
        folder = self.folder if len(self.sides) == 2 else self.folder / f"hop-{number + 1}"
        folder.mkdir(exist_ok=True)
        return folder


@dataclass(frozen=True)
class Observed:
    """What was seen of a boot.

    Attributes:
        hops: facts of each handover that was made; fewer than there should be if a consumer died.
        impossible: why the producer cannot do a scenario, by its name.
    """

    hops: tuple[Facts, ...]
    impossible: Mapping[str, str] = field(default_factory=dict)


async def observe(route: Route, producers: Producers | None = None) -> Observed:
    """Boot and look.

    Args:
        route: what to boot.
        producers: where a producer is taken that is ready to hand over; None to boot it anew.

    Raises:
        HarnessError: QEMU failed, a producer did not get to the jump, or an agent failed.
        NotPossibleError: the producer can do none of the scenarios.
    """
    log = route.folder / "qemu.log"
    start = Start(route.sides[0], route.machine, route.scenarios)
    if producers is None:
        async with booted(start, log, route.hop_folder(0)) as (guest, ready):
            return await _travel(route, guest, ready)
    async with producers.resumed(start, log) as (guest, ready):
        return await _travel(route, guest, ready)


async def _travel(route: Route, guest: Guest, ready: Ready) -> Observed:
    journey = _Journey(route, guest, ready)
    try:
        await journey.run()
    finally:
        journey.keep_logs()
    return Observed(journey.hops, ready.impossible)


class _Journey:
    """A boot while it runs."""

    def __init__(self, route: Route, guest: Guest, ready: Ready) -> None:
        self._route = route
        self._guest = guest
        self._states = ready.states
        self._watch = ready.watch
        self._scratch = ready.scratch
        self._stale: Collection[int] = ()
        self._release = ready.release
        self._jumps: list[int] = []
        self._hops: list[Facts] = []

    @property
    def hops(self) -> tuple[Facts, ...]:
        """What was seen of each handover, with the logs of both of its sides."""
        logs = self._logs()
        return tuple(
            replace(
                facts,
                producer_log=logs[number],
                consumer_log=logs[number + 1],
                cold=number == 0,
            )
            for number, facts in enumerate(self._hops)
        )

    async def run(self) -> None:
        """Go on from the first kernel until the last one was looked at, or one dies."""
        sides, states = self._route.sides, self._states
        for producer, consumer in pairwise(sides):
            at_jump, release = await self._hand_over(producer, consumer), self._release
            last = consumer is sides[-1]
            arrival = Arrival(
                self._guest, consumer, self._route.scenarios, at_jump, self._watch, last=last
            )
            arrived = await arrival.look(states)
            phases = self._watch.take()
            self._hops.append(replace(arrived.facts, producer_release=release, phases=phases))
            self._release = arrived.facts.consumer.release if arrived.facts.consumer else ""
            if arrived.facts.end or last:
                return
            self._scratch = scratch_array(arrived.scratch)
            states = await self._again(consumer, arrived.held)

    def keep_logs(self) -> None:
        """Write the console, cut at the jumps."""
        logs = self._logs()
        for number, log in enumerate(logs):
            if number < len(self._route.sides) - 1:
                write_atomic(self._route.hop_folder(number) / PRODUCER_LOG, log)
            if number:
                write_atomic(self._route.hop_folder(number - 1) / "consumer.log", log)

    def _logs(self) -> list[str]:
        ends = [*self._jumps, len(self._guest.console)]
        parts = zip([0, *self._jumps], ends, strict=True)
        return [self._guest.console[start:end].decode("utf-8", "replace") for start, end in parts]

    async def _again(self, side: Side, held: Mapping[str, State]) -> dict[str, State]:
        """Have a consumer preserve what it was given, for the next one."""
        self._watch.begin("scenario")
        self._stale = await in_thread(lambda: _handoffs(self._guest.ram))
        with failing(side, self._guest):
            agent, states = Agent(self._guest), dict[str, State]()
            for scenario in self._route.scenarios:
                with suppress(NotPossibleError):
                    states[scenario.name] = await scenario.again(agent, held.get(scenario.name))
            return states

    async def _hand_over(self, producer: Side, consumer: Side) -> AtJump:
        """Bring a producer to the jump and look at it there; then let it go."""
        guest = self._guest
        self._watch.begin("jump")
        with failing(producer, guest):
            address = await self._jump(producer, consumer)
        self._jumps.append(len(guest.console))
        self._watch.begin("look")
        at_jump = await in_thread(lambda: self._look(producer))
        await guest.clear_break(address)
        self._watch.begin("early boot")
        await guest.run()
        return at_jump

    async def _jump(self, producer: Side, consumer: Side) -> int:
        """Have the producer jump; return the address where it is stopped now."""
        guest, agent = self._guest, Agent(self._guest)
        finalize = all(scenario.finalize for scenario in self._route.scenarios)
        address = await producer.jump_address(agent)
        images = await self._send(agent, consumer)
        await load_consumer(agent, consumer.cmdline, images, finalize=finalize)
        await log_completed(agent, guest, "jump")
        await guest.interrupt()
        await guest.break_at(address)
        await guest.run()
        await jump(agent)
        await guest.wait_for_break()
        return address

    async def _send(self, agent: Agent, consumer: Side) -> Images:
        kernel, initrd = await in_thread(
            lambda: (consumer.image.read_bytes(), self._route.initrd.read_bytes())
        )
        return await send_images(agent, self._guest.ram, kernel, initrd)

    def _look(self, producer: Side) -> AtJump:
        standing = Standing(
            producer=Kernel(producer.name, producer.release, producer.key),
            ram=self._guest.ram,
            scratch=self._scratch,
            stale=self._stale,
            scenarios=self._route.scenarios,
            folder=self._route.hop_folder(len(self._jumps) - 1),
            tamper=self._route.tamper,
            known=producer.known,
        )
        return standing.look()


async def in_thread(work: Callable[[], T]) -> T:
    """Run ``work`` beside the event loop; never return while it still uses the guest's memory."""
    task = asyncio.ensure_future(asyncio.to_thread(work))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise


def _handoffs(ram: GuestRam) -> frozenset[int]:
    """Where hand-offs are in memory now."""
    return frozenset(address for item in find_handoffs(ram) for address in item.seen)
