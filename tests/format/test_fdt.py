from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from khoci.format import fdt
from khoci.format.errors import DecodeError, Place
from khoci.format.fdt import Fdt, Node
from khoci.format.memory import Pages
from khoci.format.ranges import Range
from tests.format import encoders
from tests.format.encoders import node

if TYPE_CHECKING:
    from collections.abc import Iterator

PLACE = Place("root", 0x5000)
NAMES = st.text("abcdefghijklmnopqrstuvwxyz-,@0123456789", min_size=1, max_size=20)
PROPERTIES = st.dictionaries(NAMES, st.binary(max_size=40), max_size=5)
TREES = st.recursive(
    st.builds(node, NAMES, PROPERTIES),
    lambda inner: st.builds(node, NAMES, PROPERTIES, st.lists(inner, max_size=4)),
    max_leaves=12,
)
SAMPLE = node(
    "",
    {"compatible": b"kho-v1\0", "preserved-memory-map": bytes(range(8))},
    [node("memblock", {"fdt": b"12345678"}), node("empty")],
)


def patched(offset: int, value: int) -> bytes:
    blob = bytearray(encoders.fdt(SAMPLE))
    struct.pack_into(">I", blob, offset, value)
    return bytes(blob)


@given(TREES, st.binary(max_size=64), st.integers(0, 2))
def test_round_trip_with_garbage_behind(tree: Node, garbage: bytes, nops: int) -> None:
    blob = encoders.fdt(tree, nops)
    assert fdt.parse(blob + garbage, PLACE) == Fdt(tree, len(blob))


def test_lookup_takes_the_first_of_a_name() -> None:
    tree = Node("", (("a", b"1"), ("a", b"2")), (Node("x", (("n", b"1"),)), Node("x")))
    assert tree.get("a") == b"1"
    assert tree.get("b") is None
    assert tree.child("x") == Node("x", (("n", b"1"),))
    assert tree.child("y") is None


@pytest.mark.parametrize(
    ("blob", "message"),
    [
        (b"", "no FDT: it begins with nothing"),
        (b"\xcc" * 4096, "no FDT: it begins with cccccccc"),
        (fdt.MAGIC + bytes(35), "header is cut off"),
        (patched(20, 16), "FDT version 16"),
        (patched(24, 18), "compatible with 18"),
        (patched(8, 57), "structure block is outside the tree or not aligned"),
        (patched(8, 0), "structure block is outside"),
        (patched(36, 0xFFFFFFFF), "structure block is outside"),
        (patched(32, 0x1000), "strings block is outside"),
        (patched(16, 0x10000), "memory reservations block is outside"),
        (patched(4, 0x10000), "claims 65536 bytes"),
        (patched(56, 7), "unexpected FDT token 0x7"),
        (patched(56, 3), "unexpected FDT token 0x3"),
        (patched(56, 2), "unexpected FDT token 0x2"),
        (patched(56, 9), "ends inside a node"),
        (patched(68, 0xFFFFFFFC), "structure block is cut off"),
        (patched(72, 0xFFFFFFFC), "no property name at offset 4294967292"),
        (encoders.fdt(SAMPLE)[:-1], "claims"),
    ],
)
def test_bad_trees(blob: bytes, message: str) -> None:
    with pytest.raises(DecodeError, match=message):
        fdt.parse(blob, PLACE)


def test_error_says_the_node_and_the_address() -> None:
    blob = encoders.fdt(SAMPLE)
    offset = blob.index(b"memblock") + 12
    with pytest.raises(DecodeError) as caught:
        fdt.parse(patched(offset, 5), PLACE)
    assert caught.value.where == "root/memblock"
    assert caught.value.address == 0x5000 + offset + 4


def test_property_behind_a_child_and_second_root() -> None:
    begin, end = struct.pack(">II", 1, 0), struct.pack(">I", 2)
    late = begin + begin + end + struct.pack(">III", 3, 0, 0) + end
    with pytest.raises(DecodeError, match="follows a child"):
        fdt.parse(wrapped(late), PLACE)
    with pytest.raises(DecodeError, match="second root"):
        fdt.parse(wrapped(begin + end + begin + end), PLACE)


def test_deep_nesting_is_refused_without_recursion() -> None:
    begin, end = struct.pack(">II", 1, 0), struct.pack(">I", 2)
    assert fdt.parse(wrapped(begin * fdt.MAX_DEPTH + end * fdt.MAX_DEPTH), PLACE)
    with pytest.raises(DecodeError, match="nested deeper"):
        fdt.parse(wrapped(begin * 100_000 + end * 100_000), PLACE)


def wrapped(block: bytes) -> bytes:
    block += struct.pack(">I", 9)
    numbers = (58 + len(block), 56, 56 + len(block), 40, 17, 16, 0, 2, len(block))
    return fdt.MAGIC + struct.pack(">9I", *numbers) + bytes(16) + block + b"a\0"


@settings(max_examples=300)
@given(st.integers(0, 4096), st.binary(min_size=1, max_size=8), st.integers(0, 4096))
def test_mutated_and_cut_trees_raise_nothing_else(at: int, junk: bytes, cut: int) -> None:
    blob = encoders.fdt(SAMPLE)
    at %= len(blob)
    try:
        fdt.parse((blob[:at] + junk + blob[at + len(junk) :])[: cut or None], PLACE)
    except DecodeError:
        return


@given(st.binary(max_size=300))
def test_any_structure_block_raises_nothing_else(block: bytes) -> None:
    try:
        fdt.parse(wrapped(block + bytes(-len(block) % 4)), PLACE)
    except DecodeError:
        return


def test_read_is_limited_and_within_ram() -> None:
    blob = encoders.fdt(SAMPLE)
    memory = Pages((Range(0x5000, 0x1000),), {0x5000: blob + b"\xa5" * (4096 - len(blob))})
    assert fdt.read(memory, 0x5000, PLACE).root == SAMPLE
    with pytest.raises(DecodeError, match=f"more than {len(blob) - 1}"):
        fdt.read(memory, 0x5000, PLACE, len(blob) - 1)
    with pytest.raises(DecodeError, match="not all in RAM"):
        fdt.read(memory, 0x6000, PLACE)


@given(TREES, st.integers(0, 2), st.data())
def test_the_beginning_of_a_tree(tree: Node, nops: int, data: st.DataObject) -> None:
    blob = encoders.fdt(tree, nops)
    cut = data.draw(st.integers(0, len(blob)))
    try:
        found = fdt.parse_truncated(blob[:cut], PLACE)
    except DecodeError:
        assert cut < 56 + nops * 4 + 4 + len(tree.name) + 1
        return
    assert found.size == len(blob)
    assert found.truncated == (cut < len(blob))
    names = names_of(blob)
    for (path, value), (whole, right) in zip(flat(found.root), flat(tree), strict=False):
        cut_off = {f"@{offset}" for offset, name in names.items() if name == whole[-1]}
        assert (path[:-1], value) == (whole[:-1], right)
        assert path[-1] in {whole[-1], *cut_off}


def names_of(blob: bytes) -> dict[int, str]:
    """Names of properties by their offset in the strings."""
    start = int.from_bytes(blob[12:16], "big")
    names, offset = {}, 0
    for name in blob[start:].split(b"\0")[:-1]:
        names[offset] = name.decode()
        offset += len(name) + 1
    return names


def flat(tree: Node, above: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], bytes]]:
    """All properties in the order of the tree, with their path."""
    for name, value in tree.properties:
        yield (*above, tree.name, name), value
    for child in tree.children:
        yield from flat(child, (*above, tree.name))


def test_names_that_are_cut_off_are_offsets() -> None:
    blob = encoders.fdt(SAMPLE)
    strings = blob.index(b"compatible")
    found = fdt.parse_truncated(blob[: strings + 11], PLACE)
    assert [name for name, _ in found.root.properties] == ["compatible", "@11"]
    assert found.root.children[0] == Node("memblock", (("@32", b"12345678"),))
    assert found.truncated


def test_a_whole_tree_is_not_truncated() -> None:
    blob = encoders.fdt(SAMPLE)
    assert fdt.parse_truncated(blob + b"more", PLACE) == fdt.parse(blob, PLACE)


@pytest.mark.parametrize(
    ("blob", "message"),
    [
        (encoders.fdt(SAMPLE)[:39], "header is cut off"),
        (encoders.fdt(SAMPLE)[:56], "structure block is cut off"),
        (patched(56, 7)[:100], "unexpected FDT token 0x7"),
        (patched(20, 16)[:100], "FDT version 16"),
        (patched(68, 0xFFFFFFFC), "structure block is cut off"),
    ],
)
def test_truncated_trees_that_are_wrong_too(blob: bytes, message: str) -> None:
    with pytest.raises(DecodeError, match=message):
        fdt.parse_truncated(blob, PLACE)


@settings(max_examples=300)
@given(st.integers(0, 4096), st.binary(min_size=1, max_size=8), st.integers(0, 4096))
def test_mutated_beginnings_raise_nothing_else(at: int, junk: bytes, cut: int) -> None:
    blob = encoders.fdt(SAMPLE)
    at %= len(blob)
    try:
        fdt.parse_truncated((blob[:at] + junk + blob[at + len(junk) :])[: cut % len(blob)], PLACE)
    except DecodeError:
        return
