from __future__ import annotations

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from khoci.format import vmalloc
from khoci.format.blocks import Block
from khoci.format.errors import DecodeError, Place
from khoci.format.extents import Extents
from khoci.format.ranges import Range
from khoci.format.vmalloc import Descriptor
from tests.format import encoders
from tests.format.encoders import GIB, Image, u64

PLACE = Place("area")


@settings(max_examples=40, deadline=None)
@given(st.binary(max_size=30_000), st.integers(0, 3))
def test_round_trip(content: bytes, order: int) -> None:
    image = Image()
    raw, owned = encoders.vmalloc_area(image, content, order)
    memory = image.memory()
    area = vmalloc.read(memory, vmalloc.parse(raw, PLACE), PLACE)
    assert vmalloc.content(memory, area, len(content), PLACE) == content
    assert {Block(run, order) for run in area.runs.tolist()} <= set(owned)
    assert area.owned == Extents.of(item.range for item in owned)
    assert area == vmalloc.read(memory, vmalloc.parse(raw, PLACE), PLACE)


@pytest.mark.parametrize(("runs", "chunks"), [(0, 1), (510, 1), (511, 2), (512, 2), (1022, 3)])
def test_a_full_chunk_is_followed_by_another(runs: int, chunks: int) -> None:
    image = Image()
    first, pages = encoders.vmalloc_chunks(image, [n << 12 for n in range(1, runs + 1)])
    area = vmalloc.read(image.memory(), Descriptor(first, runs, 1, 0), PLACE)
    assert area.runs.tolist() == [n << 12 for n in range(1, runs + 1)]
    assert area.chunks.tolist() == pages[::-1]
    assert len(area.chunks) == chunks


@pytest.mark.parametrize("order", [0, 40, 65535])
def test_the_empty_descriptor(order: int) -> None:
    area = vmalloc.read(Image().memory(), Descriptor(0, 0, 0, order), PLACE)
    assert (len(area.runs), len(area.chunks), area.size, len(area.owned)) == (0, 0, 0, 0)


def test_a_list_of_a_quarter_million_pages() -> None:
    image = Image()
    runs = list(range(0, GIB, 4096))
    first, pages = encoders.vmalloc_chunks(image, runs[1:])
    area = vmalloc.read(image.memory(), Descriptor(first, len(runs) - 1, 1, 0), PLACE)
    assert area.runs.tolist() == runs[1:]
    assert area.size == GIB - 4096
    assert set(pages) <= set(runs)


def test_areas_that_differ() -> None:
    image = Image()
    first = vmalloc.read(image.memory(), Descriptor(0, 0, 0, 0), PLACE)
    raw, _ = encoders.vmalloc_area(image, b"x")
    second = vmalloc.read(image.memory(), vmalloc.parse(raw, PLACE), PLACE)
    assert first != second
    assert first != 0


def test_runs_need_not_be_aligned_to_their_order() -> None:
    image = Image()
    image.write(AT, u64(0) + u64(0x3000))
    area = vmalloc.read(image.memory(), Descriptor(AT, 4, 2, 2), PLACE)
    assert area.owned == Extents.of([Range(0x3000, 0x4000), Range(AT, 0x1000)])


def test_unknown_flags_are_kept() -> None:
    assert vmalloc.parse(struct.pack("<QIHH", 1, 2, 0xFFFF, 3), PLACE) == Descriptor(
        1, 2, 0xFFFF, 3
    )


@pytest.mark.parametrize("size", [0, 15, 17])
def test_a_descriptor_of_another_size(size: int) -> None:
    with pytest.raises(DecodeError, match=f"not {size}"):
        vmalloc.parse(bytes(size), PLACE)


AT = 0x10_0000


@pytest.mark.parametrize(
    ("page", "descriptor", "message"),
    [
        (u64(0), Descriptor(AT, 2**32 - 1, 0, 0), "more than RAM has"),
        (u64(0), Descriptor(AT, 3, 0, 1), "3 pages are no runs of order 1"),
        (u64(0), Descriptor(AT, 1, 0, 2**16 - 1), "no runs of order 65535"),
        (u64(0) + u64(0x1000), Descriptor(AT, 2, 0, 0), "1 runs of order 0, not 2"),
        (u64(0) + u64(0x1000) * 2, Descriptor(AT, 1, 0, 0), "2 runs of order 0, not 1"),
        (u64(AT), Descriptor(AT, 1, 0, 0), r"area/chunk\[1\] at 0x100000: .* cycle"),
        (u64(0), Descriptor(AT + 8, 1, 0, 0), "not page aligned"),
        (u64(0), Descriptor(GIB, 1, 0, 0), "not all in RAM"),
        (u64(2**64 - 4096), Descriptor(AT, 1, 0, 0), "not all in RAM"),
        (u64(AT + 4096) + u64(0x1000), Descriptor(AT, 1, 0, 0), "more than the 1 chunks of 1 runs"),
        (u64(0) + u64(0x1001), Descriptor(AT, 1, 0, 0), r"run\[0\] at 0x1001: .* not aligned"),
        (u64(0) + u64(GIB), Descriptor(AT, 1, 0, 0), "not in RAM"),
        (u64(0) + u64(GIB - 4096), Descriptor(AT, 2, 0, 1), "not in RAM"),
    ],
)
def test_hostile_areas(page: bytes, descriptor: Descriptor, message: str) -> None:
    image = Image()
    image.write(AT, page)
    with pytest.raises(DecodeError, match=message):
        vmalloc.read(image.memory(), descriptor, PLACE)


def test_content_stops_at_the_end_of_the_area() -> None:
    image = Image()
    raw, _ = encoders.vmalloc_area(image, b"x" * 100)
    area = vmalloc.read(image.memory(), vmalloc.parse(raw, PLACE), PLACE)
    with pytest.raises(DecodeError, match="4097 bytes wanted, the area has 4096"):
        vmalloc.content(image.memory(), area, 4097, PLACE)
