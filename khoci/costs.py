"""What handing memory over costs, as it is measured, stored and reported. Data only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from khoci.sizes import size_text

SCHEMA = 1
PAGE = 4096
ARRANGEMENTS = ("upwards", "downwards", "shuffled")
"""In which order of their addresses blocks are preserved."""
PHASES = ("preserve", "finalize", "load", "freeze", "jump", "early boot", "restore")
"""What is counted, in the order in which it happens; see docs/serialisation-cost.md."""
SERIALISING = ("preserve", "finalize", "freeze")
"""The phases in which the kernel writes down what it hands over."""
_AFTER_LOAD = ("freeze", "jump", "early boot", "restore")
_SCATTERED, _LARGE = 10_000, 1_000


@dataclass(frozen=True)
class Point:
    """What is handed over.

    Attributes:
        count: how many blocks.
        order: of each: it has ``4096 << order`` bytes.
        stride: each stride-th block of that size is one: 1 is side by side.
        arrangement: one of `ARRANGEMENTS`.
        kho: whether the producer has KHO switched on.
        load_first: the next kernel is loaded before this one is finalized.
    """

    count: int
    order: int = 0
    stride: int = 1
    arrangement: str = ARRANGEMENTS[0]
    kho: bool = True
    load_first: bool = False

    @property
    def shape(self) -> Point:
        """The same for any number of blocks."""
        return replace(self, count=0)

    @property
    def size(self) -> int:
        """Bytes that are preserved."""
        return self.count * PAGE << self.order

    @property
    def span(self) -> int:
        """Bytes that the blocks lie in."""
        return self.size * self.stride

    @property
    def label(self) -> str:
        """How the blocks lie: ``4K``, ``4K 1/2 shuffled``, ``2M``."""
        where = "" if self.stride == 1 else f" 1/{self.stride}"
        how = "" if self.arrangement == ARRANGEMENTS[0] else f" {self.arrangement}"
        return f"{size_text(PAGE << self.order)}{where}{how}"

    def __str__(self) -> str:
        if not self.kho:
            return "kho=off"
        if self.load_first:
            return "loaded before it is finalized"
        return f"{self.count:,} blocks, {self.label}" if self.count else "no blocks"


OFF, EMPTY, LOAD_FIRST = Point(0, kho=False), Point(0), Point(0, load_first=True)


@dataclass(frozen=True)
class Measured:
    """What one handover cost.

    Attributes:
        point: what was handed over.
        instructions: of the guest, by phase.
        seconds: by phase, from another boot that was not counted.
        blocks: how many the memory map has, with the kernel's own.
        tables: bytes of the map itself.
    """

    point: Point
    instructions: Mapping[str, int]
    seconds: Mapping[str, float]
    blocks: int
    tables: int

    def sum(self, phases: Sequence[str]) -> int:
        """Instructions of these phases."""
        return sum(self.instructions[phase] for phase in phases)

    def to_json(self) -> dict[str, Any]:
        """Plain data for `from_json`."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Measured:
        """The reverse.

        Raises:
            KeyError, TypeError: it is something else.
        """
        return cls(**{**data, "point": Point(**data["point"])})


@dataclass(frozen=True)
class KernelCost:
    """All that was measured of one kernel, handing over to itself.

    Attributes:
        kernel: its name.
        measured: in the order of the points.
        failed: why a point could not be measured.
    """

    kernel: str
    measured: tuple[Measured, ...]
    failed: Mapping[Point, str] = field(default_factory=dict)

    @property
    def loads_last(self) -> bool | None:
        """Whether it hands nothing over if the next kernel is loaded before it is finalized.

        None where that was not seen.
        """
        first, usual = self.at(LOAD_FIRST), self.at(EMPTY)
        return None if first is None or usual is None else first.blocks < usual.blocks

    @property
    def blackout(self) -> tuple[str, ...]:
        """The phases in which a virtual machine that is handed over stands still."""
        return ("finalize", *(("load",) if self.loads_last else ()), *_AFTER_LOAD)

    def at(self, point: Point) -> Measured | None:
        """What was measured there."""
        return next((item for item in self.measured if item.point == point), None)

    def line(self, shape: Point) -> list[Measured]:
        """All with blocks that lie like ``shape``, by their number."""
        found = [item for item in self.measured if item.point.count and item.point.shape == shape]
        return sorted(found, key=lambda item: item.point.count)

    def growth(self, item: Measured, phase: str) -> int:
        """Instructions of a phase beyond those of a handover without blocks."""
        empty = self.at(EMPTY)
        return item.instructions[phase] - (empty.instructions[phase] if empty else 0)

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "kernel": self.kernel,
            "measured": [item.to_json() for item in self.measured],
            "failed": [{**asdict(point), "why": why} for point, why in self.failed.items()],
        }


def points_up_to(most: int) -> tuple[Point, ...]:
    """What is measured of a kernel: without KHO, without blocks, and with up to ``most`` of them.

    One shows whether the next kernel can be loaded beforehand.

    What a consumer needs for blocks that lie apart grows with their square in all releases, so
    there are fewer of those; and fewer large ones, which span more memory.
    """
    scattered, large = min(most, _SCATTERED), min(most // 10, _LARGE)
    return (
        OFF,
        EMPTY,
        LOAD_FIRST,
        *(Point(count) for count in _tens(100, most)),
        *(Point(count, stride=2) for count in _tens(100, scattered)),
        *(Point(count, order=9) for count in _tens(10, large)),
        Point(scattered, stride=16),
        Point(scattered, arrangement="downwards"),
        Point(scattered, arrangement="shuffled"),
        Point(scattered, stride=2, arrangement="shuffled"),
    )


def _tens(first: int, most: int) -> list[int]:
    """``first``, ten times as much, and so on; ``most`` is the last."""
    found = []
    while first < most:
        found.append(first)
        first *= 10
    return [*found, most]
