from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from khoci.format import flb
from khoci.format.errors import DecodeError, Place
from khoci.format.flb import Flb, FlbPage
from khoci.format.versions import Version
from tests.format.encoders import GIB, Image, u64
from tests.format.payloads import flb_page, plain_flbs

PLACE = Place("root/LUO/flb")
U64 = st.integers(0, 2**64 - 1)
NAMES = st.text("abcdefghijklmnopqrstuvwxyz-", min_size=1, max_size=40)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(NAMES, st.integers(0, 99), U64, U64), max_size=63), U64)
def test_round_trip(items: list[tuple[str, int, int, int]], pages: int) -> None:
    image = Image()
    packed = [(f"{name}-v{number}".encode(), data, count) for name, number, data, count in items]
    address = image.put(flb_page(packed, pages))
    objects = tuple(Flb(Version(name, number), *rest) for name, number, *rest in items)
    assert flb.read(image.memory(), address, PLACE) == FlbPage(pages, objects)


def test_the_objects_of_the_kernels_test_are_plain_numbers() -> None:
    image = Image()
    address = image.put(flb_page(plain_flbs(5)))
    objects = flb.read(image.memory(), address, PLACE).objects
    assert {item.version for item in objects} == flb.PLAIN
    assert objects[2] == Flb(Version("liveupdate-test-flb", 2), 0xFEEDF00DCAFEBEE2, 5)


@pytest.mark.parametrize("count", [64, 2**64 - 1])
def test_more_objects_than_the_page_holds(count: int) -> None:
    image = Image()
    address = image.put(u64(1) + u64(count))
    with pytest.raises(DecodeError, match=f"{count} FLBs, there is room for 63"):
        flb.read(image.memory(), address, PLACE)


@pytest.mark.parametrize(
    ("address", "message"), [(0x10_0008, "not page aligned"), (GIB, "not all in RAM")]
)
def test_a_page_that_is_nowhere(address: int, message: str) -> None:
    with pytest.raises(DecodeError, match=message):
        flb.read(Image().memory(), address, PLACE)
