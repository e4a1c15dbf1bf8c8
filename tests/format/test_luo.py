from __future__ import annotations

import pytest

from khoci.format import luo
from khoci.format.errors import DecodeError, Place
from khoci.format.luo import Luo, Shape
from khoci.format.ranges import Range
from khoci.format.versions import Version
from tests.format import encoders
from tests.format.encoders import GIB, Image, u64

PLACE = Place("root/LUO")


def from_tree(sessions: int, flbs: bool) -> tuple[Luo, int, int]:
    image = Image()
    header = image.put(u64(sessions) + bytes(0x10000 - 8), 0x10000)
    flb = image.alloc()
    blob = image.put(encoders.luo_tree(7, header, flb if flbs else None))
    return luo.read(image.memory(), blob, PLACE), header, flb


def test_the_tree_of_6_19_has_no_flb() -> None:
    found, header, _ = from_tree(2, flbs=False)
    owned = (Range(header, 0x10000),)
    assert found == Luo(Version("luo", 1), Shape.FDT, 7, 2, owned)


def test_the_tree_of_7_0_has_one() -> None:
    found, header, flb = from_tree(819, flbs=True)
    owned = (Range(header, 0x10000), Range(flb, 4096))
    assert found == Luo(Version("luo", 1), Shape.FDT, 7, 819, owned)


def test_more_sessions_than_the_folio_holds() -> None:
    with pytest.raises(DecodeError, match=r"luo-session .* 820 sessions, there is room for 819"):
        from_tree(820, flbs=False)


def chain(image: Image, *counts: int) -> list[int]:
    following = 0
    pages: list[int] = []
    for count in reversed(counts):
        following = image.put(u64(following) + u64(count))
        pages.insert(0, following)
    return pages


def test_the_struct_of_7_2_counts_all_blocks() -> None:
    image = Image()
    pages = chain(image, 51, 51, 3)
    flb = image.alloc()
    blob = image.put(encoders.luo_struct(4, pages[0], flb))
    owned = tuple(Range(page, 4096) for page in (*pages, flb))
    expected = Luo(Version("luo", 5), Shape.STRUCT, 4, 105, owned)
    assert luo.read(image.memory(), blob, PLACE) == expected


def test_the_struct_without_sessions() -> None:
    image = Image()
    blob = image.put(encoders.luo_struct(1, 0, 0))
    assert luo.read(image.memory(), blob, PLACE) == Luo(Version("luo", 5), Shape.STRUCT, 1, 0)


def test_unknown_versions_are_values() -> None:
    image = Image()
    raw = image.put(encoders.luo_struct(1, 2**64 - 1, 3, b"luo-v999"))
    assert luo.read(image.memory(), raw, PLACE) == Luo(Version("luo", 999), Shape.STRUCT)
    tree = image.put(encoders.fdt(encoders.node("", {"compatible": b"luo-v2\0"})))
    assert luo.read(image.memory(), tree, PLACE) == Luo(Version("luo", 2), Shape.FDT)


@pytest.mark.parametrize(
    ("counts", "message"),
    [((0,), "0 sessions"), ((51, 52), r"block\[1\] .* 52 sessions"), ((2**64 - 1,), "sessions")],
)
def test_counts_that_no_block_has(counts: tuple[int, ...], message: str) -> None:
    image = Image()
    blob = image.put(encoders.luo_struct(1, chain(image, *counts)[0], 0))
    with pytest.raises(DecodeError, match=message):
        luo.read(image.memory(), blob, PLACE)


@pytest.mark.parametrize("first", [0x10_0000, 0x10_0008, GIB, 2**64 - 4096])
def test_blocks_that_are_a_cycle_or_nowhere(first: int) -> None:
    image = Image()
    image.write(0x10_0000, u64(0x10_0000) + u64(1))
    blob = image.put(encoders.luo_struct(1, first, 0))
    with pytest.raises(DecodeError, match=r"root/LUO/sessions/block\[[01]\]"):
        luo.read(image.memory(), blob, PLACE)


def test_more_blocks_than_the_kernel_follows() -> None:
    image = Image()
    pages = {n << 12: bytearray(u64((n + 1) << 12) + u64(1) + bytes(4080)) for n in range(1, 10100)}
    image.pages = pages
    image.free = 0x1000_0000
    blob = image.put(encoders.luo_struct(1, 0x1000, 0))
    with pytest.raises(DecodeError, match=r"block\[10000\] .* one too many"):
        luo.read(image.memory(), blob, PLACE)


def test_a_blob_outside_ram() -> None:
    with pytest.raises(DecodeError, match="not all in RAM"):
        luo.read(Image().memory(), GIB - 16, PLACE)


def test_a_tree_without_sessions() -> None:
    image = Image()
    properties = {"compatible": b"luo-v1\0", "liveupdate-number": u64(1)}
    blob = image.put(encoders.fdt(encoders.node("", properties)))
    with pytest.raises(DecodeError, match=r"root/LUO/luo-session .* the node is missing"):
        luo.read(image.memory(), blob, PLACE)
