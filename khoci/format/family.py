"""Which layout a ``kho-v1`` map has: the string does not say.

6.16 and 6.17 write 512-byte bitmaps, 6.18 to 7.0 whole pages. Both readings are tried, and each
is held against what must be true of a right one. As a bitmap of B begins with one of A, reading A
lists a part of what reading B does: memory that has to be listed and is not speaks for B, and
blocks that cannot be speak for A.

An A bitmap is made for a bit that is set at once, and 6.16 and 6.17 clear bits only when they give
up (``kho_preserve_phys``, then ``kho_abort`` frees all): one that is empty, but not behind its
first 512 bytes, speaks for B. A patched A kernel may clear bits, so this is no proof, and settles
nothing if B is objected to.

What a component looks like tells nothing: the layouts changed within the 6.18 cycle, so there are
kernels with a ``kho_test`` or a LUO of later releases and bitmaps of A.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from khoci.format.bitmaps import Entries, Layout, counts, listing
from khoci.format.checks import Coverage, near, within
from khoci.format.errors import DecodeError
from khoci.format.extents import Extents

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from khoci.format.blocks import Blocks
    from khoci.format.memory import Memory
    from khoci.format.ranges import Range

ENOUGH_ALIGNED = 6
"""So many page-aligned pointers are no chance in A, where one in 8 is (one in 4 with redzones)."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What a rule says of a reading; ``objection`` is None if nothing speaks against it.

    An objection is ``proof`` if no kernel of that layout could have written the map.
    """

    rule: str
    objection: str | None = None
    proof: bool = False


@dataclass(frozen=True, slots=True)
class Score:
    """One reading: how many blocks it lists, and what each rule that was asked says of it.

    A layout that is ruled out by the pointers alone is not asked about its blocks.
    """

    layout: Layout
    blocks: int
    findings: tuple[Finding, ...]

    @property
    def objections(self) -> tuple[Finding, ...]:
        """What speaks against the reading."""
        return tuple(finding for finding in self.findings if finding.objection)

    @property
    def proofs(self) -> int:
        """How many objections rule it out."""
        return sum(finding.proof for finding in self.objections)


@dataclass(frozen=True, slots=True)
class FamilyDecision:
    """The layout that fits better, whether the other is ruled out, and the facts for it.

    ``scores`` are those of A and B; ``reasons`` says the objections for people.
    """

    layout: Layout
    sure: bool
    scores: tuple[Score, Score]
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Question:
    """A map whose layout is asked for.

    Attributes:
        memory: of the producer at the jump.
        found: the map's entries.
        expected: memory that a right map preserves: the root FDT's page, the subtrees' blobs,
            and all that components are known to own without the map.
        scratch: where no block can be, empty if unknown.
    """

    memory: Memory
    found: Entries
    expected: Sequence[Range] = ()
    scratch: Extents = field(default_factory=lambda: Extents.of(()))


def discriminate(question: Question) -> FamilyDecision:
    """Decide between A and B.

    Returns:
        The decision. It is sure if one layout is objected to and the other is not, or if one is
        ruled out by proof.
    """
    bits = {layout: counts(question.memory, question.found, layout) for layout in Layout}
    a, b = (_score(question, layout, bits) for layout in Layout)
    if not a.objections and not b.objections:
        reason = "list the same blocks" if a.blocks == b.blocks else "are both possible"
        return FamilyDecision(Layout.B, False, (a, b), (f"A and B {reason}",))
    better, worse = sorted((b, a), key=lambda score: (score.proofs, len(score.objections)))
    proven = bool(worse.proofs) and not better.proofs
    sure = bool(worse.objections) and (not better.objections or proven)
    reasons = (
        f"not {score.layout.value}: {finding.objection}"
        for score in (a, b)
        for finding in score.objections
    )
    return FamilyDecision(better.layout, sure, (a, b), tuple(reasons))


_Bits = dict[Layout, "NDArray[np.int64]"]


def _score(question: Question, layout: Layout, bits: _Bits) -> Score:
    total = int(np.maximum(bits[layout], 0).sum())
    findings = tuple(_pointers(question.found, layout))
    if not any(finding.objection for finding in findings):
        findings += (*_bitmaps(question, layout, bits), *_listed(question, layout))
    return Score(layout, total, findings)


def _pointers(found: Entries, layout: Layout) -> Iterator[Finding]:
    size = layout.bitmap_size(found.page_shift)
    odd = found.bitmap[found.misaligned(layout)]
    text = f"{len(odd)} bitmaps are not {size}-byte aligned, first {_first(odd)}"
    yield Finding("pointers", text if len(odd) else None, proof=True)
    between = found.between(layout)
    odd, order = found.start[between], found.order[between]
    step = layout.coverage(int(order[0]) if len(odd) else 0, found.page_shift) >> 20
    text = f"{len(odd)} bitmaps start between steps, first {_first(odd)} of {step} MiB"
    yield Finding("starts", text if len(odd) else None, proof=True)


def _bitmaps(question: Question, layout: Layout, bits: _Bits) -> Iterator[Finding]:
    if layout is not Layout.A:
        return
    found = question.found
    aligned = len(found) >= ENOUGH_ALIGNED and not found.misaligned(Layout.B).any()
    text = f"all {len(found)} bitmaps are page aligned, by chance one in 8 is"
    yield Finding("aligned", text if aligned else None)
    empty = int(((bits[Layout.A] == 0) & (bits[Layout.B] > 0)).sum())
    text = f"{empty} bitmaps are empty up to byte 512 and not behind it: A never clears a bit"
    yield Finding("empty", text if empty else None)


def _listed(question: Question, layout: Layout) -> Iterator[Finding]:
    try:
        blocks = listing(question.memory, question.found, layout)
    except DecodeError as error:
        yield Finding("listing", str(error))
        return
    yield Finding("listing")
    outside = ~within(blocks, Extents.of(question.memory.ram))
    yield _blocks("ram", "blocks are outside RAM", blocks[outside])
    yield _blocks("overlap", "blocks overlap others", blocks[blocks.overlapping()])
    inside = near(blocks, question.scratch)
    yield _blocks("scratch", "blocks are in scratch areas", blocks[inside])
    own = near(blocks, question.found.tables)
    yield _blocks("own", "blocks are pages of the map itself", blocks[own])
    yield _expected(blocks, question.expected)


def _blocks(rule: str, what: str, odd: Blocks) -> Finding:
    if not len(odd):
        return Finding(rule)
    return Finding(rule, f"{what}: {len(odd)}, first {_first(odd.phys)} of order {odd.order[0]}")


def _expected(blocks: Blocks, expected: Sequence[Range]) -> Finding:
    missing = Coverage.of(blocks).lost(Extents.of(expected))
    if not len(missing):
        return Finding("expected")
    odd = [item for item in expected if len(missing & Extents.of([item]))]
    count, first = f"{len(odd)} of {len(expected)}", f"{odd[0].start:#x}"
    return Finding("expected", f"{count} ranges that are needed are not listed, first {first}")


def _first(addresses: NDArray[np.uint64]) -> str:
    return f"{int(addresses[0]):#x}" if len(addresses) else ""
