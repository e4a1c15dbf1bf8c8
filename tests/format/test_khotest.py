from __future__ import annotations

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from khoci.format import fdt, khotest
from khoci.format.blocks import Block
from khoci.format.errors import DecodeError, Place
from khoci.format.khotest import KhoTest, Shape, checksum
from khoci.format.memory import Pages
from khoci.format.ranges import Range
from khoci.format.versions import Version
from tests.format import encoders
from tests.format.encoders import GIB, Image, node, u32, u64
from tests.format.strategies import block_sets

PLACE = Place("root/kho_test", 0x9000)


def parsed(image: Image, blob: bytes, shape: Shape | None = None) -> KhoTest:
    return khotest.parse(image.memory(), fdt.parse(blob, PLACE).root, PLACE, shape)


@settings(max_examples=40, deadline=None)
@given(block_sets(limit=20), st.permutations(range(20)))
def test_round_trip_of_both_shapes(blocks: tuple[Block, ...], mixed: list[int]) -> None:
    folios = tuple(blocks[index] for index in mixed if index < len(blocks))
    image, array = Image(), encoders.folio_array(folios)
    inline = parsed(image, encoders.kho_test_tree(array, len(folios), 5), Shape.INLINE)
    assert (inline.shape, inline.csum, inline.folios) == (Shape.INLINE, 5, folios)
    raw, owned = encoders.vmalloc_area(image, array)
    by_area = parsed(image, encoders.kho_test_tree(raw, len(folios), 5), Shape.VMALLOC)
    assert by_area.folios == folios
    assert by_area.area is not None
    assert len(by_area.area.runs) + len(by_area.area.chunks) == len(owned)


@pytest.mark.parametrize("count", [1, 3, 9])
def test_the_length_tells_the_shape(count: int) -> None:
    folios = tuple(Block(0x10_0000 * (n + 1), n) for n in range(count))
    image, array = Image(), encoders.folio_array(folios)
    raw, _ = encoders.vmalloc_area(image, array)
    assert parsed(image, encoders.kho_test_tree(array, count)).shape is Shape.INLINE
    assert parsed(image, encoders.kho_test_tree(raw, count)).shape is Shape.VMALLOC


def test_two_folios_are_as_long_as_a_descriptor() -> None:
    folios = (Block(0x40_0000, 10), Block(0x20_0000, 3))
    image, array = Image(), encoders.folio_array(folios)
    raw, _ = encoders.vmalloc_area(image, array)
    assert parsed(image, encoders.kho_test_tree(array, 2)).shape is Shape.INLINE
    by_area = parsed(image, encoders.kho_test_tree(raw, 2))
    assert (by_area.shape, by_area.folios) == (Shape.VMALLOC, folios)


def test_two_folios_that_fit_both_shapes() -> None:
    image = Image((Range(0, 8 * GIB),))
    array = image.put(u64(0x40_0000) + u64(0x50_0000))
    raw = struct.pack("<QIHH", image.put(u64(0) + u64(array)), 1, 1, 0)
    blob = encoders.kho_test_tree(raw, 2)
    assert raw[8:] == u64(0x1_0000_0001)
    with pytest.raises(DecodeError, match="16 bytes for 2 folios fit both shapes"):
        parsed(image, blob)
    assert parsed(image, blob, Shape.INLINE).folios[1] == Block(0x1_0000_0000, 1)
    assert parsed(image, blob, Shape.VMALLOC).folios == (Block(0x40_0000, 0), Block(0x50_0000, 0))


def test_an_unknown_version_is_a_value() -> None:
    tree = node("", {"compatible": b"kho-test-v2\0"})
    assert khotest.parse(Image().memory(), tree, PLACE) == KhoTest(Version("kho-test", 2))


DATA = {"nr_folios": u32(1), "folios_info": u64(0x1000), "csum": u32(0)}
TOP = {"compatible": b"kho-test-v1\0", "magic": u32(khotest.MAGIC)}


@pytest.mark.parametrize(
    ("top", "data", "message"),
    [
        ({**TOP, "magic": u32(7)}, DATA, "root/kho_test/magic at 0x9000: 0x7 is not 0x4b484f21"),
        (TOP, None, "root/kho_test/data at 0x9000: the node is missing"),
        (TOP, {**DATA, "csum": b""}, "data/csum .* 0 bytes, not 4"),
        (TOP, {**DATA, "nr_folios": u32(2)}, "8 bytes for 2 folios fit no shape"),
        (TOP, {**DATA, "folios_info": u64(GIB)}, r"folio\[0\] at 0x40000000: .* not in RAM"),
        (TOP, {**DATA, "folios_info": u64(0x1001)}, "not aligned to its order 1"),
        (TOP, {**DATA, "folios_info": u64(0x0FFF)}, "not aligned to its order 4095"),
        (TOP, {**DATA, "folios_info": bytes(16), "nr_folios": u32(2**32 - 1)}, "do not fit"),
        (TOP, {**DATA, "folios_info": bytes(16)}, "8 bytes wanted, the area has 0"),
    ],
)
def test_broken_trees(top: dict[str, bytes], data: dict[str, bytes] | None, message: str) -> None:
    tree = node("", top, [] if data is None else [node("data", data)])
    with pytest.raises(DecodeError, match=message):
        khotest.parse(Image().memory(), tree, PLACE)


def test_what_is_likely_does_not_overrule_what_is_there() -> None:
    folios = (Block(0x40_0000, 10), Block(0x20_0000, 3))
    image, array = Image(), encoders.folio_array(folios)
    raw, _ = encoders.vmalloc_area(image, array)
    inline = parsed(image, encoders.kho_test_tree(array, 2), Shape.VMALLOC)
    assert (inline.shape, inline.folios) == (Shape.INLINE, folios)
    by_area = parsed(image, encoders.kho_test_tree(raw, 2), Shape.INLINE)
    assert (by_area.shape, by_area.folios) == (Shape.VMALLOC, folios)


@pytest.mark.parametrize("likely", [None, *Shape])
def test_a_length_that_no_kernel_writes(likely: Shape | None) -> None:
    blob = encoders.kho_test_tree(bytes(24), 2)
    with pytest.raises(DecodeError, match="24 bytes for 2 folios fit no shapes"):
        parsed(Image(), blob, likely)


def carried(content: bytes) -> int:
    """``csum_partial`` as the kernel adds: words with end-around carry."""
    total = 0
    for (word,) in struct.iter_unpack("<I", content):
        total += word
        total = (total & 0xFFFFFFFF) + (total >> 32)
    return total


@given(st.lists(st.binary(min_size=4, max_size=64).map(lambda b: b[: len(b) & ~3]), max_size=4))
def test_checksum_is_the_kernels(contents: list[bytes]) -> None:
    folios = [Block(0x1000 << (n + 1), n % 2) for n in range(len(contents))]
    pages = {
        folio.phys: content.ljust(4096, b"\0")
        for folio, content in zip(folios, contents, strict=True)
    }
    memory = Pages((Range(0, GIB),), pages)
    assert checksum(memory, folios) == carried(b"".join(contents))


def test_checksum_of_ones_is_not_zero() -> None:
    memory = Pages((Range(0, GIB),), {0: b"\xff" * 4096})
    assert checksum(memory, [Block(0, 0)]) == 0xFFFFFFFF
    assert checksum(memory, [Block(0x1000, 0)]) == 0
    assert checksum(memory, []) == 0


def test_checksum_of_a_folio_larger_than_a_window() -> None:
    pages = {0: u32(1) + bytes(4092), 4 << 20: u32(2) + bytes(4092)}
    assert checksum(Pages((Range(0, GIB),), pages), [Block(0, 11)]) == 3


def test_checksum_of_a_folio_outside_ram() -> None:
    with pytest.raises(DecodeError, match=r"folio\[0\]"):
        checksum(Image().memory(), [Block(GIB, 0)])
