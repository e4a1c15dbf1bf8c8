"""The tables of `khoci cost`: what is in them, for any way to show them. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from khoci.costlaws import TICK, blackout, break_even, growth_law, per_gib, writing
from khoci.costs import EMPTY, OFF, PHASES, KernelCost, Measured, Point

NONE, UNKNOWN = "-", "?"
_UNITS = ((10**9, "G"), (10**6, "M"), (10**3, "k"))
SIDE_BY_SIDE, APART = Point(0), Point(0, stride=2)
_LAWS = (
    ("preserve", SIDE_BY_SIDE),
    ("early boot", SIDE_BY_SIDE),
    ("early boot", APART),
    ("restore", SIDE_BY_SIDE),
)


_SHAPED = {"preserve": "to preserve", "early boot": "of early boot", "restore": "to restore"}


@dataclass(frozen=True)
class Table:
    """A table whose first column names the row.

    Attributes:
        title: what the numbers are.
        heads: of all columns.
        rows: as many words each.
    """

    title: str
    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def tables(costs: Sequence[KernelCost]) -> list[Table]:
    """All of them that these kernels have anything for."""
    found = [
        _without_blocks(costs),
        _each_block(costs),
        *_by_shape(costs),
        _metadata(costs),
        _laws(costs),
        _saved(costs),
        _seconds(costs),
    ]
    return [table for table in found if table.rows]


def failures(costs: Sequence[KernelCost]) -> list[str]:
    """A line for each point that could not be measured."""
    return [
        f"{cost.kernel}: {point}: could not be measured: {why}"
        for cost in costs
        for point, why in cost.failed.items()
    ]


def last(cost: KernelCost, shape: Point) -> Measured | None:
    """With most blocks of a shape."""
    return next(reversed(cost.line(shape)), None)


def _without_blocks(costs: Sequence[KernelCost]) -> Table:
    phases = PHASES[1:-1]

    def rows() -> Iterator[tuple[str, ...]]:
        for cost in costs:
            for point, what in ((OFF, ", kho=off"), (EMPTY, "")):
                if (item := cost.at(point)) is not None:
                    counts = (f"{item.instructions[phase]:,}" for phase in phases)
                    yield (f"{_short(cost)}{what}", *counts)

    return Table("Instructions of a handover without blocks", ("kernel", *phases), tuple(rows()))


def _each_block(costs: Sequence[KernelCost]) -> Table:
    found = [(cost, last(cost, SIDE_BY_SIDE)) for cost in costs]
    measured = [(cost, item) for cost, item in found if item is not None]
    rows = tuple(
        (_short(cost), f"{item.point.count:,}", *(_each(cost, item, phase) for phase in PHASES))
        for cost, item in measured
    )
    title = "Instructions a block of 4K, side by side, beyond a handover without blocks"
    return Table(title, ("kernel", "blocks", *PHASES), rows)


def _by_shape(costs: Sequence[KernelCost]) -> Iterator[Table]:
    """How order and scatter matter, for as many blocks of each shape as were measured of all."""
    apart = [item.point.count for cost in costs for item in cost.line(APART)]
    points = _most(costs, max(apart, default=0))
    for phase, words in _SHAPED.items():
        title = f"Instructions a block {words}, by size, scatter and order"
        yield _crossed(title, costs, points, partial(_each, phase=phase))


def _metadata(costs: Sequence[KernelCost]) -> Table:
    title = "Bytes of the memory map for each GiB that is preserved"
    points = _most(costs, None)
    return _crossed(title, costs, points, lambda _, item: f"{per_gib(item):,.0f}")


def _crossed(
    title: str,
    costs: Sequence[KernelCost],
    points: Sequence[Point],
    cell: Callable[[KernelCost, Measured], str],
) -> Table:
    def word(cost: KernelCost, point: Point) -> str:
        item = cost.at(point)
        return NONE if item is None else cell(cost, item)

    if not points:
        return Table(title, ("kernel",), ())
    (usual, _), *_ = Counter(point.count for point in points).most_common(1)
    heads = (point.label if point.count == usual else _counted(point) for point in points)
    rows = tuple((_short(cost), *(word(cost, point) for point in points)) for cost in costs)
    return Table(f"{title}: {usual:,} blocks", ("kernel", *heads), rows)


def _counted(point: Point) -> str:
    return f"{point.label} ({brief(point.count)})"


def brief(count: int) -> str:
    """``10k`` for 10000; all digits where they are no round number."""
    return next((f"{count // size}{unit}" for size, unit in _UNITS if not count % size), str(count))


def _most(costs: Sequence[KernelCost], limit: int | None) -> list[Point]:
    """Of each shape the point with most blocks, but no more than the limit."""
    found: dict[Point, Point] = {}
    for cost in costs:
        for point in (item.point for item in cost.measured if item.point.count):
            known = found.get(point.shape, point)
            if known.count <= point.count and (limit is None or point.count <= limit):
                found[point.shape] = point
    return list(found.values())


def _laws(costs: Sequence[KernelCost]) -> Table:
    rows = [
        (_short(cost), *(str(growth_law(cost, shape, phase) or NONE) for phase, shape in _LAWS))
        for cost in costs
    ]
    heads = tuple(f"{phase}, {shape.label}" for phase, shape in _LAWS)
    known = tuple(row for row in rows if set(row[1:]) != {NONE})
    return Table("Instructions for n blocks, beyond a handover of none", ("kernel", *heads), known)


def _saved(costs: Sequence[KernelCost]) -> Table:
    """What the kernels that write all down at the end would save by doing it block by block."""
    olds = [cost for cost in costs if _finalizes(cost)]
    news = [cost for cost in costs if not _finalizes(cost)]
    rows = tuple(row for old in olds for new in news if (row := _pair(old, new)) is not None)
    heads = (
        *("old to new", "blocks", "finalize", "load", "of blackout"),
        *("writing: from", "blackout: from"),
    )
    title = "What is saved where nothing has to be finalized, and from how many blocks of 4K on"
    return Table(title, heads, rows)


def _finalizes(cost: KernelCost) -> bool:
    """Whether user space has it finalize."""
    return any(item.instructions["finalize"] for item in cost.measured)


def _pair(old: KernelCost, new: KernelCost) -> tuple[str, ...] | None:
    item = last(old, SIDE_BY_SIDE)
    if item is None:
        return None
    finalize = item.sum(("finalize", "freeze"))
    return (
        f"{_short(old)} to {_short(new)}",
        f"{item.point.count:,}",
        f"{finalize:,}",
        *_waited_for(old, item, finalize),
        _from(break_even(old, new, SIDE_BY_SIDE, writing)),
        UNKNOWN
        if None in (old.loads_last, new.loads_last)
        else _from(break_even(old, new, SIDE_BY_SIDE, blackout, TICK)),
    )


def _waited_for(old: KernelCost, item: Measured, finalize: int) -> tuple[str, str]:
    """The load, where it has to come after finalizing, and the share of both in the blackout."""
    if old.loads_last is None:
        return UNKNOWN, UNKNOWN
    load = item.instructions["load"] if old.loads_last else 0
    return f"{load:,}" if load else NONE, f"{(finalize + load) / blackout(old, item):.3%}"


def _from(count: int | None) -> str:
    return "never" if count is None else f"{count:,}"


def _seconds(costs: Sequence[KernelCost]) -> Table:
    rows = tuple(
        (_short(cost), f"{item.point.count:,}", *(_time(item.seconds[phase]) for phase in PHASES))
        for cost in costs
        if (item := last(cost, SIDE_BY_SIDE)) is not None
    )
    title = "Time of all blocks of 4K, side by side, on this machine, once"
    return Table(title, ("kernel", "blocks", *PHASES), rows)


def _time(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds >= 1 else f"{seconds * 1000:.2f} ms"


def _each(cost: KernelCost, item: Measured, phase: str) -> str:
    value = cost.growth(item, phase) / item.point.count
    return f"{value:,.0f}" if abs(value) >= 10 else f"{value:z.1f}"


def _short(cost: KernelCost) -> str:
    return cost.kernel.removeprefix("v")
