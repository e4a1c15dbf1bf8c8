"""One handover of a kernel to itself, counted."""

from __future__ import annotations

import errno
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from khoci.config.matrix import GuestConfig
from khoci.cost import driver
from khoci.costs import Measured, Point
from khoci.errors import HarnessError
from khoci.format import handoff
from khoci.format.errors import DecodeError
from khoci.format.handover import decode
from khoci.format.memorymap import MemoryMap
from khoci.guest.session import Agent, AgentError, load_consumer, send_images
from khoci.kernel.cache import Artifact
from khoci.vm.guest import Guest, GuestEndedError, start_guest
from khoci.vm.machine import TCG, Accelerator, Machine
from khoci.vm.ram import GuestRam
from khoci.vm.symbols import address_of

SILENCE = 300.0
"""Seconds of a CPU that a count may take: what grows with a square says nothing for some 20."""
CMDLINE = (
    "console=ttyS0,115200",
    "ignore_loglevel",
    "nokaslr",
    "nolapic_timer",
    "panic=-1",
    "reboot=t",
    "no_timer_check",
    "initcall_blacklist=kho_test_init",
    driver.WORD,
)
COUNTED = ("tsc_early_khz=1000000", "lpj=4000000")
"""Known when a cycle is a nanosecond: nothing is left to calibrate."""
SCRATCH = GuestConfig().scratch
JUMP = "machine_kexec"
_FINALIZE = "/sys/kernel/debug/kho/out/finalize"
_MIB = 1 << 20


@dataclass(frozen=True)
class Setup:
    """What all handovers of a kernel are made with.

    Attributes:
        kernel: with the driver, and its System.map.
        initrd: the agent.
        memory: of the guest in bytes: the same for all, since early boot depends on it.
        accelerator: for the boots that are not counted.
    """

    kernel: Artifact
    initrd: Path
    memory: int
    accelerator: Accelerator

    @property
    def system_map(self) -> Path:
        """Where the address of the jump is.

        Raises:
            HarnessError: the kernel came without it.
        """
        if self.kernel.system_map is None:
            raise HarnessError("it has no System.map")
        return self.kernel.system_map

    def machine(self, point: Point, *, counted: bool) -> Machine:
        """The guest that hands over."""
        accelerator = TCG if counted else self.accelerator
        return Machine(
            kernel=self.kernel.image,
            initrd=self.initrd,
            cmdline=self.cmdline(kho=point.kho, counted=counted),
            memory=self.memory,
            cpus=1,
            accelerator=replace(accelerator, silence=SILENCE),
            arch=self.kernel.arch,
            counted=counted,
        )

    def cmdline(self, *, kho: bool, counted: bool) -> str:
        """The kernel command line of a side."""
        own = (f"kho={'on' if kho else 'off'}", f"kho_scratch={SCRATCH}")
        words = (*CMDLINE, *own, *(COUNTED if counted else ()), self.kernel.cmdline)
        return " ".join(word for word in words if word)


def memory_for(points: Sequence[Point]) -> int:
    """Bytes of a guest that has room for each of these points."""
    most = max((point.span for point in points), default=0)
    return (most + (1 << 30) + 256 * _MIB - 1) // (256 * _MIB) * 256 * _MIB


async def measure(setup: Setup, point: Point, folder: Path) -> Measured:
    """Hand over once with instructions counted, and once by the clock.

    Args:
        setup: what all points of a kernel share.
        point: what is handed over.
        folder: for QEMU's messages; it exists.

    Raises:
        HarnessError: QEMU fails, or the kernel does not get there.
    """
    counted = await _boot(setup, point, folder, counted=True)
    timed = await _boot(setup, point, folder, counted=False)
    seconds = {phase: cycles / timed.rate for phase, cycles in timed.cycles.items()}
    return Measured(point, counted.cycles, seconds, counted.blocks, counted.tables)


@dataclass(frozen=True)
class _Counted:
    """What one boot showed.

    Attributes:
        cycles: by phase.
        rate: cycles in a second of the host.
        blocks, tables: of the memory map; 0 where nobody looked.
    """

    cycles: Mapping[str, int]
    rate: float
    blocks: int
    tables: int


async def _boot(setup: Setup, point: Point, folder: Path, *, counted: bool) -> _Counted:
    machine = setup.machine(point, counted=counted)
    async with start_guest(machine, folder / "qemu.log") as guest:
        try:
            return await _Handover(setup, point, guest, counted=counted).run()
        except GuestEndedError as error:
            raise HarnessError(f"{error}: {_last_line(guest.console)}") from None


def _last_line(console: bytearray) -> str:
    lines = console.decode("utf-8", "replace").strip().splitlines() or ["the console is empty"]
    return "".join(filter(str.isprintable, lines[-1]))


@dataclass(frozen=True)
class _Left:
    """A producer that only has to jump.

    Attributes:
        figures: of its driver.
        finalize, load: cycles of that.
        rate: cycles in a second of the host.
    """

    figures: Mapping[str, int]
    finalize: int
    load: int
    rate: float


class _Handover:
    """A boot while it runs."""

    def __init__(self, setup: Setup, point: Point, guest: Guest, *, counted: bool) -> None:
        self._setup = setup
        self._point = point
        self._guest = guest
        self._counted = counted

    async def run(self) -> _Counted:
        left = await self._prepare()
        stamps, found = await self._jump(left.figures["stamps"])
        agent = Agent(self._guest)
        await agent.hello()
        if self._point.count:
            await driver.restore(agent, left.figures["head"], self._point.count)
        after = await driver.figures(agent)
        cycles = {
            "preserve": left.figures["preserve_cycles"],
            "finalize": left.finalize,
            "load": left.load,
            "freeze": stamps["notified"] - stamps["called"],
            "jump": after["setup_at"] - stamps["notified"],
            "early boot": after["early_at"] - after["setup_at"],
            "restore": after["restore_cycles"],
        }
        return _Counted(cycles, left.rate, len(found.blocks), found.tables.size)

    async def _prepare(self) -> _Left:
        """Bring the producer to the jump."""
        await self._guest.run()
        agent = Agent(self._guest)
        await agent.hello()
        first, began = (await driver.figures(agent))["now"], time.monotonic()
        if self._point.count:
            await driver.preserve(agent, self._point)
        load = await self._load(agent) if self._point.load_first else 0
        finalize = await _finalize(agent) if self._point.kho else 0
        load = load or await self._load(agent)
        figures, ended = await driver.figures(agent), time.monotonic()
        return _Left(figures, finalize, load, (figures["now"] - first) / (ended - began))

    async def _load(self, agent: Agent) -> int:
        """Load the consumer; the cycles that it took."""
        image, initrd = self._setup.kernel.image, self._setup.initrd
        sent = await send_images(agent, self._guest.ram, image.read_bytes(), initrd.read_bytes())
        line = self._setup.cmdline(kho=True, counted=self._counted)
        return await load_consumer(agent, line, sent, finalize=False)

    async def _jump(self, stamps: int) -> tuple[Mapping[str, int], MemoryMap]:
        """Jump; when the driver saw it leave, and what is handed over where instructions count.

        By the clock the guest is not held any longer than that: cycles may pass meanwhile.
        """
        guest = self._guest
        address = address_of(JUMP, self._setup.system_map)
        await guest.interrupt()
        await guest.break_at(address)
        await guest.run()
        await guest.send_line(driver.jump_line())
        await guest.wait_for_break()
        left = driver.stamps(guest.ram.read(stamps, driver.STAMPS_SIZE))
        found = self._map(guest.ram) if self._counted else MemoryMap()
        await guest.clear_break(address)
        await guest.run()
        return left, found

    def _map(self, ram: GuestRam) -> MemoryMap:
        try:
            found = handoff.locate(ram, ())
            return MemoryMap() if found is None else decode(ram, found.fdt_addr).map
        except DecodeError as error:
            raise HarnessError(str(error)) from None


async def _finalize(agent: Agent) -> int:
    """Finalize where the kernel has that; the cycles that it took."""
    try:
        return int((await agent.command("write", path=_FINALIZE, text="1"))["cycles"])
    except AgentError as error:
        if error.errno == errno.ENOENT:
            return 0
        raise
