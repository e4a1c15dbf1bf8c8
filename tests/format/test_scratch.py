from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from khoci.format import scratch
from khoci.format.errors import DecodeError, Place
from khoci.format.ranges import Range
from khoci.format.scratch import ScratchArea
from tests.format.encoders import GIB, MIB, u64
from tests.format.guests import scratch_array

RAM = (Range(0, GIB),)
PLACE = Place("scratch")


def array(*areas: tuple[int, int]) -> bytes:
    return b"".join(u64(start) + u64(size) for start, size in areas)


def test_areas_are_named_by_their_index() -> None:
    assert scratch.parse(scratch_array(), RAM, PLACE) == (
        ScratchArea("lowmem", 16 * MIB, 16 * MIB),
        ScratchArea("global", 32 * MIB, 16 * MIB),
        ScratchArea("node[0]", 64 * MIB, 32 * MIB),
    )


def test_an_empty_area_is_fine_wherever_it_is() -> None:
    areas = scratch.parse(array((0, 0), (MIB, MIB)), RAM, PLACE)
    assert [area.size for area in areas] == [0, MIB]


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"", "no array"),
        (bytes(15), "no array"),
        (bytes(16 * 2000), "no array"),
        (bytes(48), "all scratch areas are empty"),
        (array((MIB + 1, MIB)), "lowmem at 0x100001: .* not page aligned"),
        (array((MIB, MIB + 1)), "not page aligned"),
        (array((GIB - MIB, 2 * MIB)), "not in RAM"),
        (array((MIB, MIB), (0, 2 * MIB)), "overlaps"),
        (array((2**64 - 4096, 2**64 - 4096)), "not in RAM"),
    ],
)
def test_bytes_that_are_no_scratch_array(raw: bytes, message: str) -> None:
    with pytest.raises(DecodeError, match=message):
        scratch.parse(raw, RAM, PLACE)


@given(st.binary(max_size=200))
def test_random_bytes_raise_nothing_else(raw: bytes) -> None:
    try:
        areas = scratch.parse(raw, RAM, PLACE)
    except DecodeError:
        return
    assert all(RAM[0].contains(area.start, area.size) for area in areas if area.size)
