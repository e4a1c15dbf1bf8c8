"""What must be true of every decoded value, however hostile its bytes were."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from khoci.format import handover as handovers
from khoci.format.memory import ram_size

if TYPE_CHECKING:
    from collections.abc import Iterable

    from khoci.format.blocks import Blocks
    from khoci.format.checks import Problem
    from khoci.format.extents import Extents
    from khoci.format.handover import Handover
    from khoci.format.memory import Memory


def bounded(blocks: Blocks, memory: Memory) -> None:
    """No more than RAM has pages, and all that is true of `sorted_blocks`."""
    assert len(blocks) <= ram_size(memory) >> blocks.page_shift, "more blocks than RAM has pages"
    sorted_blocks(blocks)


def sorted_blocks(blocks: Blocks) -> None:
    """Sorted, and each inside 64 bits."""
    assert len(blocks.phys) == len(blocks.order), "columns of different length"
    assert np.all(blocks.phys[1:] >= blocks.phys[:-1]), "blocks are not sorted"
    assert np.all(blocks.order <= 64 - blocks.page_shift), "an order beyond 64 bits"
    assert np.all(blocks.last >= blocks.phys), "a block leaves 64 bits"


def apart(extents: Extents) -> None:
    """Sorted, neither touching nor overlapping."""
    assert np.all(extents.first <= extents.last), "an extent ends before it begins"
    ends = extents.last[:-1]
    assert np.all(ends < extents.first[1:]), "extents overlap or are not sorted"
    assert np.all(ends + np.uint64(1) < extents.first[1:]), "extents touch"


def named(problems: Iterable[Problem]) -> None:
    """Each says where, what, and of which kind."""
    for problem in problems:
        assert problem.where, "a problem without a path"
        assert problem.message, "a problem without a message"
        assert problem.kind, "a problem without a kind"


def handover(found: Handover, memory: Memory) -> None:
    """All of the above; and every block has one owner, and what is lost is owned."""
    named(found.problems)
    bounded(found.map.blocks, memory)
    apart(found.map.tables)
    owned = handovers.owned(found)
    for path, extents in owned.items():
        assert path, "a component without a path"
        apart(extents)
    owners = handovers.owners(found)
    assert len(owners) == len(found.map.blocks), "a block without an owner, or with two"
    assert len(handovers.orphans(found)) == int(np.sum(owners.index == len(owners.names) - 1))
    assert handovers.orphan_reason(found), "no reason for orphans"
    for path, extents in handovers.lost(found).items():
        assert extents == owned[path] - found.map.blocks.extents, "lost, and not lost"
