"""Which cells of a run are taken from the cell cache, and which of them run again to compare."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from khoci.compat.cell import groups
from khoci.compat.plan import Cell
from khoci.files import write_atomic
from khoci.results import CellResult
from khoci.run.cellcache import CellCache
from khoci.run.cellkey import CellKeys
from khoci.run.folder import RunFolder
from khoci.verdicts import Verdict

SAMPLE = 0.05
"""The part of the boots that are made though all their cells are cached; at least one."""
_FILE = "cells.json"
_SCHEMA = 1

Chosen = Callable[[Sequence[tuple[Cell, ...]], int], Sequence[tuple[Cell, ...]]]
"""Takes some of many; `random.sample` unless a test wants to know which."""


@dataclass(frozen=True)
class Reused:
    """What the cache had of a run.

    Attributes:
        left: the cells to run, in the order of the plan.
        cached: those whose results are in the run now.
        again: what the cache has of cells that run all the same.
    """

    left: list[Cell]
    cached: list[Cell] = field(default_factory=list)
    again: dict[Cell, CellResult] = field(default_factory=dict)


@dataclass(frozen=True)
class Otherwise:
    """A cell that ended otherwise than the cache has it."""

    cell: Cell
    was: CellResult
    found: CellResult

    def __str__(self) -> str:
        pair = f"{self.cell.producer} -> {self.cell.consumer}"
        return f"{pair} {self.cell.scenario}: {_told(self.was)} before, {_told(self.found)} now"


def take(
    keys: CellKeys, cells: CellCache, wanted: Sequence[Cell], folder: RunFolder, chosen: Chosen
) -> Reused:
    """Restore what the cache has of the wanted cells, but for a sample.

    A boot is in the sample with all its cells, so that it is made as it was.
    """
    known = {
        cell: (key, kept)
        for cell in wanted
        if (key := keys.key(cell)) and (kept := cells.find(key, cell))
    }
    together = groups(list(known), keys.bench.scenarios)
    count = math.ceil(len(together) * SAMPLE)
    sampled = {cell for group in chosen(together, count) for cell in group}
    restored = [
        cell
        for cell, (key, kept) in known.items()
        if cell not in sampled and cells.restore(key, cell, kept, folder)
    ]
    there = {*restored}
    reused = Reused(
        left=[cell for cell in wanted if cell not in there],
        cached=restored,
        again={cell: known[cell][1].result for cell in known if cell in sampled},
    )
    _note(folder, reused)
    return reused


def compared(reused: Reused, folder: RunFolder) -> list[Otherwise]:
    """The cells of the sample that ended otherwise; one in which the harness failed is none."""
    found = {cell: folder.load(cell.name) for cell in reused.again}
    return [
        Otherwise(cell, reused.again[cell], result)
        for cell, result in found.items()
        if result is not None
        and result.verdict is not Verdict.ERROR
        and _seen(result) != _seen(reused.again[cell])
    ]


def _seen(result: CellResult) -> tuple[Verdict, dict[str, Verdict]]:
    """What must not change: addresses, order and times may."""
    return result.verdict, {name: each.verdict for name, each in result.components.items()}


def _told(result: CellResult) -> str:
    parts = [f"{name} {each.verdict}" for name, each in sorted(result.components.items())]
    return f"{result.verdict} ({', '.join(parts)})"


def _note(folder: RunFolder, reused: Reused) -> None:
    """Say in the run which results came from the cache, also those of before it was resumed."""
    file = folder.meta(_FILE)
    before = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    left = {cell.name for cell in reused.left}
    cached = {*before.get("cached", ()), *(cell.name for cell in reused.cached)} - left
    again = {*before.get("again", ()), *(cell.name for cell in reused.again)}
    data = {"schema": _SCHEMA, "cached": sorted(cached), "again": sorted(again)}
    if cached or again:
        write_atomic(file, json.dumps(data, indent=2) + "\n")
