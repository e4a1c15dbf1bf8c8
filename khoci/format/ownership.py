"""Which block belongs to whom: millions of blocks against all that is owned, in one pass."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from khoci.format.extents import Extents

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from khoci.format.blocks import Block, Blocks
    from khoci.format.extents import Addresses

ROOT = "root"
"""The owner of the root FDT's page."""

ORPHAN = "orphan"
"""The owner of a block that nobody owns."""

Indices = NDArray[np.intp]


@dataclass(frozen=True, slots=True, eq=False)
class Owners:
    """The owner of each block.

    Attributes:
        blocks: of a memory map.
        names: all owners; the last is `ORPHAN`.
        index: for each block, which of ``names`` is its owner.
    """

    blocks: Blocks
    names: tuple[str, ...]
    index: Indices

    def __len__(self) -> int:
        return len(self.blocks)

    def __iter__(self) -> Iterator[tuple[Block, str]]:
        for block, index in zip(self.blocks, self.index.tolist(), strict=True):
            yield block, self.names[index]

    def of(self, name: str) -> Blocks:
        """The blocks that ``name`` owns."""
        return self.blocks[self.index == self.names.index(name)]


def assign(blocks: Blocks, owned: Mapping[str, Extents]) -> Owners:
    """Give each block the owner of a byte in it: it is preserved as a whole or not at all."""
    names = (*owned, ORPHAN)
    first, last, owner = _table(owned)
    index = np.full(len(blocks), len(owned), dtype=np.intp)
    if not len(first):
        return Owners(blocks, names, index)
    far = _farthest(last)
    before = np.searchsorted(first, blocks.last, side="right") - 1
    row = far[np.maximum(before, 0)]
    touched = (before >= 0) & (last[row] >= blocks.phys)
    index[touched] = owner[row[touched]]
    return Owners(blocks, names, index)


def shares(owned: Mapping[str, Extents], part: Extents) -> dict[str, Extents]:
    """What each owner has of ``part``; those that have nothing of it are left out."""
    first, last, owner = _table(owned)
    begin = np.searchsorted(part.last, first, side="left")
    count = np.maximum(np.searchsorted(part.first, last, side="right") - begin, 0)
    row = np.repeat(np.arange(len(first)), count)
    piece = np.arange(len(row)) - np.repeat(np.cumsum(count) - count, count) + begin[row]
    order = np.argsort(owner[row], kind="stable")
    row, piece = row[order], piece[order]
    low, high = np.maximum(first[row], part.first[piece]), np.minimum(last[row], part.last[piece])
    present, starts = np.unique(owner[row], return_index=True)
    ends = np.append(starts, len(row))[1:].tolist()
    names = list(owned)
    return {
        names[index]: Extents.merged(low[start:end], high[start:end])
        for index, start, end in zip(present.tolist(), starts.tolist(), ends, strict=True)
    }


def _table(owned: Mapping[str, Extents]) -> tuple[Addresses, Addresses, Indices]:
    """The extents of all owners, sorted by address."""
    none = np.zeros(0, dtype=np.uint64)
    first = np.concatenate([none, *(item.first for item in owned.values())])
    last = np.concatenate([none, *(item.last for item in owned.values())])
    owner = np.repeat(np.arange(len(owned)), [len(item) for item in owned.values()])
    order = np.argsort(first, kind="stable")
    return first[order], last[order], owner[order]


def _farthest(last: Addresses) -> Indices:
    """For each row, which of those up to it ends last."""
    reach = np.maximum.accumulate(last)
    rows = np.arange(len(last))
    rows[1:][last[1:] <= reach[:-1]] = 0
    return np.maximum.accumulate(rows)
