"""Run one cell: boot the producer, stop at the jump, let the consumer run, look at both sides."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TypeVar

from khoci import __version__
from khoci.compat import handed, loglines
from khoci.compat.facts import ConsumerFacts, Facts, PageCounts, RegionFact
from khoci.compat.scratch import read_scratch, scratch_array
from khoci.errors import HarnessError
from khoci.files import atomic_path, write_atomic
from khoci.format import capture, handoff
from khoci.format.capture import Capture, Kernel
from khoci.format.digests import digests
from khoci.format.errors import DecodeError
from khoci.format.handover import Handover, decode
from khoci.format.memory import Recorder
from khoci.format.ranges import Range
from khoci.guest.session import Agent, AgentError, jump, load_consumer
from khoci.scenario.base import Scenario
from khoci.vm.guest import Guest, GuestEndedError, start_guest
from khoci.vm.machine import Machine
from khoci.vm.ram import GuestRam
from khoci.vm.symbols import address_of

JUMP = "machine_kexec"
CAPTURE = "handover.khocap"
PRESSURE_PERCENT = 10
_CHUNK = 1 << 20
_RANGES_AT_ONCE = 512

T = TypeVar("T")


@dataclass(frozen=True)
class CellSetup:
    """All that running a cell takes.

    Attributes:
        producer: its name, for messages.
        consumer: its name, for messages.
        consumer_release: what ``uname -r`` must say in it, empty if unknown.
        machine: the guest that boots the producer.
        system_map: the producer's, where the address of the jump is.
        consumer_cmdline: the consumer's kernel command line.
        consumer_has: kconfig symbols of the consumer, empty if unknown.
        scenario: what is preserved.
        folder: where logs and the capture go.
        kernel: the producer, as the capture names it.
    """

    producer: str
    consumer: str
    consumer_release: str
    machine: Machine
    system_map: Path
    consumer_cmdline: str
    consumer_has: dict[str, bool]
    scenario: Scenario
    folder: Path
    kernel: Kernel


@dataclass(frozen=True)
class _AtJump:
    """What was seen while the producer stood at the jump.

    ``console_end`` is where its log ends in the console.
    """

    handover: Handover | None
    console_end: int
    regions: tuple[RegionFact, ...] = ()
    misread: tuple[Range, ...] = ()


async def observe(setup: CellSetup) -> Facts:
    """Run the cell.

    Raises:
        HarnessError: QEMU failed, the producer did not get to the jump, or the agent failed.
    """
    async with start_guest(setup.machine, setup.folder / "qemu.log") as guest:
        split: int | None = None
        try:
            at_jump = await _produce(setup, guest)
            split = at_jump.console_end
            facts = await _consume(setup, guest, at_jump)
        finally:
            _keep_logs(setup.folder, guest, split)
        return replace(
            facts,
            producer_log=_text(guest.console[:split]),
            consumer_log=_text(guest.console[split:]),
        )


def _keep_logs(folder: Path, guest: Guest, split: int | None) -> None:
    write_atomic(folder / "producer.log", _text(guest.console[:split]))
    if split is not None:
        write_atomic(folder / "consumer.log", _text(guest.console[split:]))


def _text(console: bytes | bytearray) -> str:
    return console.decode("utf-8", "replace")


async def _produce(setup: CellSetup, guest: Guest) -> _AtJump:
    """Bring the producer to the jump and look at it there; then let it go."""
    address = address_of(JUMP, setup.system_map)
    agent = Agent(guest)
    try:
        await guest.break_at(address)
        await guest.run()
        await agent.hello()
        scratch = await read_scratch(agent)
        await load_consumer(agent, setup.consumer_cmdline)
        await log_completed(agent, guest, "jump")
        await jump(agent)
        await guest.wait_for_break()
    except AgentError as error:
        raise HarnessError(f"{setup.producer}: {error}") from None
    except GuestEndedError as error:
        raise HarnessError(_did_not_jump(setup, guest, error)) from None
    look = partial(_capture, setup, guest.ram, scratch_array(scratch), len(guest.console))
    at_jump = await _in_thread(look)
    await guest.clear_break(address)
    await guest.run()
    return at_jump


async def log_completed(agent: Agent, guest: Guest, what: str) -> None:
    """Wait until all that the kernel has logged so far is on its console."""
    mark = f"khoci: {what}"
    await agent.command("mark", text=mark)
    await guest.until_logged(mark)


async def _in_thread(work: Callable[[], T]) -> T:
    """Run ``work`` beside the event loop; never return while it still uses the guest's memory."""
    task = asyncio.ensure_future(asyncio.to_thread(work))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise


def _did_not_jump(setup: CellSetup, guest: Guest, error: GuestEndedError) -> str:
    log = _text(guest.console)
    line = loglines.find(loglines.PANIC, log) or loglines.last_line(log) or "its console is empty"
    return f"{setup.producer}: did not get to the jump, {error}: {line}"


def _capture(setup: CellSetup, ram: GuestRam, scratch: bytes | None, console_end: int) -> _AtJump:
    recorder = Recorder(ram)
    try:
        found = handoff.locate(ram)
        if found is None:
            return _AtJump(None, console_end)
        handover = decode(recorder, found.fdt_addr, scratch=scratch)
        setup.scenario.fill(ram, handover)
        gained = handed.misread(recorder, handover)
        contents = digests(ram, ((block.phys, block.order) for block in handover.map.blocks))
    except DecodeError as error:
        raise HarnessError(f"{setup.producer}: its handover cannot be decoded: {error}") from None
    kept = Capture(recorder.recorded(), found.fdt_addr, scratch, digests=contents)
    _keep_capture(setup, kept)
    regions = tuple(
        RegionFact(owner, item.start, item.size, digest(ram, item))
        for owner, item in handed.regions(handover)
    )
    return _AtJump(handover, console_end, regions, tuple(gained))


def _keep_capture(setup: CellSetup, kept: Capture) -> None:
    """Write the capture with what is known of its origin."""
    whole = replace(
        kept,
        producer=setup.kernel,
        scenario=setup.scenario.name,
        source="qemu",
        khoci=__version__,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    with atomic_path(setup.folder / CAPTURE) as path:
        capture.save(path, whole)


async def _consume(setup: CellSetup, guest: Guest, at_jump: _AtJump) -> Facts:
    """Wait for the consumer, then see what it made of the preserved memory."""
    facts = Facts(
        scenario=setup.scenario.name,
        handed=handed.summary(at_jump.handover) if at_jump.handover else None,
        consumer_log="",
        regions=at_jump.regions,
        consumer_has=setup.consumer_has,
    )
    try:
        return await _ask(setup, guest, facts, at_jump.misread)
    except GuestEndedError as error:
        return replace(facts, end=error.ended)
    except AgentError as error:
        raise HarnessError(f"{setup.consumer}: {error}") from None


async def _ask(setup: CellSetup, guest: Guest, facts: Facts, misread: Sequence[Range]) -> Facts:
    agent = Agent(guest)
    hello = await agent.hello()
    if setup.consumer_release and hello.release != setup.consumer_release:
        raise HarnessError(f"{setup.consumer}: the kernel that came up is {hello.release}")
    pages = await _page_counts(agent, [Range(r.start, r.size) for r in facts.regions])
    gained = await _page_counts(agent, misread)
    consumer = ConsumerFacts(
        release=hello.release,
        kho=hello.kho,
        scratch=await read_scratch(agent),
        complaint=await _use_memory(agent),
    )
    await log_completed(agent, guest, "checked")
    regions = [
        replace(region, pages=count, after=digest(guest.ram, Range(region.start, region.size)))
        for region, count in zip(facts.regions, pages, strict=True)
    ]
    wrong = [
        RegionFact("misread", item.start, item.size, "", pages=count)
        for item, count in zip(misread, gained, strict=True)
    ]
    return replace(facts, consumer=consumer, regions=tuple(regions), misread=tuple(wrong))


async def _use_memory(agent: Agent) -> str:
    """Make the consumer allocate and write memory; say what went wrong with that."""
    try:
        await agent.command("pressure", percent=PRESSURE_PERCENT)
    except AgentError as error:
        return str(error)
    return ""


async def _page_counts(agent: Agent, ranges: Sequence[Range]) -> list[PageCounts]:
    counts: list[PageCounts] = []
    for first in range(0, len(ranges), _RANGES_AT_ONCE):
        text = _ranges_text(ranges[first : first + _RANGES_AT_ONCE])
        answer = await agent.command("pages", ranges=text)
        counts += [PageCounts(total=item["pages"], free=item["free"]) for item in answer["ranges"]]
    return counts


def _ranges_text(ranges: Iterable[Range]) -> str:
    return ",".join(f"{item.start:#x}:{item.size:#x}" for item in ranges)


def digest(ram: GuestRam, item: Range) -> str:
    """SHA-256 of a range of guest memory, as hex."""
    state = hashlib.sha256()
    for start in range(item.start, item.end, _CHUNK):
        state.update(ram.read(start, min(_CHUNK, item.end - start)))
    return state.hexdigest()
