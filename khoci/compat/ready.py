"""A producer that has preserved all it should and waits, so that many consumers need one boot."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from khoci.compat import loglines
from khoci.compat.scratch import read_scratch, scratch_array
from khoci.compat.side import Side
from khoci.compat.stopwatch import Stopwatch
from khoci.errors import HarnessError
from khoci.files import write_atomic
from khoci.guest.session import Agent, AgentError
from khoci.scenario.base import NotPossibleError, Scenario, State
from khoci.vm.guest import Guest, GuestEndedError, Parked, resume_guest, start_guest
from khoci.vm.machine import Machine
from khoci.vm.ram import ACCOUNT

PRODUCER_LOG = "producer.log"
_PARKED = 96 << 20
"""What a guest may have touched when it is parked, besides what depends on its size."""


def most_parked(memory: int) -> int:
    """Bytes that a producer with so much RAM may hold to be kept."""
    return min(memory, _PARKED + memory // ACCOUNT)


@dataclass(frozen=True)
class Start:
    """What a producer that is ready depends on, whoever it will hand over to.

    Attributes:
        side: the producer.
        machine: the guest that boots it.
        scenarios: what it preserves.
    """

    side: Side
    machine: Machine
    scenarios: tuple[Scenario, ...]

    @property
    def key(self) -> tuple[str, Machine, tuple[str, ...]]:
        """Equal for two that need to be booted only once."""
        return self.side.key, self.machine, tuple(scenario.name for scenario in self.scenarios)


@dataclass(frozen=True)
class Ready:
    """A producer that only has to load a consumer and jump.

    Attributes:
        release: what it calls itself.
        scratch: its scratch areas, None if it does not show them.
        states: what each scenario preserved, by its name.
        impossible: why it cannot do a scenario, by its name.
        watch: times what comes; it has timed what was.
    """

    release: str
    scratch: bytes | None
    states: Mapping[str, State]
    impossible: Mapping[str, str]
    watch: Stopwatch = field(default_factory=Stopwatch)


async def get_ready(guest: Guest, start: Start, folder: Path) -> Ready:
    """Boot a producer and have it preserve what it can.

    Args:
        guest: that was not let go yet.
        start: the producer, and what is preserved.
        folder: where its log goes if it does not get there; it exists.

    Raises:
        HarnessError: it died, or its agent failed.
        NotPossibleError: it can do none of the scenarios.
    """
    try:
        return await _get_ready(guest, start)
    except BaseException:
        write_atomic(folder / PRODUCER_LOG, guest.console.decode("utf-8", "replace"))
        raise


async def _get_ready(guest: Guest, start: Start) -> Ready:
    watch = Stopwatch()
    watch.begin("boot")
    await guest.run()
    with failing(start.side, guest):
        agent = Agent(guest)
        release = (await agent.hello()).release
        scratch = scratch_array(await read_scratch(agent))
        watch.begin("scenario")
        states, impossible = await _preserve(agent, start.scenarios)
    return Ready(release, scratch, states, impossible, watch)


async def _preserve(
    agent: Agent, scenarios: tuple[Scenario, ...]
) -> tuple[dict[str, State], dict[str, str]]:
    states: dict[str, State] = {}
    impossible: dict[str, str] = {}
    for scenario in scenarios:
        try:
            states[scenario.name] = await scenario.preserve(agent)
        except NotPossibleError as error:
            impossible[scenario.name] = str(error)
    if not states:
        raise NotPossibleError("; ".join(dict.fromkeys(impossible.values())))
    return states, impossible


@dataclass
class _Place:
    """Where one producer is kept, who waits for it, and whether it is too large for that."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    kept: tuple[Parked, Ready] | None = None
    users: int = 0
    large: bool = False


class Producers:
    """Producers that are ready, each kept while others with the same start may come.

    A run asks for one after the other, so those that were used last are kept, at most ``most`` at a
    time. Where there is no room for another one, or it holds too much, it is booted for each.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._places: OrderedDict[object, _Place] = OrderedDict()

    @asynccontextmanager
    async def resumed(self, start: Start, log: Path) -> AsyncIterator[tuple[Guest, Ready]]:
        """A producer of its own for the length of a block, stopped where it is ready.

        Raises:
            HarnessError, NotPossibleError: as `get_ready`; or QEMU cannot keep a guest.
        """
        async with self._place(start) as place:
            kept = await _kept(place, start, log) if place else None
            if kept is None:
                async with booted(start, log, log.parent) as found:
                    yield found
                return
            parked, ready = kept
            watch = Stopwatch()
            watch.begin("resume")
            async with resume_guest(parked, log) as guest:
                await guest.run()
                yield guest, replace(ready, watch=watch)

    @asynccontextmanager
    async def _place(self, start: Start) -> AsyncIterator[_Place | None]:
        if start.key not in self._places:
            self._drop(self._most - 1)
            if len(self._places) >= self._most:
                yield None
                return
        place = self._places.setdefault(start.key, _Place())
        self._places.move_to_end(start.key)
        place.users += 1
        try:
            yield place
        finally:
            place.users -= 1
            self._drop(self._most)

    def close(self) -> None:
        """Give all of them up."""
        self._drop(0)

    def _drop(self, most: int) -> None:
        unused = [key for key, place in self._places.items() if not place.users]
        for key in unused[: max(0, len(self._places) - max(0, most))]:
            kept = self._places.pop(key).kept
            if kept is not None:
                kept[0].close()


@asynccontextmanager
async def booted(start: Start, log: Path, folder: Path) -> AsyncIterator[tuple[Guest, Ready]]:
    """A producer for the length of a block, booted for it.

    Raises:
        HarnessError, NotPossibleError: as `get_ready`.
    """
    async with start_guest(start.machine, log) as guest:
        yield guest, await get_ready(guest, start, folder)


async def _kept(place: _Place, start: Start, log: Path) -> tuple[Parked, Ready] | None:
    """The producer of a place, made if needed; None if it is too large to be kept."""
    async with place.lock:
        if place.kept is None and not place.large:
            parked, ready = await _parked(start, log)
            if parked.ram.touched <= most_parked(start.machine.memory):
                place.kept = parked, ready
            else:
                parked.close()
                place.large = True
    return place.kept


async def _parked(start: Start, log: Path) -> tuple[Parked, Ready]:
    async with booted(start, log, log.parent) as (guest, ready):
        return await guest.park(), ready


@contextmanager
def failing(side: Side, guest: Guest) -> Iterator[None]:
    """Say in one line what keeps a producer from its jump."""
    try:
        yield
    except AgentError as error:
        raise HarnessError(f"{side.name}: {error}") from None
    except GuestEndedError as error:
        raise HarnessError(_did_not_jump(side, guest, error)) from None


def _did_not_jump(side: Side, guest: Guest, error: GuestEndedError) -> str:
    log = guest.console.decode("utf-8", "replace")
    panics = loglines.Log(log, loglines.shipped()).each("panic")
    line = next(iter(panics), loglines.last_line(log)) or "its console is empty"
    return f"{side.name}: did not get to the jump, {error}: {line}"
