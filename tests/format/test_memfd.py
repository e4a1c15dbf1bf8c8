from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from khoci.format import memfd, vmalloc
from khoci.format.blocks import Block, Blocks
from khoci.format.errors import DecodeError, Place
from khoci.format.extents import Extents
from khoci.format.memfd import Folios
from khoci.format.ranges import Range
from khoci.format.versions import Version
from tests.format import encoders
from tests.format.encoders import GIB, Image, u64
from tests.format.payloads import Memfd, folio_words, memfd_struct
from tests.format.strategies import block_sets

PLACE = Place("root/LUO/session[vm]/memfd[0x1]")
U64 = st.integers(0, 2**64 - 1)


def head(file: Memfd, descriptor: bytes) -> memfd.Head:
    image = Image()
    address = image.put(memfd_struct(file, descriptor))
    return memfd.read_head(image.memory(), address, Version("memfd", file.version), PLACE)


def listed(image: Image, words: bytes, count: int) -> Folios:
    raw, _ = encoders.vmalloc_area(image, words)
    memory = image.memory()
    area = vmalloc.read(memory, vmalloc.parse(raw, PLACE), PLACE)
    return memfd.read_folios(memory, area, count, PLACE)


@given(U64, U64, st.integers(0, 2**32 - 1), st.binary(min_size=16, max_size=16))
def test_round_trip_of_the_struct(pos: int, size: int, seals: int, descriptor: bytes) -> None:
    old = head(Memfd(1, size, pos=pos, version=1), descriptor)
    assert (old.pos, old.size, old.seals, old.flags, old.count) == (pos, size, None, None, 0)
    new = head(Memfd(1, size, pos=pos, seals=seals), descriptor)
    assert (new.pos, new.size, new.seals, new.flags, new.count) == (pos, size, seals, 0, 0)
    assert old.folios == new.folios == vmalloc.parse(descriptor, PLACE)


def test_sizes_are_the_kernels() -> None:
    assert len(memfd_struct(Memfd(1, 0, version=1), bytes(16))) == 40
    assert len(memfd_struct(Memfd(1, 0), bytes(16))) == 48


@settings(max_examples=40, deadline=None)
@given(block_sets(limit=20), st.integers(0, 4095), U64)
def test_round_trip_of_folios(blocks: tuple[Block, ...], flags: int, index: int) -> None:
    found = [item for item in blocks if item.phys]
    words = b"".join(folio_words(index, item, flags) for item in found)
    folios = listed(Image(free=0x1000), words, len(found))
    assert folios.phys.tolist() == [item.phys for item in found]
    assert set(folios.flags.tolist()) <= {flags}
    assert set(folios.index.tolist()) <= {index}
    assert folios.orders(Blocks.of(blocks)).tolist() == [item.order for item in found]
    assert folios.owned(Blocks.of(blocks)) == Extents.of(item.range for item in found)


def test_the_example_of_the_reference() -> None:
    folios = listed(Image(), u64(0x0030_0000_0001_2345) + u64(7), 1)
    assert folios.phys.tolist() == [0x1234_5000]
    assert folios.flags.tolist() == [memfd.DIRTY | memfd.UPTODATE]
    assert folios.index.tolist() == [7]


def test_frame_0_is_no_folio() -> None:
    folios = listed(Image(), u64(3 << 52) + u64(0) + folio_words(1, Block(0x5000, 0)), 2)
    blocks = Blocks.of([Block(0, 0), Block(0x5000, 0)])
    assert folios.orders(blocks).tolist() == [-1, 0]
    assert folios.owned(blocks) == Extents.of([Range(0x5000, 4096)])


def test_a_folio_without_a_block_owns_its_first_page() -> None:
    folios = listed(Image(), folio_words(0, Block(0x60_0000, 9)), 1)
    for blocks in (Blocks.of(()), Blocks.of([Block(0x40_0000, 10)])):
        assert folios.orders(blocks).tolist() == [-1]
        assert folios.owned(blocks) == Extents.of([Range(0x60_0000, 4096)])


def test_no_folios() -> None:
    assert memfd.no_folios() == listed(Image(), b"", 0)
    assert memfd.no_folios() != listed(Image(), folio_words(0, Block(0x5000, 0)), 1)
    assert len(memfd.no_folios().owned(Blocks.of(()))) == 0


@pytest.mark.parametrize("pfn", [GIB >> 12, 2**52 - 1])
def test_a_folio_outside_ram(pfn: int) -> None:
    words = folio_words(0, Block(0x5000, 0)) + u64(pfn) + u64(1)
    with pytest.raises(DecodeError, match=rf"folio\[1\] at .* page frame {pfn:#x} is not in RAM"):
        listed(Image(), words, 2)


def test_a_frame_too_wide_for_large_pages() -> None:
    image = Image(page_size=1 << 16)
    address = image.put(u64(1 << 48) + u64(0), 1 << 16)
    area = vmalloc.Area(0, 0, np.array([address], dtype=np.uint64), np.zeros(0, np.uint64), 16)
    with pytest.raises(DecodeError, match="is not in RAM"):
        memfd.read_folios(image.memory(), area, 1, PLACE)


@pytest.mark.parametrize("count", [257, 2**64 - 1])
def test_more_folios_than_the_area_lists(count: int) -> None:
    with pytest.raises(DecodeError, match="bytes wanted, the area has 4096"):
        listed(Image(), u64(0) + u64(0), count)


def test_a_struct_outside_ram() -> None:
    with pytest.raises(DecodeError, match="not all in RAM"):
        memfd.read_head(Image().memory(), GIB - 40, Version("memfd", 2), PLACE)


@pytest.mark.parametrize(
    ("seals", "names"),
    [
        (0, ()),
        (22, ("shrink", "grow", "future-write")),
        (0x3F, ("seal", "shrink", "grow", "write", "future-write", "exec")),
        (0x81, ("seal", "0x80")),
    ],
)
def test_seals_have_names(seals: int, names: tuple[str, ...]) -> None:
    assert memfd.seal_names(seals) == names
