"""A decoded handover as a graph for Graphviz: who points to what, and how much it owns."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING

from khoci.decode import facts
from khoci.decode.words import human, plural, printable
from khoci.format.components import Component, walk, whole

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from khoci.decode.found import Found
    from khoci.format.handover import Handover

MOST_CHILDREN = 40
"""More children of a component than this are one node: nobody can look at thousands."""


def render(found: Found, only: Collection[str] = ()) -> str:
    """The graph; ``only`` keeps the components of these names, and what they are in."""
    handover = found.handover
    lines = ["digraph handover {", "  rankdir=LR;", '  node [shape=box, fontname="monospace"];']
    lines.append(_node("root", _root(handover)))
    lines += [_node("map", _map(handover)), '  "root" -> "map";']
    numbers = count()
    for item in handover.components:
        lines += _component(item, handover, "root", numbers, only)
    return "\n".join([*lines, "}", ""])


def _root(handover: Handover) -> list[str]:
    at = "" if handover.fdt_addr is None else f"{handover.fdt_addr:#x}"
    return ["root", str(handover.version), at]


def _map(handover: Handover) -> list[str]:
    blocks = handover.map.blocks
    family = handover.map.family or "not read"
    return ["memory map", f"layout {family}", plural(len(blocks), "block"), human(blocks.size)]


def _component(
    item: Component, handover: Handover, above: str, numbers: count[int], only: Collection[str]
) -> Iterator[str]:
    chosen = not only or item.name in only
    if not chosen and not any(child.name in only for _, child in walk(item.children)):
        return
    name = f"c{next(numbers)}"
    yield _node(name, _label(item, handover))
    yield f'  "{above}" -> "{name}";'
    for child in item.children[:MOST_CHILDREN]:
        yield from _component(child, handover, name, numbers, () if chosen else only)
    if rest := item.children[MOST_CHILDREN:]:
        more = f"c{next(numbers)}"
        yield _node(more, [f"and {len(rest)} more", human(whole(rest).size)])
        yield f'  "{name}" -> "{more}";'


def _label(item: Component, handover: Handover) -> list[str]:
    version = [str(item.version)] if item.version else []
    return [item.title, *version, *facts.lines(item.value, handover.map.blocks)]


def _node(name: str, lines: list[str]) -> str:
    label = "\\l".join(_escaped(line) for line in lines if line)
    return f'  "{name}" [label="{label}\\l"];'


def _escaped(line: str) -> str:
    return printable(line).replace("\\", "\\\\").replace('"', '\\"')
