"""The memory map of any version: one of three formats to one list of blocks."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from khoci.format import bitmaps, radix
from khoci.format.blocks import Blocks
from khoci.format.checks import Problem
from khoci.format.errors import DecodeError
from khoci.format.extents import Extents
from khoci.format.family import FamilyDecision, Question, discriminate
from khoci.format.memory import PAGE_SHIFT
from khoci.format.versions import Version

if TYPE_CHECKING:
    from collections.abc import Sequence

    from khoci.format.errors import Place
    from khoci.format.memory import Memory
    from khoci.format.ranges import Range
    from khoci.format.root import Root
    from khoci.format.scratch import ScratchArea

BITMAPS = frozenset({Version("kho", 1)})
RADIX = frozenset({Version("kho", 3), Version("kho", 4)})


@dataclass(frozen=True, slots=True)
class MemoryMap:
    """What a map preserves.

    Attributes:
        family: ``A``, ``B`` or ``radix``, of a patched kernel maybe the size of its bitmaps or
            ``radix/N`` (see `radix.named`); None if there is no map or nothing could be read.
        decision: how A and B were told apart, None where they need not be.
        blocks: all preserved blocks.
        tables: the pages of the map itself: chunks, bitmaps, nodes. They are not preserved.
    """

    family: str | None = None
    decision: FamilyDecision | None = None
    blocks: Blocks = field(default_factory=lambda: Blocks.of(()))
    tables: Extents = field(default_factory=lambda: Extents.of(()))


def read(
    memory: Memory,
    root: Root,
    expected: Sequence[Range],
    place: Place,
    page_shift: int = PAGE_SHIFT,
    *,
    scratch: Sequence[ScratchArea] = (),
) -> tuple[MemoryMap, tuple[Problem, ...]]:
    """Read the map that ``root`` points to; whatever it holds, this does not raise.

    Of a ``kho-v1`` map every byte is read that either layout may need: a capture of what was read
    can be read as any consumer would.

    Args:
        memory: of the producer at the jump.
        root: a pointer of 0 under ``kho-v1`` is an empty map: it was not finalized.
        expected: memory that a right map preserves, known without it: the pages of the root FDT
            and of the subtrees' blobs, and what the components own. See `family.Question`.
        place: of the map, for problems.
        page_shift: log2 of the page size in bytes.
        scratch: the scratch areas, empty if unknown.
    """
    nothing = MemoryMap(blocks=Blocks.of((), page_shift))
    if root.version not in BITMAPS | RADIX:
        message = f"version {root.version} is unknown, its map is not read"
        return nothing, (Problem.at(place, message, "version"),)
    if root.memory_map is None:
        return nothing, (Problem.at(place, "the property is missing or not 8 bytes long"),)
    if not root.memory_map and root.version in BITMAPS:
        return nothing, ()
    place = place.at(root.memory_map)
    try:
        if root.version in RADIX:
            tree = radix.read(memory, root.memory_map, place, page_shift)
            return MemoryMap(radix.NAME, None, tree.blocks, tree.nodes), ()
        found = bitmaps.entries(memory, root.memory_map, place, page_shift)
        areas = Extents.of(area.range for area in scratch)
        return _decided(Question(memory, found, expected, areas))
    except DecodeError as error:
        return nothing, (Problem.of(error),)


def read_layout(
    memory: Memory, root: Root, layout: str, place: Place, page_shift: int = PAGE_SHIFT
) -> tuple[MemoryMap, tuple[Problem, ...]]:
    """As `read`, of a producer that is known to write ``layout``, whatever its version says.

    Of bitmaps as many bytes are read as a consumer of any layout may read.
    """
    nothing = MemoryMap(blocks=Blocks.of((), page_shift))
    if root.memory_map is None:
        return nothing, (Problem.at(place, "the property is missing or not 8 bytes long"),)
    place = place.at(root.memory_map)
    try:
        geometry = radix.named(layout, page_shift)
        if geometry:
            tree = radix.read(memory, root.memory_map, place, page_shift, geometry.leaf_log2)
            return MemoryMap(layout, None, tree.blocks, tree.nodes), ()
        if not root.memory_map:
            return nothing, ()
        written = bitmaps.layout_named(layout)
        found = bitmaps.entries(memory, root.memory_map, place, page_shift, written)
        bitmaps.counts(memory, found, bitmaps.Layout.B)
        blocks = bitmaps.listing(memory, found, written)
        return MemoryMap(layout, None, blocks, found.tables), ()
    except DecodeError as error:
        return nothing, (Problem.of(error),)


def _decided(question: Question) -> tuple[MemoryMap, tuple[Problem, ...]]:
    decision, found = discriminate(question), question.found
    layout = decision.layout
    problems: list[Problem] = []
    if not decision.sure:
        reasons = "; ".join(decision.reasons)
        message = f"layout {layout.value} is not certain: {reasons}"
        problems.append(Problem.at(found.place, message, "uncertain"))
    try:
        blocks = bitmaps.listing(question.memory, found, layout)
    except DecodeError as error:
        nothing = Blocks.of((), found.page_shift)
        return MemoryMap(None, decision, nothing, found.tables), (*problems, Problem.of(error))
    return MemoryMap(layout.value, decision, blocks, found.tables), tuple(problems)
