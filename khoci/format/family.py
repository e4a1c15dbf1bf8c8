"""Which layout a ``kho-v1`` map has: the string does not say.

6.16 and 6.17 write 512-byte bitmaps, 6.18 to 7.0 whole pages. Both readings are tried, and each
is held against what must be true of a right one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from khoci.format.bitmaps import Entry, Layout, listing
from khoci.format.blocks import Run, outside, overlaps
from khoci.format.errors import DecodeError, Place
from khoci.format.memory import PAGE_SHIFT, Memory
from khoci.format.ranges import Range, covers, merge

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ENOUGH_ALIGNED = 6
"""So many page-aligned pointers are no chance in A, where one in 8 is (one in 4 with redzones)."""


@dataclass(frozen=True, slots=True)
class FamilyDecision:
    """The layout that fits better, whether the other is ruled out, and the facts for it."""

    layout: Layout
    sure: bool
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Question:
    memory: Memory
    found: Sequence[Entry]
    expected: Sequence[Range]
    place: Place
    page_shift: int


@dataclass(frozen=True, slots=True)
class _Reading:
    """What is wrong with one reading; with ``proofs`` the bitmaps need not be read."""

    layout: Layout
    proofs: tuple[str, ...]
    doubts: tuple[str, ...]
    runs: tuple[Run, ...]

    @property
    def score(self) -> tuple[int, int]:
        return len(self.proofs), len(self.doubts)

    @property
    def objections(self) -> tuple[str, ...]:
        return tuple(f"not {self.layout.value}: {text}" for text in self.proofs + self.doubts)


def discriminate(
    memory: Memory,
    found: Sequence[Entry],
    expected: Sequence[Range],
    place: Place,
    page_shift: int = PAGE_SHIFT,
) -> FamilyDecision:
    """Decide between A and B.

    Args:
        memory: of the producer at the jump.
        found: the map's entries.
        expected: memory that a right map preserves: the root FDT's page and the subtrees' blobs.
        place: of the map.
        page_shift: log2 of the page size in bytes.

    Returns:
        The decision. It is sure if one layout is objected to and the other is not, or if one is
        ruled out by proof.
    """
    question = _Question(memory, found, expected, place, page_shift)
    a, b = (_reading(question, layout) for layout in Layout)
    if not a.objections and not b.objections:
        reason = "list the same blocks" if a.runs == b.runs else "are both possible"
        return FamilyDecision(Layout.B, sure=False, reasons=(f"A and B {reason}",))
    better, worse = sorted((b, a), key=lambda reading: reading.score)
    sure = bool(worse.objections) and (not better.objections or _is_proven(better, worse))
    return FamilyDecision(better.layout, sure, a.objections + b.objections)


def _is_proven(better: _Reading, worse: _Reading) -> bool:
    return bool(worse.proofs) and not better.proofs


def _reading(question: _Question, layout: Layout) -> _Reading:
    proofs = tuple(_proofs(question.found, layout, question.page_shift))
    if proofs:
        return _Reading(layout, proofs, (), ())
    try:
        runs = listing(question.memory, question.found, layout, question.place, question.page_shift)
    except DecodeError as error:
        return _Reading(layout, (), (str(error),), ())
    doubts = (*_chance(question, layout), *_doubts(question, runs))
    return _Reading(layout, (), doubts, runs)


def _proofs(found: Sequence[Entry], layout: Layout, page_shift: int) -> Iterator[str]:
    size = layout.bitmap_size(page_shift)
    odd = [entry for entry in found if entry.bitmap % size]
    if odd:
        yield f"{len(odd)} bitmaps are not {size}-byte aligned, first {odd[0].bitmap:#x}"
    odd = [entry for entry in found if entry.phys_start % layout.coverage(entry.order, page_shift)]
    if odd:
        step = layout.coverage(odd[0].order, page_shift) >> 20
        yield f"{len(odd)} bitmaps start between steps, first {odd[0].phys_start:#x} of {step} MiB"


def _chance(question: _Question, layout: Layout) -> Iterator[str]:
    found, page = question.found, Layout.B.bitmap_size(question.page_shift)
    aligned = len(found) >= ENOUGH_ALIGNED and not any(entry.bitmap % page for entry in found)
    if layout is Layout.A and aligned:
        yield f"all {len(found)} bitmaps are page aligned, by chance one in 8 is"


def _doubts(question: _Question, runs: Sequence[Run]) -> Iterator[str]:
    lost = next(outside(runs, question.memory.ram), None)
    if lost:
        yield f"blocks are outside RAM, first at {lost.phys:#x} of order {lost.order}"
    twice = next(overlaps(runs), None)
    if twice:
        yield f"blocks overlap, first at {twice[1].phys:#x} of order {twice[1].order}"
    preserved = merge(run.range for run in runs)
    missing = [item for item in question.expected if not covers(preserved, item)]
    if missing:
        count = f"{len(missing)} of {len(question.expected)}"
        yield f"{count} pages of root and subtrees are not listed, first {missing[0].start:#x}"
