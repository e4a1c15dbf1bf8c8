"""The consumer: whether it comes up, and what became of all that was handed over to it."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace

from khoci.compat import look
from khoci.compat.atjump import AtJump
from khoci.compat.facts import ConsumerFacts, Facts, RegionFact
from khoci.compat.memory import READ_AT_BOOT, READ_LATER
from khoci.compat.revived import revived
from khoci.compat.scratch import Areas, read_scratch, was_given
from khoci.compat.side import Side, log_completed
from khoci.compat.stopwatch import Stopwatch
from khoci.errors import HarnessError
from khoci.guest.session import Agent, AgentError
from khoci.scenario.base import Checked, Scenario, State
from khoci.vm.guest import Guest, GuestEndedError

PRESSURE_PERCENT = 10
PRESSURE_MOST = 48 << 20
DRAIN = 8 << 20
"""So much is freed at once before: what a CPU keeps for itself goes back to all then."""
ALMOST_ALL = 85


@dataclass(frozen=True)
class Arrived:
    """What was seen of a consumer.

    Attributes:
        facts: without the logs.
        held: by scenario, what its user space holds now, for the next handover.
        scratch: its scratch areas, None if it does not show them.
    """

    facts: Facts
    held: Mapping[str, State]
    scratch: Areas | None = None


class Arrival:
    """A consumer that was started, until it was looked at or died."""

    def __init__(
        self,
        guest: Guest,
        side: Side,
        scenarios: tuple[Scenario, ...],
        at_jump: AtJump,
        watch: Stopwatch,
        *,
        last: bool,
    ) -> None:
        self._guest = guest
        self._watch = watch
        self._agent = Agent(guest)
        self._side = side
        self._scenarios = scenarios
        self._misread = at_jump.misread
        self._contents = at_jump.contents
        self._last = last
        self._held: dict[str, State] = {}
        self._scratch: Areas | None = None
        self._facts = Facts(
            scenario="+".join(scenario.name for scenario in scenarios),
            handed=at_jump.handed,
            consumer_log="",
            regions=at_jump.regions,
            consumer_has=side.has,
        )

    async def look(self, states: Mapping[str, State]) -> Arrived:
        """Wait for the consumer and see what it made of the handover.

        Args:
            states: what each scenario preserved.

        Raises:
            HarnessError: the agent failed, or another kernel came up.
        """
        try:
            await self._ask(states)
        except GuestEndedError as error:
            self._facts = replace(self._facts, end=error.ended)
        except AgentError as error:
            raise HarnessError(f"{self._side.name}: {error}") from None
        return Arrived(self._facts, self._held, self._scratch)

    async def _ask(self, states: Mapping[str, State]) -> None:
        await self._greet()
        self._watch.begin("restore")
        await self._see_arrived()
        await self._overwrite_free()
        await self._verify(states)
        self._watch.begin("last look")
        if any(scenario.crash for scenario in self._scenarios):
            await self._crash()
        if self._last:
            for scenario in self._wanted(states):
                await scenario.release(self._agent, self._held[scenario.name])
        complaint = await self._use_memory()
        self._set_consumer(replace(self._consumer, complaint=complaint))
        regions = await look.at_the_end(self._guest.ram, self._agent, self._facts.regions)
        self._facts = replace(self._facts, regions=regions)
        await self._agent.command("relax")
        await log_completed(self._agent, self._guest, "checked")

    async def _greet(self) -> None:
        hello = await self._agent.hello()
        if self._side.release and hello.release != self._side.release:
            raise HarnessError(f"{self._side.name}: the kernel that came up is {hello.release}")
        self._scratch = await read_scratch(self._agent)
        given = await was_given(self._agent)
        self._set_consumer(ConsumerFacts(hello.release, hello.kho, self._scratch, given=given))

    async def _see_arrived(self) -> None:
        ram = self._guest.ram
        regions = await look.on_arrival(ram, self._agent, self._facts.regions, self._contents)
        counts = await look.page_counts(self._agent, self._misread)
        misread = tuple(
            RegionFact("misread", item.start, item.size, "", pages=count)
            for item, count in zip(self._misread, counts, strict=True)
        )
        self._facts = replace(self._facts, regions=regions, misread=misread)
        has = await revived(self._agent, ram, self._side)
        if has is not None:
            found = {name: (item.start, item.size) for name, item in has.items()}
            self._set_consumer(replace(self._consumer, revived=found))

    async def _overwrite_free(self) -> None:
        """Use the consumer's free memory, if what else would only now be read is all that is in it.

        Who finds it equal nevertheless has read it before, and rightly gave it back.
        """
        free = {item.owner for item in self._facts.regions if item.pages and item.pages.free}
        if not free & set(READ_LATER) or free - {*READ_LATER, *READ_AT_BOOT}:
            return
        self._guest.ram.check_room()
        with suppress(AgentError):
            await self._agent.command("pressure", percent=ALMOST_ALL, max=self._guest.ram.size)
        ram, contents = self._guest.ram, self._contents
        now = await look.on_arrival(ram, self._agent, self._facts.regions, contents)
        regions = tuple(
            new if old.owner in READ_LATER else old
            for old, new in zip(self._facts.regions, now, strict=True)
        )
        self._facts = replace(self._facts, regions=regions)

    async def _verify(self, states: Mapping[str, State]) -> None:
        checked: list[Checked] = []
        for scenario in self._wanted(states):
            found = await scenario.verify(self._agent, states[scenario.name])
            checked += [replace(item, scenario=scenario.name) for item in found.checked]
            self._held[scenario.name] = found.held
            self._set_consumer(replace(self._consumer, checked=tuple(checked)))

    def _wanted(self, states: Mapping[str, State]) -> list[Scenario]:
        return [scenario for scenario in self._scenarios if scenario.name in states]

    async def _crash(self) -> None:
        self._facts = replace(self._facts, crash=True)
        await log_completed(self._agent, self._guest, "panic on purpose")
        await self._agent.command("crash")
        await self._guest.next_line()

    async def _use_memory(self) -> str:
        """Make the consumer allocate and write memory; say what went wrong with that.

        It holds that memory: what was given up is used again, or marked as free, and neither is
        in a list of free pages that shows no mark.
        """
        try:
            await self._agent.command("pressure", percent=PRESSURE_PERCENT, max=DRAIN)
            await self._agent.command(
                "pressure", percent=PRESSURE_PERCENT, max=PRESSURE_MOST, hold=1
            )
        except AgentError as error:
            return str(error)
        return ""

    @property
    def _consumer(self) -> ConsumerFacts:
        if self._facts.consumer is None:
            raise HarnessError(f"{self._side.name}: was asked before it was up")
        return self._facts.consumer

    def _set_consumer(self, consumer: ConsumerFacts) -> None:
        self._facts = replace(self._facts, consumer=consumer)
