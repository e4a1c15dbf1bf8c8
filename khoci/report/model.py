"""All that a report of a run says, whatever form it takes. Data only."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from khoci.results import CellResult, SeriesInRun
from khoci.rundiff import Change

CellKey = tuple[str, str, str, str]
"""Producer, consumer, scenario and fault of a cell: what tells it from all others of a run."""


def key_of(result: CellResult) -> CellKey:
    """What tells the cell of this result from all others of its run."""
    return result.producer, result.consumer, result.scenario, result.fault


@dataclass(frozen=True)
class KernelInRun:
    """A kernel of the run.

    Attributes:
        name: in the matrix.
        release: as ``uname -r`` tells it; empty if no result says so.
        key: khoci's key of its bytes; empty in the same way.
        base: the kernel that it was made of by patches; empty if of none.
        patch: the last of these patches, in words, where they were tried one by one.
    """

    name: str
    release: str = ""
    key: str = ""
    base: str = ""
    patch: str = ""


@dataclass(frozen=True)
class Block:
    """A piece of guest memory: physical address and size in bytes, and whose it is.

    ``fate`` is what became of it, a word of `compat.memory.Fate` such as ``kept``; empty if that
    is not known, as before the jump.
    """

    start: int
    size: int
    owner: str
    fate: str = ""


@dataclass(frozen=True)
class MemoryView:
    """Guest memory as one kernel has it, in bytes.

    Attributes:
        title: whose view it is.
        ram: ``(start, size)`` of each piece of RAM, ascending.
        scratch: the same of the scratch areas.
        blocks: what is preserved, ascending; of an orphan the owner is ``orphan``.
        left_out: how many blocks more there are than are listed.
    """

    title: str
    ram: tuple[tuple[int, int], ...]
    scratch: tuple[tuple[int, int], ...] = ()
    blocks: tuple[Block, ...] = ()
    left_out: int = 0


@dataclass(frozen=True)
class Phase:
    """A part of a cell's time: its name, and when it began and how long it took, in seconds."""

    name: str
    start: float
    seconds: float


@dataclass(frozen=True)
class Gap:
    """Lines that an excerpt leaves out.

    Attributes:
        at: the index of the line of the excerpt that comes next.
        size: how many they are.
    """

    at: int
    size: int


@dataclass(frozen=True)
class Excerpt:
    """Lines of a log.

    Attributes:
        lines: without their ends.
        first: the number of the first of them in the log, from 1.
        total: how many lines the log has.
        marked: indices into ``lines`` of those that matter.
        gap: what is left out of the middle.
    """

    lines: tuple[str, ...] = ()
    first: int = 1
    total: int = 0
    marked: tuple[int, ...] = ()
    gap: Gap | None = None


@dataclass(frozen=True)
class CellEvidence:
    """What is kept beside a result, read again. What is not there is empty.

    Attributes:
        producer_log: around the jump.
        consumer_log: around what decided.
        before: the handover as its producer meant it, a tree of lines.
        after: what the consumer makes of it, lines.
        memory: of the producer at the jump, then of the consumer when all was done.
        phases: of the cell's time, one after the other.
        notes: why something could not be read.
    """

    producer_log: Excerpt = Excerpt()
    consumer_log: Excerpt = Excerpt()
    before: str = ""
    after: str = ""
    memory: tuple[MemoryView, ...] = ()
    phases: tuple[Phase, ...] = ()
    notes: tuple[str, ...] = ()


LookUp = Callable[[CellResult], CellEvidence]
"""Reads the evidence of one cell of the run, which takes a while: not for cells nobody looks at."""


def without_evidence(_: CellResult) -> CellEvidence:
    """For reports that need none."""
    return CellEvidence()


@dataclass(frozen=True)
class Violation:
    """What the policy forbids, and in which cell."""

    cell: CellKey
    text: str

    def __str__(self) -> str:
        producer, consumer, scenario, _ = self.cell
        return f"{producer} -> {consumer} {scenario}: {self.text}"


@dataclass(frozen=True)
class Report:
    """A run with what is to be said of it.

    Attributes:
        run: its id.
        matrix: name of the matrix file.
        began: ISO 8601 time in UTC; empty if it is not known.
        khoci: the version that ran it; empty in the same way.
        accelerator: of the guests; empty in the same way.
        guest: the machine, by key.
        kernels: oldest first, those of a series behind their base.
        scenarios: in the order of the run.
        results: of the cells that have one, in the order of the plan.
        missing: cells of the plan that have none yet.
        known: why a break is known, with a link; and the cells in which nothing else is wrong.
        violations: what the policy forbids.
        series: what the run is about, if it is about a series.
        changes: what the series changes against its base, worst first; or against another run.
        causes: the patches that made a changed cell what it is, a line each.
        against: the id of that other run; empty if there is none.
        evidence: reads what lies beside a result.
    """

    run: str
    matrix: str
    kernels: tuple[KernelInRun, ...]
    scenarios: tuple[str, ...]
    results: tuple[CellResult, ...]
    began: str = ""
    khoci: str = ""
    accelerator: str = ""
    guest: Mapping[str, object] = field(default_factory=dict)
    missing: tuple[CellKey, ...] = ()
    known: Mapping[str, tuple[CellResult, ...]] = field(default_factory=dict)
    violations: tuple[Violation, ...] = ()
    series: SeriesInRun | None = None
    changes: tuple[Change, ...] = ()
    causes: Mapping[tuple[str, str, str], tuple[str, ...]] = field(default_factory=dict)
    against: str = ""
    evidence: LookUp = without_evidence

    @cached_property
    def forbidden(self) -> Mapping[CellKey, list[str]]:
        """What the policy has against each cell that it has something against."""
        found: dict[CellKey, list[str]] = {}
        for each in self.violations:
            found.setdefault(each.cell, []).append(each.text)
        return found

    @property
    def order(self) -> tuple[str, ...]:
        """The names of the kernels, oldest first."""
        return tuple(kernel.name for kernel in self.kernels)
