"""What handing over costs against the number of blocks, both axes logarithmic. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from khoci.costs import KernelCost, Point
from khoci.report.costtables import APART, SIDE_BY_SIDE, brief
from khoci.report.svg import FAINT, box, number, picture, words

_WIDTH, _HEIGHT = 760.0, 420.0
_LEFT, _TOP, _RIGHT, _BOTTOM = 70.0, 34.0, 170.0, 42.0
_COLOURS = (
    "#4269d0", "#efb118", "#ff725c", "#6cc5b0", "#3ca951", "#ff8ab7", "#a463f2", "#9c6b4e",
)  # fmt: skip
PLOTS = {
    "preserve": ("preserve", SIDE_BY_SIDE),
    "early-boot": ("early boot", SIDE_BY_SIDE),
    "early-boot-apart": ("early boot", APART),
    "restore": ("restore", SIDE_BY_SIDE),
}
"""File name of each picture, what is counted, and of which blocks."""


@dataclass(frozen=True)
class _Line:
    name: str
    points: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class _Axis:
    """Powers of ten from ``low`` to ``high`` on a stretch of the picture."""

    low: int
    high: int
    first: float
    last: float

    def place(self, value: float) -> float:
        share = (math.log10(value) - self.low) / (self.high - self.low)
        return self.first + share * (self.last - self.first)

    @property
    def ticks(self) -> range:
        return range(self.low, self.high + 1)


def plots(costs: Sequence[KernelCost]) -> Mapping[str, str]:
    """A picture for each of `PLOTS` for which there is anything, by the name of its file."""
    found = {}
    for name, (phase, shape) in PLOTS.items():
        if lines := _lines(costs, phase, shape):
            title = f"Instructions, {phase}, n blocks of {shape.label}, beyond those of none"
            found[f"{name}.svg"] = _plot(title, lines)
    return found


def _lines(costs: Sequence[KernelCost], phase: str, shape: Point) -> list[_Line]:
    found = []
    for cost in costs:
        pairs = [(item.point.count, cost.growth(item, phase)) for item in cost.line(shape)]
        points = tuple(pair for pair in pairs if pair[1] > 0)
        if points:
            found.append(_Line(cost.kernel, points))
    return found


def _plot(title: str, lines: Sequence[_Line]) -> str:
    x = _axis([n for line in lines for n, _ in line.points], _LEFT, _WIDTH - _RIGHT)
    y = _axis([value for line in lines for _, value in line.points], _HEIGHT - _BOTTOM, _TOP)
    parts = [words(0, 14, title, bold=True), *_grid(x, y)]
    for index, line in enumerate(lines):
        parts += _drawn(line, _COLOURS[index % len(_COLOURS)], x, y, index)
    said = "; ".join(
        f"{line.name}: " + ", ".join(f"{value:,} for {n:,}" for n, value in line.points)
        for line in lines
    )
    return picture(_WIDTH, _HEIGHT, title, said, parts) + "\n"


def _axis(values: Sequence[int], first: float, last: float) -> _Axis:
    low = math.floor(math.log10(min(values)))
    return _Axis(low, max(low + 1, math.ceil(math.log10(max(values)))), first, last)


def _grid(x: _Axis, y: _Axis) -> list[str]:
    parts = []
    for power in x.ticks:
        at = number(x.place(10**power))
        parts.append(f'<path d="M{at} {number(y.last)}V{number(y.first)}" stroke="{FAINT}"/>')
        parts.append(words(x.place(10**power), y.first + 16, brief(10**power), anchor="middle"))
    for power in y.ticks:
        at = number(y.place(10**power))
        parts.append(f'<path d="M{number(x.first)} {at}H{number(x.last)}" stroke="{FAINT}"/>')
        parts.append(words(x.first - 8, y.place(10**power) + 4, brief(10**power), anchor="end"))
    parts.append(words((x.first + x.last) / 2, y.first + 34, "blocks", anchor="middle"))
    return parts


def _drawn(line: _Line, colour: str, x: _Axis, y: _Axis, index: int) -> list[str]:
    places = [(number(x.place(n)), number(y.place(value))) for n, value in line.points]
    dashes = f' stroke-dasharray="{4 + 3 * (index % 4)} {index % 4 * 2}"' if index % 4 else ""
    path = "L".join(f"{left} {top}" for left, top in places)
    beside, at = x.last + 14, y.last + 8 + 18 * index
    return [
        f'<path d="M{path}" fill="none" stroke="{colour}" stroke-width="2"{dashes}/>',
        *(f'<circle cx="{left}" cy="{top}" r="3" fill="{colour}"/>' for left, top in places),
        box(beside, at - 9, 10, 10, colour),
        words(beside + 16, at, line.name),
    ]
