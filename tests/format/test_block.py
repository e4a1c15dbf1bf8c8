from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from khoci.format import block
from khoci.format.errors import DecodeError, Place
from khoci.format.extents import Extents
from khoci.format.memory import Pages
from khoci.format.ranges import Range
from tests.format.encoders import GIB, Image, u64
from tests.format.payloads import Writer

PLACE = Place("sessions")


def test_capacities() -> None:
    assert (block.capacity(80), block.capacity(64), block.capacity(32)) == (51, 63, 127)
    assert block.capacity(80, 16) == 819


@settings(max_examples=50, deadline=None)
@given(st.integers(8, 200), st.integers(0, 300))
def test_round_trip(size: int, count: int) -> None:
    entries = tuple(u64(number).ljust(size, b"x") for number in range(count))
    writer = Writer(Image())
    first = writer.kho_blocks(entries)
    chain, found = block.read(writer.image.memory(), first, size, PLACE)
    assert found == entries
    assert sum(chain.counts) == count
    assert sorted(chain.pages) == [item.phys for item in writer.blocks]
    assert chain.owned == Extents.of(item.range for item in writer.blocks)


def test_no_block() -> None:
    chain, found = block.read(Image().memory(), 0, 80, PLACE)
    assert (chain.pages, chain.counts, found, len(chain.owned)) == ((), (), (), 0)


@pytest.mark.parametrize(
    ("count", "message"),
    [
        (0, "0 entries, a block has 1 to 51"),
        (52, "52 entries"),
        (2**64 - 1, "18446744073709551615 entries"),
    ],
)
def test_counts_that_the_kernel_refuses(count: int, message: str) -> None:
    image = Image()
    last = image.put(u64(0) + u64(count))
    first = image.put(u64(last) + u64(51))
    with pytest.raises(DecodeError, match=rf"sessions/block\[1\] at {last:#x}: {message}"):
        block.read(image.memory(), first, 80, PLACE)


@pytest.mark.parametrize("first", [0x10_0000, 0x20_0000, 0x10_0008, GIB, 2**64 - 4096])
def test_cycles_and_blocks_that_are_nowhere(first: int) -> None:
    image = Image()
    image.write(0x10_0000, u64(0x10_0000) + u64(1))
    image.write(0x20_0000, u64(0x30_0000) + u64(1))
    image.write(0x30_0000, u64(0x20_0000) + u64(1))
    with pytest.raises(DecodeError, match=r"sessions/block\[[012]\] at"):
        block.read(image.memory(), first, 80, PLACE)


def test_a_page_that_is_something_else_already() -> None:
    image = Image()
    first = image.put(u64(0) + u64(1))
    taken: set[int] = set()
    block.read(image.memory(), first, 80, PLACE, taken=taken)
    assert taken == {first}
    with pytest.raises(DecodeError, match="is reached twice"):
        block.read(image.memory(), first, 80, PLACE, taken=taken)


def blocks_in_a_row(count: int) -> Pages:
    pages = {n << 12: u64((n + 1) << 12) + u64(1) + bytes(4080) for n in range(1, count)}
    pages[count << 12] = u64(0) + u64(1) + bytes(4080)
    return Pages((Range(0, GIB),), pages)


def test_the_kernel_follows_ten_thousand_blocks_and_no_more() -> None:
    assert len(block.read(blocks_in_a_row(10_000), 0x1000, 80, PLACE)[1]) == 10_000
    with pytest.raises(DecodeError, match=r"block\[10000\] .* one too many"):
        block.read(blocks_in_a_row(10_001), 0x1000, 80, PLACE)
