from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from khoci.format import luo
from khoci.format.errors import DecodeError, Place
from khoci.format.luo import Luo, Shape
from khoci.format.versions import Version
from tests.format import encoders
from tests.format.encoders import GIB, Image, node, u64

if TYPE_CHECKING:
    from khoci.format.fdt import Node

PLACE = Place("root/LUO")
U64 = st.integers(0, 2**64 - 1)
SESSION, FLB = Version("luo-session", 2), Version("luo-flb", 1)


def read_at(image: Image, blob: bytes) -> Luo:
    address = image.put(blob)
    return luo.read(image.memory(), address, PLACE)


@settings(max_examples=40, deadline=None)
@given(U64, U64, st.none() | U64)
def test_round_trip_of_the_tree(number: int, sessions: int, flbs: int | None) -> None:
    found = read_at(Image(), encoders.luo_tree(number, sessions, flbs))
    version = None if flbs is None else FLB
    expected = Luo(Version("luo", 1), Shape.FDT, number, sessions, flbs, SESSION, version)
    assert found == expected


@given(U64, U64, U64)
def test_round_trip_of_the_struct(number: int, sessions: int, flbs: int) -> None:
    found = read_at(Image(), encoders.luo_struct(number, sessions, flbs))
    assert found == Luo(Version("luo", 5), Shape.STRUCT, number, sessions, flbs)


def test_the_struct_has_32_bytes() -> None:
    assert len(encoders.luo_struct(1, 2, 3)) == luo.STRUCT_SIZE == 32


@pytest.mark.parametrize("name", [b"luo-v999", b"luo-v1", b"luo", b"\xff" * 8, b""])
def test_a_struct_of_another_version_is_a_value(name: bytes) -> None:
    found = read_at(Image(), encoders.luo_struct(1, 2**64 - 1, 3, name))
    assert (found.shape, found.number, found.sessions_at) == (Shape.STRUCT, None, None)
    assert found.version not in {Version("luo", 5), None}


@pytest.mark.parametrize("name", [b"luo-v2\0", b"luo-v5\0", b"luo-v1;x-v1\0"])
def test_a_tree_of_another_version_is_a_value(name: bytes) -> None:
    found = read_at(Image(), encoders.fdt(node("", {"compatible": name})))
    assert found == Luo(found.version, Shape.FDT)
    assert str(found.version) == name[:-1].decode()


TOP = {"compatible": b"luo-v1\0", "liveupdate-number": u64(1)}
NODE = node("luo-session", {"compatible": b"luo-session-v2\0", "luo-session-header": u64(0x1000)})


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        (node("", TOP), r"root/LUO/luo-session at .* the node is missing"),
        (node("", {**TOP, "liveupdate-number": b"1234"}, [NODE]), "has 4 bytes, not 8"),
        (node("", TOP, [node("luo-session")]), "luo-session/compatible .* missing"),
        (node("", TOP, [NODE, node("luo-flb")]), "luo-flb/compatible .* missing"),
    ],
)
def test_broken_trees(tree: Node, message: str) -> None:
    with pytest.raises(DecodeError, match=message):
        read_at(Image(), encoders.fdt(tree))


def test_a_blob_outside_ram() -> None:
    with pytest.raises(DecodeError, match="not all in RAM"):
        luo.read(Image().memory(), GIB - 16, PLACE)
