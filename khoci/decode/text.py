"""A decoded handover as a tree of lines."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from khoci.compat.handed import FIRST
from khoci.decode import blocks, check, facts
from khoci.decode.words import human, plural, printable
from khoci.format.components import Component, union, walk, whole
from khoci.format.handover import lost

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from khoci.decode.found import Found
    from khoci.format.blocks import Blocks
    from khoci.format.extents import Extents
    from khoci.format.handover import Handover

_STEP = "  "


@dataclass(frozen=True)
class _View:
    """What the lines of all components need: the map's blocks, and what is not in them."""

    blocks: Blocks
    lost: Extents

    @classmethod
    def of(cls, handover: Handover) -> _View:
        missing = lost(handover) if handover.family else {}
        return cls(handover.map.blocks, union(missing.values()))


def render(found: Found, only: Collection[str] = (), *, with_blocks: bool = False) -> str:
    """The whole tree, or the parts named in ``only``."""
    handover, view = found.handover, _View.of(found.handover)
    lines = [_title(found), *(f"{_STEP}{printable(note)}" for note in found.notes)]
    for name, part in (("root", _root), ("memory map", _map), ("scratch", _scratch)):
        if not only or name in only:
            lines += part(handover)
    for item in handover.components:
        lines += _component(item, view, only, 0)
    if with_blocks:
        lines += ["blocks", *(f"{_STEP}{line}" for line in blocks.lines(handover))]
    return "\n".join([*lines, ""])


def problems(handover: Handover) -> str:
    """All that is wrong, each with its kind and place."""
    if not handover.problems:
        return "no problems\n"
    listed = (f"{_STEP}{item.kind}: {check.line(item)}" for item in handover.problems)
    return "\n".join([plural(len(handover.problems), "problem"), *listed, ""])


def names(handover: Handover) -> tuple[str, ...]:
    """The names that ``only`` can have, in the order of the tree."""
    inside = (item.name for _, item in walk(handover.components))
    return (*FIRST, *dict.fromkeys(inside))


def _title(found: Found) -> str:
    release = printable(found.release) if found.release else "an unknown release"
    return f"{printable(found.name)} ({found.kind}): handed over by {release}"


def _root(handover: Handover) -> list[str]:
    at = "" if handover.fdt_addr is None else f" at {handover.fdt_addr:#x}"
    cut = ", cut off" if handover.root.truncated else ""
    return [f"root{at}: {printable(str(handover.version))}{cut}"]


def _map(handover: Handover) -> list[str]:
    found, pointer = handover.map, handover.root.memory_map
    if found.family is None:
        return [f"memory map: {'not read' if pointer else 'none, the map is not finalized'}"]
    listed = f"{plural(len(found.blocks), 'block')}, {human(found.blocks.size)}"
    lines = [f"memory map at {pointer:#x}: layout {found.family}, {listed}"]
    if found.decision:
        sure = "certain" if found.decision.sure else "NOT CERTAIN"
        lines.append(f"{_STEP}the layout is {sure}: {'; '.join(found.decision.reasons)}")
    for item in blocks.by_order(found.blocks):
        count = plural(item.blocks, "block")
        lines.append(f"{_STEP}order {item.order}: {count}, {human(item.size)}")
    return lines


def _scratch(handover: Handover) -> list[str]:
    if handover.scratch is None:
        return ["scratch: not known"]
    total = human(sum(area.size for area in handover.scratch))
    areas = (
        f"{_STEP}{area.kind}: {human(area.size)} at {area.start:#x}" for area in handover.scratch
    )
    return [f"scratch: {plural(len(handover.scratch), 'area')}, {total}", *areas]


def _component(item: Component, view: _View, only: Collection[str], depth: int) -> Iterator[str]:
    """The lines of a component; those above one that is asked for are shown as well."""
    chosen = not only or item.name in only
    below = () if chosen else only
    if not chosen and not any(child.name in only for _, child in walk(item.children)):
        return
    indent = _STEP * depth
    yield f"{indent}{_heading(item, view)}"
    if chosen:
        for line in facts.lines(item.value, view.blocks):
            yield f"{indent}{_STEP}{line}"
    for child in item.children:
        yield from _component(child, view, below, depth + 1)


def _heading(item: Component, view: _View) -> str:
    at = "" if item.address is None else f" at {item.address:#x}"
    version = f": {printable(str(item.version))}" if item.version else ""
    needed = whole([item])
    size = f", {human(needed.size)} needed" if needed else ""
    missing = needed & view.lost if view.lost else view.lost
    loss = f", {human(missing.size)} of it NOT PRESERVED" if missing else ""
    return f"{printable(item.title)}{at}{version}{size}{loss}"
