from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from khoci.format.errors import DecodeError, Place
from khoci.format.memory import Pages, Recorder, fetch
from khoci.format.ranges import Range

RAM = (Range(0, 0x3800), Range(0x5000, 0x3000))
PAGES = {0x1000: b"a" * 4096, 0x2000: b"b" * 4096, 0x6000: b"c" * 4096}


@pytest.fixture
def memory() -> Pages:
    return Pages(RAM, PAGES)


def test_reads_across_pages_and_zeros_where_nothing_was_written(memory: Pages) -> None:
    assert memory.read(0xFFF, 2) == b"\0a"
    assert memory.read(0x1FFE, 4) == b"aabb"
    assert memory.read(0x5000, 0x3000) == bytes(4096) + b"c" * 4096 + bytes(4096)


@given(st.integers(-0x1000, 0x9000), st.integers(-4, 0x9000))
def test_only_ram_can_be_read(start: int, size: int) -> None:
    memory = Pages(RAM, PAGES)
    inside = size >= 0 and any(item.contains(start, size) for item in RAM)
    if inside:
        assert len(memory.read(start, size)) == size
    elif size:
        with pytest.raises(DecodeError, match="not all in RAM"):
            memory.read(start, size)


def test_data_ends_where_ram_ends() -> None:
    memory = Pages(RAM, {0x3000: b"d" * 4096, 0x5000: b"e" * 4096})
    assert list(memory.data()) == [Range(0x3000, 0x800), Range(0x5000, 0x1000)]


def test_data_joins_neighbours(memory: Pages) -> None:
    assert list(memory.data()) == [Range(0x1000, 0x2000), Range(0x6000, 0x1000)]


def test_fetch_names_the_place(memory: Pages) -> None:
    with pytest.raises(DecodeError) as caught:
        fetch(memory, 0x4000, 8, Place("root/x"))
    assert (caught.value.where, caught.value.address) == ("root/x", 0x4000)
    assert str(caught.value) == "root/x at 0x4000: 8 bytes are not all in RAM"


def test_recorder_keeps_what_was_read_and_no_more(memory: Pages) -> None:
    recorder = Recorder(memory)
    assert recorder.read(0x1FFF, 2) == b"ab"
    assert recorder.read(0x37FF, 1) == b"\0"
    recorded = recorder.recorded()
    assert list(recorded.pages) == [0x1000, 0x2000, 0x3000]
    assert recorded.read(0x1000, 0x2000) == memory.read(0x1000, 0x2000)
    assert recorder.ram == recorded.ram == RAM
    assert list(recorder.data()) == list(memory.data())


def test_what_was_not_recorded_cannot_be_read(memory: Pages) -> None:
    recorder = Recorder(memory)
    recorder.read(0x1000, 1)
    recorded = recorder.recorded()
    assert recorded.read(0x1FFF, 1) == b"a"
    with pytest.raises(DecodeError, match="memory at 0x2000: the page is not in this copy"):
        recorded.read(0x1FFF, 2)
    with pytest.raises(DecodeError, match="not all in RAM"):
        recorded.read(0x4000, 1)


@given(st.lists(st.tuples(st.integers(0, 1 << 20), st.integers(0, 9000)), max_size=30))
def test_recorder_keeps_just_the_pages_of_all_reads(reads: list[tuple[int, int]]) -> None:
    recorder = Recorder(Pages((Range(0, 1 << 22),), {}))
    expected: set[int] = set()
    for start, size in reads:
        recorder.read(start, size)
        pages = range(start // 4096 * 4096, start + size, 4096)
        expected.update(pages if size else ())
    assert set(recorder.recorded().pages) >= expected
    extra = {start // 4096 * 4096 for start, size in reads if not size}
    assert set(recorder.recorded().pages) <= expected | extra


def test_recorder_remembers_many_reads_in_little_memory() -> None:
    recorder = Recorder(Pages((Range(0, 1 << 30),), {}))
    for number in range(20_000):
        recorder.read(number * 4096, 16)
    assert len(recorder._read) < 2048
    scattered = [*range(3000), *range(3000)]
    for number in scattered:
        recorder.read((1 << 28) + number * 8192, 1)
    assert len(recorder.recorded().pages) == 23_000


def test_recorder_reads_a_page_that_is_half_ram(memory: Pages) -> None:
    recorder = Recorder(Pages(RAM, {0x3000: b"d" * 4096}))
    recorder.read(0x3000, 1)
    assert recorder.recorded().pages == {0x3000: b"d" * 0x800 + bytes(0x800)}
