"""Where the time of a cell went: a bar with a part for each phase. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from khoci.report.model import Phase
from khoci.report.svg import FAINT, box, number, picture, words

_WIDTH, _LABELS, _NUMBERS, _ROW, _BAR = 960.0, 150.0, 80.0, 18.0, 11.0
_FILL = "var(--svg-time, #5b84b1)"
_MOST = 40
"""Phases that are shown."""


def timeline_svg(phases: Sequence[Phase]) -> str:
    """A line for each phase, one below the other, on one scale of seconds."""
    told = phases[:_MOST]
    end = max((phase.start + phase.seconds for phase in told), default=0.0)
    scale = (_WIDTH - _LABELS - _NUMBERS) / end if end > 0 else 0.0
    parts = []
    for row, phase in enumerate(told):
        y = row * _ROW
        parts += [
            words(_LABELS - 8, y + 12, phase.name, anchor="end"),
            box(_LABELS + phase.start * scale, y + 3, max(phase.seconds * scale, 1), _BAR, _FILL),
            words(
                _LABELS + (phase.start + phase.seconds) * scale + 5, y + 12, _seconds(phase.seconds)
            ),
        ]
    height = len(told) * _ROW + 20
    down, across = number(height - 18), number(_WIDTH - _NUMBERS)
    parts += [
        f'<path d="M{number(_LABELS)} 0V{down}H{across}" fill="none" stroke="{FAINT}"/>',
        words(_LABELS, height - 4, "0"),
        words(_WIDTH - _NUMBERS, height - 4, _seconds(end), anchor="end"),
    ]
    said = ", ".join(f"{phase.name} {_seconds(phase.seconds)}" for phase in told)
    return picture(_WIDTH, height, f"time of the cell, {_seconds(end)} in all", said, parts)


def _seconds(value: float) -> str:
    return f"{value:.2f} s" if value < 10 else f"{value:.1f} s"
