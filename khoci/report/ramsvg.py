"""A map of guest memory: RAM, scratch, and a line for each owner of what is preserved. Pure.

All views of a picture have one scale of addresses. It leaves out stretches in which nothing is
preserved, and says so; those it shows are as wide as the logarithm of their size, and what is in
them is never thinner than a pixel or two.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import log2

from khoci.report.model import Block, MemoryView
from khoci.report.svg import FAINT, INK, box, number, picture, words

_WIDTH, _LABELS, _FATES = 960.0, 190.0, 290.0
_ROW, _BAR, _GAP, _THIN = 17.0, 10.0, 12.0, 2.0
_PAGE = 4096
_MOST_OWNERS = 16
_MOST_SEGMENTS = 24
_ORPHAN = "orphan"
_OTHERS = "others"
_FILLS = {
    "": "var(--svg-kept, #5b84b1)",
    "kept": "var(--svg-kept, #5b84b1)",
    "given_back": "var(--svg-given, #7f9f7f)",
    "leaked": "var(--svg-leaked, #c79a3a)",
    "not_protected": "var(--svg-bad, #d1622b)",
    "overwritten": "var(--svg-bad, #d1622b)",
    "lost": "var(--svg-bad, #d1622b)",
}
_UNITS = ("KiB", "MiB", "GiB", "TiB")

Range = tuple[int, int]
"""First address, and the one behind the last."""


@dataclass(frozen=True)
class _Segment:
    """A stretch of memory, and where it is in the picture."""

    start: int
    end: int
    x: float
    width: float

    def place(self, address: int) -> float:
        """Where an address in it is."""
        return self.x + self.width * (address - self.start) / (self.end - self.start)


def memory_svg(views: Sequence[MemoryView], title: str) -> str:
    """One view, or one below the other on the same scale.

    Args:
        views: of the same guest.
        title: what a screen reader says first.
    """
    segments = _segments(views)
    parts, y = _axis(segments)
    for view in views:
        drawn, y = _view(view, segments, y + 6)
        parts += drawn
    said = "; ".join(_told(view) for view in views)
    return picture(_WIDTH, y + 6, title, said, parts)


def _segments(views: Iterable[MemoryView]) -> list[_Segment]:
    """The stretches that are shown: those with anything in them, near ones together."""
    ranges = sorted(
        {
            (start, start + size)
            for view in views
            for start, size in (*view.scratch, *((b.start, b.size) for b in view.blocks))
            if size > 0
        }
    )
    found = _joined(ranges, 0)
    gaps = sorted({second[0] - first[1] for first, second in pairwise(found)})
    for gap in gaps:
        if len(found) <= _MOST_SEGMENTS:
            break
        found = _joined(found, gap)
    found = _joined(found, sum(end - start for start, end in found) // 200)
    room = _WIDTH - _LABELS - _FATES - _GAP * max(0, len(found) - 1)
    shares = [max(1.0, log2((end - start) / _PAGE)) for start, end in found]
    least = min(12.0, room / max(1, len(found)))
    free = room - least * len(found)
    segments, x = [], _LABELS
    for (start, end), share in zip(found, shares, strict=True):
        width = least + free * share / sum(shares)
        segments.append(_Segment(start, end, x, width))
        x += width + _GAP
    return segments


def _joined(ranges: Iterable[Range], near: int) -> list[Range]:
    """Ranges, ascending; those with at most ``near`` bytes between them are one."""
    found: list[Range] = []
    for start, end in ranges:
        if found and start - found[-1][1] <= near:
            found[-1] = (found[-1][0], max(found[-1][1], end))
        else:
            found.append((start, end))
    return found


def _axis(segments: Sequence[_Segment]) -> tuple[list[str], float]:
    """Addresses, where there is room for them, and the bottom of the axis."""
    parts, free = [], 0.0
    for segment in segments:
        if segment.x < free:
            continue
        text = f"{segment.start:#x}"
        parts.append(words(segment.x, 11, text))
        parts.append(f'<path d="M{number(segment.x)} 14v5" stroke="{INK}"/>')
        free = segment.x + 7 * len(text) + 8
    if not segments:
        parts.append(words(_LABELS, 11, "nothing is preserved"))
    elif len(segments) > 1:
        parts.append(words(0, 11, "gaps are left out"))
    return parts, 18.0


def _view(view: MemoryView, segments: Sequence[_Segment], y: float) -> tuple[list[str], float]:
    """The title, a line for scratch, a line for each owner; and the bottom."""
    total = sum(size for _, size in view.ram)
    parts = [words(0, y + 12, f"{view.title}: {_size(total)} of RAM", bold=True)]
    y += _ROW
    parts += [*_lane(y, segments), words(_LABELS - 8, y + 10, "scratch", anchor="end")]
    scratch = [Block(start, size, "") for start, size in view.scratch]
    parts += [_path(_pixels(scratch, segments), y, "none", INK)] if scratch else []
    told = _size(sum(size for _, size in view.scratch)) if scratch else "not known"
    parts.append(words(_WIDTH - _FATES + 8, y + 10, told))
    y += _ROW
    for owner, blocks in _owners(view.blocks):
        parts += [*_lane(y, segments), words(_LABELS - 8, y + 10, _cut(owner), anchor="end")]
        for fate in dict.fromkeys(block.fate for block in blocks):
            same = [block for block in blocks if block.fate == fate]
            parts.append(_path(_pixels(same, segments), y, *_look(owner, fate)))
        parts.append(words(_WIDTH - _FATES + 8, y + 10, _sizes(blocks)))
        y += _ROW
    if view.left_out:
        parts.append(words(_LABELS, y + 10, f"and {view.left_out} smaller blocks"))
        y += _ROW
    return parts, y


def _owners(blocks: Iterable[Block]) -> list[tuple[str, list[Block]]]:
    """The blocks of each owner; orphans last, and the smallest together if there are many."""
    found: dict[str, list[Block]] = {}
    for block in blocks:
        found.setdefault(block.owner, []).append(block)
    orphans = found.pop(_ORPHAN, [])
    if len(found) > _MOST_OWNERS:
        by_size = sorted(found, key=lambda name: -sum(each.size for each in found[name]))
        rest = by_size[_MOST_OWNERS - 1 :]
        others = [block for name in rest for block in found.pop(name)]
        found[f"{len(rest)} {_OTHERS}"] = others
    listed = list(found.items())
    return [*listed, (f"{_ORPHAN}: nobody's", orphans)] if orphans else listed


def _look(owner: str, fate: str) -> tuple[str, str]:
    """Fill and outline: what is not as it should be is hollow."""
    fill = _FILLS.get(fate, _FILLS[""])
    hollow = fate in ("lost", "not_protected") or owner.startswith(_ORPHAN)
    return ("none", fill) if hollow else (fill, "none")


def _pixels(blocks: Iterable[Block], segments: Sequence[_Segment]) -> list[tuple[float, float]]:
    """Where blocks are, from and to; those that touch in the picture are one."""
    found: list[tuple[float, float]] = []
    places = iter(segments)
    segment = next(places, None)
    for block in sorted(blocks, key=lambda each: each.start):
        while segment is not None and block.start >= segment.end:
            segment = next(places, None)
        if segment is None:
            break
        left = round(segment.place(max(block.start, segment.start)), 0)
        end = min(block.start + block.size, segment.end)
        right = max(round(segment.place(end), 0), left + _THIN)
        if found and left <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], right))
        else:
            found.append((left, right))
    return found


def _path(pixels: Iterable[tuple[float, float]], y: float, fill: str, stroke: str) -> str:
    pieces = (
        f"M{number(left)} {number(y + 1)}h{number(right - left)}v{number(_BAR)}H{number(left)}z"
        for left, right in pixels
    )
    return f'<path d="{"".join(pieces)}" fill="{fill}" stroke="{stroke}"/>'


def _lane(y: float, segments: Iterable[_Segment]) -> list[str]:
    return [box(each.x, y + _BAR / 2, each.width, 1, FAINT) for each in segments]


def _sizes(blocks: Sequence[Block]) -> str:
    """How much there is of each fate, and in how many blocks."""
    by_fate: dict[str, int] = {}
    for block in blocks:
        by_fate[block.fate] = by_fate.get(block.fate, 0) + block.size
    each = (f"{_size(size)} {fate.replace('_', ' ')}".strip() for fate, size in by_fate.items())
    count = f"{len(blocks)} block{'' if len(blocks) == 1 else 's'}"
    return f"{', '.join(each)} ({count})"


def _told(view: MemoryView) -> str:
    owners = ", ".join(f"{owner} {_sizes(blocks)}" for owner, blocks in _owners(view.blocks))
    return f"{view.title}: {owners or 'nothing is preserved'}"


def _size(size: int) -> str:
    """Bytes in the largest unit that is not below one."""
    value, unit = float(size), "B"
    for larger in _UNITS:
        if value < 1024:
            break
        value, unit = value / 1024, larger
    return f"{value:.4g} {unit}"


def _cut(owner: str) -> str:
    return owner if len(owner) <= 26 else f"{owner[:23]}..."
