"""A handover as one consumer will see it: what it keeps of the memory, and who in it reads what."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from khoci.config.abi import Abi, KhoTestAbi, LuoAbi
from khoci.format.bitmaps import layout_named
from khoci.format.components import Component
from khoci.format.errors import Place
from khoci.format.extents import Extents
from khoci.format.handover import Handover
from khoci.format.memory import Memory
from khoci.format.radix import named as radix_named
from khoci.format.ranges import Range
from khoci.format.reading import Reading, difference, read_as, reader_named
from khoci.format.root import MEMORY_MAP


@dataclass(frozen=True)
class ConsumerTraits:
    """What of a consumer its release does not tell.

    Its command line is taken to ask for the same ``reserve_mem=`` as the producer's.

    Attributes:
        symbols: kconfig symbols that it has or has not; one that is not named, it has.
        kho: whether KHO is on (``kho=on``). Where it is off, memory is kept and ``reserve_mem``
            revived all the same (kho_populate and kho_memory_init do not ask for it).
        crash: whether it is made to panic when it is up.
    """

    symbols: Mapping[str, bool] = field(default_factory=dict)
    kho: bool = True
    crash: bool = False

    def has(self, symbol: str) -> bool:
        """Whether the consumer is built with ``symbol``."""
        return self.symbols.get(symbol, True)


@dataclass(frozen=True)
class Outlook:
    """A handover and its consumer; make one by `look`.

    Attributes:
        handover: as the producer meant it.
        abi: the consumer's release.
        traits: what else is known of the consumer.
        ram: of both.
        reading: the memory map as the consumer reads it.
        reserved: what the consumer keeps of the memory.
    """

    handover: Handover
    abi: Abi
    traits: ConsumerTraits
    ram: Extents
    reading: Reading
    reserved: Extents

    @property
    def test_reader(self) -> KhoTestAbi | None:
        """lib/test_kho.c of the consumer, if it is built."""
        return self.abi.kho_test if self.traits.has("TEST_KEXEC_HANDOVER") else None

    @property
    def luo_reader(self) -> LuoAbi | None:
        """LUO of the consumer, if it is built and does anything."""
        return self.abi.luo if self.traits.kho and self.traits.has("LIVEUPDATE") else None

    @property
    def gained(self) -> Extents:
        """RAM that the consumer keeps and nobody preserved."""
        return difference(self.handover.map.blocks, self.reading.blocks).gained & self.ram

    @property
    def manner(self) -> str:
        """How the consumer reads the map, for people."""
        name, shift = self.abi.name, self.handover.page_shift
        wrote, reads = self.handover.map.family, self.abi.memory_map.layout
        trees = radix_named(reads) or (wrote and radix_named(wrote))
        if wrote in (None, reads) or trees:
            return f"{name} reads the map as {reads}"
        written, read = (layout_named(item).bitmap_size(shift) for item in (wrote, reads))
        if read < written:
            return f"{name} reads {read} of each bitmap's {written} bytes"
        return f"{name} reads {read} bytes for each bitmap of {written}"

    def component(self, name: str) -> Component | None:
        """The component of this name, which hangs on the root."""
        return next((item for item in self.handover.components if item.name == name), None)

    def finds(self, name: str) -> bool:
        """Whether kho_retrieve_subtree of the consumer finds the component's blob."""
        component, unsized = self.component(name), self.abi.root.blob == "fdt"
        return component is None or not any(
            subtree.address == component.address and (subtree.size is None) is not unsized
            for subtree in self.handover.root.subtrees
        )

    def pages(self, item: Range) -> Extents:
        """The whole pages that ``item`` touches."""
        return Extents.of([item.widened(1 << self.handover.page_shift)])

    def lost(self, what: str, owned: Extents) -> str | None:
        """Says how much of ``owned`` the consumer does not keep, or None if it keeps it all."""
        lost = owned - self.reserved
        if not lost:
            return None
        return f"{self.manner}: {share(lost.size, owned.size)} of {what} are free memory"


def read(memory: Memory, handover: Handover, abi: Abi) -> Reading:
    """The memory map of ``handover`` as the release ``abi`` reads it, bug for bug."""
    pointer = handover.root.memory_map or 0
    return read_as(
        memory,
        pointer,
        reader_named(abi.memory_map.layout, handover.page_shift),
        Place(f"root/{MEMORY_MAP}", pointer),
        handover.page_shift,
        int_sizes=abi.memory_map.int_sizes,
    )


def look(memory: Memory, handover: Handover, abi: Abi, traits: ConsumerTraits) -> Outlook:
    """Read the map of ``handover`` as the consumer does; the arguments are those of `predict`."""
    reading = read(memory, handover, abi)
    ram = Extents.of(memory.ram)
    return Outlook(handover, abi, traits, ram, reading, reading.blocks.extents)


def not_found(outlook: Outlook) -> str:
    """Says that the consumer does not find a component's blob in the root."""
    size = "" if outlook.abi.root.blob == "fdt" else " and blob-size"
    return f"{outlook.abi.name} looks for {outlook.abi.root.blob}{size} in the node, in vain"


def share(part: int, whole: int) -> str:
    """Both in KiB, or in MiB if both are whole ones: ``56 of 64 KiB``."""
    if (part | whole) % (1 << 20):
        return f"{part >> 10} of {whole >> 10} KiB"
    return f"{part >> 20} of {whole >> 20} MiB"
