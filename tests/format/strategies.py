"""Hypothesis strategies that several tests share."""

from __future__ import annotations

from hypothesis import strategies as st

from khoci.format.blocks import Block
from tests.format.encoders import GIB


@st.composite
def block_sets(
    draw: st.DrawFn, page_shift: int = 12, size: int = GIB, limit: int = 40
) -> tuple[Block, ...]:
    """Sorted blocks inside ``size`` bytes that do not overlap."""
    pages = size >> page_shift
    orders = st.integers(0, pages.bit_length() - 3)
    wanted = draw(st.lists(st.tuples(orders, st.integers(0, pages - 1)), max_size=limit))
    blocks: list[Block] = []
    for order, pfn in wanted:
        block = Block(pfn >> order << (order + page_shift), order, page_shift)
        if not any(block.range.overlaps(other.range) for other in blocks):
            blocks.append(block)
    return tuple(sorted(blocks))
