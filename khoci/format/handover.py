"""A whole handover: the root FDT, the memory map it points to, and every component."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from khoci.format import bitmaps, radix
from khoci.format import components as parts
from khoci.format import root as roots
from khoci.format import scratch as scratches
from khoci.format.blocks import Block, Run, expand
from khoci.format.checks import Problem, check_map, check_owned
from khoci.format.components import Blob, Component
from khoci.format.errors import DecodeError, Place
from khoci.format.family import FamilyDecision, discriminate
from khoci.format.khotest import KhoTest, Shape
from khoci.format.luo import Luo
from khoci.format.memblock import ReserveMem
from khoci.format.memory import PAGE_SHIFT, Memory, is_ram
from khoci.format.metadata import KexecMetadata
from khoci.format.ranges import Range, merge, touched
from khoci.format.root import MEMORY_MAP, Root, Subtree
from khoci.format.versions import Version

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from khoci.format.scratch import ScratchArea

BITMAPS = frozenset({Version("kho", 1)})
RADIX = frozenset({Version("kho", 3), Version("kho", 4)})
UNOWNED = "unowned"


@dataclass(frozen=True, slots=True)
class MemoryMap:
    """The map: ``family`` is ``A``, ``B`` or ``radix``, None if nothing could be read.

    ``decision`` says how A and B were told apart.
    """

    family: str | None = None
    decision: FamilyDecision | None = None
    runs: tuple[Run, ...] = ()


@dataclass(frozen=True, slots=True)
class Handover:
    """All that was decoded; ``problems`` is empty if it is complete and sound.

    ``scratch`` is None if the array was not given or is not believable.
    """

    fdt_addr: int
    root: Root
    map: MemoryMap
    scratch: tuple[ScratchArea, ...] | None
    components: tuple[Component, ...]
    problems: tuple[Problem, ...]
    page_shift: int = PAGE_SHIFT

    @property
    def version(self) -> Version:
        """The root's version."""
        return self.root.version

    @property
    def family(self) -> str | None:
        """See `MemoryMap`."""
        return self.map.family

    @property
    def finalized(self) -> bool:
        """Whether there is a map: a ``kho-v1`` producer that was not finalized points to 0."""
        return bool(self.root.memory_map)

    @property
    def blocks(self) -> tuple[Block, ...]:
        """All preserved blocks, sorted by address; made anew with each call."""
        return expand(self.map.runs)

    @property
    def reserve_mem(self) -> ReserveMem | None:
        """The decoded component, None if there is none or it is broken."""
        return next((i.value for i in self.components if isinstance(i.value, ReserveMem)), None)

    @property
    def kho_test(self) -> KhoTest | None:
        """The decoded component, None if there is none or it is broken."""
        return next((i.value for i in self.components if isinstance(i.value, KhoTest)), None)

    @property
    def luo(self) -> Luo | None:
        """The decoded component, None if there is none or it is broken."""
        return next((i.value for i in self.components if isinstance(i.value, Luo)), None)

    @property
    def metadata(self) -> KexecMetadata | None:
        """The decoded component, None if there is none or it is broken."""
        return next((i.value for i in self.components if isinstance(i.value, KexecMetadata)), None)


def decode(
    memory: Memory, fdt_addr: int, *, scratch: bytes | None = None, page_shift: int = PAGE_SHIFT
) -> Handover:
    """Decode the handover whose root FDT lies at ``fdt_addr``.

    Args:
        memory: of the producer at the jump.
        fdt_addr: physical address of the root FDT's page.
        scratch: the producer's scratch array as it is in memory, if the caller knows it.
        page_shift: log2 of the page size in bytes.

    Returns:
        The handover. What cannot be decoded is left out and noted in ``problems``.

    Raises:
        DecodeError: there is no root FDT at ``fdt_addr``.
    """
    root = roots.read(memory, fdt_addr, 1 << page_shift)
    session = _Session(memory, fdt_addr, root, page_shift, [])
    areas = session.scratch(scratch)
    found = session.memory_map()
    components = session.components(found)
    if found.family:
        session.check(found.runs, areas or (), components)
    return Handover(fdt_addr, root, found, areas, components, tuple(session.problems), page_shift)


def owned(handover: Handover) -> dict[str, tuple[Range, ...]]:
    """The memory that the root FDT and each component need, merged, by owner."""
    return _owned(handover.fdt_addr, handover.page_shift, handover.components)


def owners(handover: Handover) -> list[tuple[Block, str]]:
    """Each preserved block, sorted by address, with the first owner of a byte of it."""
    by_name = owned(handover)
    return [(block, _owner(block, by_name)) for block in handover.blocks]


def _owner(block: Block, by_name: Mapping[str, Sequence[Range]]) -> str:
    names = (name for name, ranges in by_name.items() if touched(ranges, block.range))
    return next(names, UNOWNED)


def _owned(
    fdt_addr: int, page_shift: int, components: Sequence[Component]
) -> dict[str, tuple[Range, ...]]:
    ranges: dict[str, list[Range]] = {"root": [Range(fdt_addr, 1 << page_shift)]}
    for component in components:
        ranges.setdefault(component.name, []).extend(component.owned)
    return {name: merge(items) for name, items in ranges.items()}


@dataclass(frozen=True, slots=True)
class _Session:
    """One decoding: what all its steps need, and the problems they find."""

    memory: Memory
    fdt_addr: int
    root: Root
    page_shift: int
    problems: list[Problem]

    @property
    def place(self) -> Place:
        return Place("root", self.fdt_addr)

    def note(self, place: Place, message: str) -> None:
        self.problems.append(Problem.at(place, message))

    def scratch(self, raw: bytes | None) -> tuple[ScratchArea, ...] | None:
        if raw is None:
            return None
        try:
            return scratches.parse(raw, self.memory.ram, Place("scratch"))
        except DecodeError as error:
            self.problems.append(Problem.of(error))
            return None

    def memory_map(self) -> MemoryMap:
        place, pointer = self.place / MEMORY_MAP, self.root.memory_map
        if self.root.version not in BITMAPS | RADIX:
            self.note(self.place, f"version {self.root.version} is unknown, its map is not read")
        elif pointer is None:
            self.note(place, "the property is missing or not 8 bytes long")
        elif pointer or self.root.version in RADIX:
            try:
                return self._read_map(pointer, place.at(pointer))
            except DecodeError as error:
                self.problems.append(Problem.of(error))
        return MemoryMap()

    def _read_map(self, pointer: int, place: Place) -> MemoryMap:
        if self.root.version in RADIX:
            return MemoryMap(
                "radix", None, radix.listing(self.memory, pointer, place, self.page_shift)
            )
        found = bitmaps.entries(self.memory, pointer, place, self.page_shift)
        decision = discriminate(self.memory, found, self._known(), place, self.page_shift)
        if not decision.sure:
            reasons = "; ".join(decision.reasons)
            self.note(place, f"layout {decision.layout.value} is not certain: {reasons}")
        layout = decision.layout
        runs = bitmaps.listing(self.memory, found, layout, place, self.page_shift)
        return MemoryMap(layout.value, decision, runs)

    def _known(self) -> tuple[Range, ...]:
        """Pages that are preserved for sure, known without the map."""
        size = 1 << self.page_shift
        addresses = [self.fdt_addr, *(item.address for item in self.root.subtrees)]
        pages = (Range(item, 1).widened(size) for item in addresses if item is not None)
        return tuple(page for page in pages if is_ram(self.memory, page))

    def components(self, found: MemoryMap) -> tuple[Component, ...]:
        shape = _kho_test_shape(found)
        return tuple(self._component(subtree, shape) for subtree in self.root.subtrees)

    def _component(self, subtree: Subtree, shape: Shape | None) -> Component:
        place = self.place / subtree.name
        if subtree.address is None:
            self.note(place, "the node does not say where its blob is")
            return parts.undecoded(subtree, None)
        blob = Blob(
            self.memory,
            subtree.address,
            subtree.size,
            place.at(subtree.address),
            shape,
            self.page_shift,
        )
        try:
            return parts.decode(subtree, blob)
        except DecodeError as error:
            self.problems.append(Problem.of(error))
            return parts.undecoded(subtree, blob)

    def check(
        self,
        runs: Sequence[Run],
        areas: Sequence[ScratchArea],
        components: Sequence[Component],
    ) -> None:
        place = self.place / MEMORY_MAP
        by_name = _owned(self.fdt_addr, self.page_shift, components)
        self.problems.extend(check_map(runs, self.memory.ram, areas, place))
        self.problems.extend(check_owned(runs, by_name, place))


def _kho_test_shape(found: MemoryMap) -> Shape | None:
    """Family A writes the list inline, all others by vmalloc; an unsure family tells nothing."""
    if found.family is None or (found.decision and not found.decision.sure):
        return None
    return Shape.INLINE if found.family == "A" else Shape.VMALLOC
