from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from khoci.format.blocks import Block, Blocks
from khoci.format.extents import Extents
from khoci.format.ownership import ORPHAN, assign, shares
from khoci.format.ranges import Range
from tests.format.encoders import GIB

RANGES = st.lists(
    st.builds(Range, st.integers(0, 60).map(lambda n: n << 11), st.integers(0, 20_000)), max_size=4
)
BLOCKS = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, 31)).map(
        lambda pair: Block(pair[1] >> pair[0] << (pair[0] + 12), pair[0])
    ),
    unique=True,
    max_size=12,
)


@settings(max_examples=300)
@given(BLOCKS, st.dictionaries(st.sampled_from("abcd"), RANGES))
def test_every_block_has_an_owner_that_owns_a_byte_of_it(
    blocks: list[Block], owned: dict[str, list[Range]]
) -> None:
    extents = {name: Extents.of(ranges) for name, ranges in owned.items()}
    found = assign(Blocks.of(blocks), extents)
    assert [block for block, _ in found] == sorted(blocks)
    for block, name in found:
        touching = {
            owner
            for owner, ranges in owned.items()
            if any(item.size and item.overlaps(block.range) for item in ranges)
        }
        assert name in touching if touching else name == ORPHAN


@settings(max_examples=300)
@given(st.dictionaries(st.sampled_from("abcd"), RANGES), RANGES)
def test_shares_are_intersections(owned: dict[str, list[Range]], part: list[Range]) -> None:
    extents = {name: Extents.of(ranges) for name, ranges in owned.items()}
    wanted = {name: item & Extents.of(part) for name, item in extents.items()}
    assert shares(extents, Extents.of(part)) == {name: x for name, x in wanted.items() if len(x)}


def test_the_blocks_of_one_owner() -> None:
    blocks = Blocks.of([Block(0x1000, 0), Block(0x4000, 2), Block(0x9000, 0)])
    found = assign(blocks, {"a": Extents.of([Range(0x5008, 1)]), "b": Extents.of([])})
    assert list(found.of("a")) == [Block(0x4000, 2)]
    assert list(found.of("b")) == []
    assert list(found.of(ORPHAN)) == [Block(0x1000, 0), Block(0x9000, 0)]
    assert (len(found), found.names) == (3, ("a", "b", ORPHAN))


def test_nothing_is_owned_or_nothing_is_preserved() -> None:
    blocks = Blocks.of([Block(0x1000, 0)])
    assert list(assign(blocks, {})) == [(Block(0x1000, 0), ORPHAN)]
    assert list(assign(Blocks.of([]), {"a": Extents.of([Range(0, 1)])})) == []


def test_a_million_blocks_of_ten_thousand_owners() -> None:
    phys = np.arange(0, 4 * GIB, 4096, dtype=np.uint64)
    blocks = Blocks(phys, np.zeros(len(phys), dtype=np.uint8))
    owned = {
        f"memfd[{number}]": Extents.of(
            [Range(number * 409_600 + step * 8192, 4096) for step in range(50)]
        )
        for number in range(10_000)
    }
    found = assign(blocks, owned)
    assert len(found.of(ORPHAN)) == len(blocks) - 500_000
    assert len(found.of("memfd[77]")) == 50
