"""The blocks of a map with their owners, neighbours of one owner and order taken together."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from khoci.decode.words import human, printable
from khoci.format.blocks import Run
from khoci.format.handover import Handover, owners

if TYPE_CHECKING:
    from collections.abc import Iterator

    from khoci.format.blocks import Blocks


@dataclass(frozen=True)
class OrderCount:
    """How many blocks of an order there are."""

    order: int
    blocks: int
    size: int


def by_order(blocks: Blocks) -> tuple[OrderCount, ...]:
    """The orders that occur, in ascending order; sizes in bytes."""
    counts = np.bincount(blocks.order).tolist() if len(blocks) else []
    return tuple(
        OrderCount(order, count, count << (order + blocks.page_shift))
        for order, count in enumerate(counts)
        if count
    )


def owned_runs(handover: Handover) -> Iterator[tuple[Run, str]]:
    """All blocks by address, with the path of their owner."""
    found = owners(handover)
    blocks, index = found.blocks, found.index
    if not len(blocks):
        return
    follows = blocks.phys[1:] - np.uint64(1) == blocks.last[:-1]
    same = (blocks.order[1:] == blocks.order[:-1]) & (index[1:] == index[:-1])
    starts = [0, *(np.flatnonzero(~(follows & same)) + 1).tolist(), len(blocks)]
    for start, end in pairwise(starts):
        phys, order = int(blocks.phys[start]), int(blocks.order[start])
        yield Run(phys, order, end - start, blocks.page_shift), found.names[index[start]]


def lines(handover: Handover) -> Iterator[str]:
    """The full list for people, a line a run."""
    for run, owner in owned_runs(handover):
        times = f" x {run.count}" if run.count > 1 else ""
        size = human(run.range.size)
        yield f"{run.phys:#014x}  order {run.order}{times}, {size}: {printable(owner)}"
