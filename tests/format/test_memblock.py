from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from khoci.format import fdt, memblock
from khoci.format.errors import DecodeError, Place
from khoci.format.memblock import Region, ReserveMem
from khoci.format.ranges import Range
from khoci.format.versions import Version
from tests.format import encoders
from tests.format.encoders import node

if TYPE_CHECKING:
    from khoci.format.fdt import Node

PLACE = Place("root/memblock", 0x9000)
PLACES = (
    st.integers(0, 2**64 - 1)
    .flatmap(lambda start: st.tuples(st.just(start), st.integers(0, 2**64 - start)))
    .filter(lambda pair: pair[1] < 2**64)
)
NAMES = st.text("abcdefghij_", min_size=1, max_size=15)


def parsed(blob: bytes) -> ReserveMem:
    return memblock.parse(fdt.parse(blob, PLACE).root, PLACE)


@given(st.dictionaries(NAMES, PLACES, max_size=8))
def test_round_trip(regions: dict[str, tuple[int, int]]) -> None:
    expected = tuple(Region(name, *values) for name, values in regions.items())
    assert parsed(encoders.memblock_tree(regions)) == ReserveMem(Version("memblock", 1), expected)


def test_the_example_of_the_kernel_docs() -> None:
    cells = {"start": bytes.fromhex("0000c06b04000000"), "size": bytes.fromhex("0000000400000000")}
    region = node("n1", {"compatible": b"reserve-mem-v1\0", **cells})
    tree = node("", {"compatible": b"memblock-v1\0"}, [region])
    assert memblock.parse(tree, PLACE).regions == (Region("n1", 0x46BC00000, 64 << 20),)


def test_an_unknown_version_is_a_value() -> None:
    tree = node("", {"compatible": b"memblock-v2\0"}, [node("new")])
    assert memblock.parse(tree, PLACE) == ReserveMem(Version("memblock", 2), ())


REGION = {"compatible": b"reserve-mem-v1\0", "start": bytes(8), "size": bytes(8)}


@pytest.mark.parametrize(
    ("region", "message"),
    [
        ({**REGION, "compatible": b"reserve-mem-v2\0"}, "'reserve-mem-v2', not 'reserve-mem-v1'"),
        ({**REGION, "size": bytes(4)}, "root/memblock/n/size at 0x9000: .* 4 bytes, not 8"),
        ({"compatible": b"reserve-mem-v1\0", "start": bytes(8)}, "n/size .* missing"),
        ({}, "n/compatible .* missing"),
        ({**REGION, "start": b"\2" + bytes(7), "size": b"\xff" * 8}, "leave 64 bits"),
    ],
)
def test_broken_regions(region: dict[str, bytes], message: str) -> None:
    with pytest.raises(DecodeError, match=message):
        memblock.parse(node("", {"compatible": b"memblock-v1\0"}, [node("n", region)]), PLACE)


def test_more_regions_than_the_kernel_has() -> None:
    children: list[Node] = [node(f"n{n}", REGION) for n in range(9)]
    with pytest.raises(DecodeError, match="9 regions"):
        memblock.parse(node("", {"compatible": b"memblock-v1\0"}, children), PLACE)


@pytest.mark.parametrize(
    ("start", "size", "preserved"),
    [
        (0x5000, 0x3000, (0x5000, 0x3000)),
        (0x5008, 0x3000, (0x5000, 0x3000)),
        (0x5000, 0x3FFF, (0x5000, 0x3000)),
        (0x5000, 7, (0x5000, 0)),
        (2**64 - 4096, 4096, (2**64 - 4096, 4096)),
    ],
)
def test_only_whole_pages_are_preserved(start: int, size: int, preserved: tuple[int, int]) -> None:
    assert Region("n", start, size).preserved() == Range(*preserved)
