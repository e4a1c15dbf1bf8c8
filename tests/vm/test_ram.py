from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from khoci.errors import HarnessError
from khoci.format.errors import DecodeError
from khoci.format.ranges import Range, covers
from khoci.vm.ram import HIGH_BASE, LOW_LIMIT, GuestRam, layout

MIB, GIB = 1 << 20, 1 << 30
SIZE = 3 * GIB


@pytest.fixture
def ram(monkeypatch: pytest.MonkeyPatch) -> Iterator[GuestRam]:
    monkeypatch.setattr("khoci.vm.ram.available_memory", lambda: None)
    ram = GuestRam.create(SIZE)
    yield ram
    ram.close()


def test_the_split_is_at_two_gigabytes() -> None:
    assert layout(LOW_LIMIT) == (Range(0, 2 * GIB),)
    assert layout(LOW_LIMIT + MIB) == (Range(0, 2 * GIB), Range(4 * GIB, MIB))


def _full(*_arguments: object) -> int:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@given(st.integers(1, 1 << 40))
def test_no_byte_is_lost_in_the_split(size: int) -> None:
    ranges = layout(size)
    assert sum(item.size for item in ranges) == size
    assert not any(item.overlaps(Range(LOW_LIMIT, HIGH_BASE - LOW_LIMIT)) for item in ranges)


@pytest.mark.parametrize("phys", [0, 0x1234, LOW_LIMIT - 5, HIGH_BASE, HIGH_BASE + GIB - 5])
def test_what_is_written_is_read(ram: GuestRam, phys: int) -> None:
    ram.write(phys, b"hello")
    assert ram.read(phys, 5) == b"hello"
    assert ram.read(phys + 1, 3) == b"ell"


def test_memory_above_four_gigabytes_follows_in_the_file(ram: GuestRam) -> None:
    ram.write(HIGH_BASE, b"high")
    ram.write(LOW_LIMIT - 3, b"low")
    assert os.pread(ram.fd, 7, LOW_LIMIT - 3) == b"lowhigh"


@pytest.mark.parametrize(
    ("phys", "size"),
    [
        (LOW_LIMIT, 1),
        (LOW_LIMIT - 1, 2),
        (HIGH_BASE - 1, 2),
        (HIGH_BASE + GIB, 1),
        (HIGH_BASE + GIB - 1, 2),
        (-1, 2),
        (1 << 64, 1),
    ],
)
def test_outside_of_ram(ram: GuestRam, phys: int, size: int) -> None:
    with pytest.raises(DecodeError, match="outside of RAM"):
        ram.read(phys, size)
    with pytest.raises(DecodeError, match="outside of RAM"):
        ram.write(phys, bytes(size))
    assert list(ram.data()) == []


PLACES = st.one_of(st.integers(0, LOW_LIMIT - 9000), st.integers(HIGH_BASE, HIGH_BASE + GIB - 9000))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(st.lists(st.tuples(PLACES, st.binary(min_size=1, max_size=9000)), max_size=8))
def test_data_covers_all_that_was_written_in_ascending_order(
    ram: GuestRam, writes: list[tuple[int, bytes]]
) -> None:
    for phys, content in writes:
        ram.write(phys, content)
    found = list(ram.data())
    assert found == sorted(found)
    assert all(covers(ram.ram, item) for item in found)
    for phys, content in writes:
        assert any(item.contains(phys, len(content)) for item in found)


def test_holes_are_left_out(ram: GuestRam) -> None:
    ram.write(GIB, b"x")
    ram.write(HIGH_BASE + MIB, b"x")
    found = list(ram.data())
    assert len(found) == 2
    assert sum(item.size for item in found) < 8 * MIB


def test_data_on_both_sides_of_the_split_is_two_extents(ram: GuestRam) -> None:
    ram.write(LOW_LIMIT - 4096, bytes(4096))
    ram.write(HIGH_BASE, bytes(4096))
    below, above = ram.data()
    assert below.end == LOW_LIMIT
    assert above.start == HIGH_BASE


def test_a_copy_is_equal_and_apart(ram: GuestRam) -> None:
    ram.write(MIB, b"below")
    ram.write(HIGH_BASE + GIB - 5, b"above")
    other = ram.copy()
    try:
        ram.write(MIB, b"later")
        assert other.read(MIB, 5) == b"below"
        assert other.read(HIGH_BASE + GIB - 5, 5) == b"above"
        assert [item.start for item in other.data()] == [item.start for item in ram.data()]
    finally:
        other.close()


def test_a_copy_without_room_is_one_line_and_leaves_nothing(
    ram: GuestRam, monkeypatch: pytest.MonkeyPatch
) -> None:
    ram.write(0, b"x")
    before = len(list(Path("/proc/self/fd").iterdir()))
    monkeypatch.setattr("os.sendfile", _full)
    with pytest.raises(HarnessError, match="cannot copy guest RAM: No space left on device"):
        ram.copy()
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_a_file_that_was_cut_is_an_error(ram: GuestRam) -> None:
    os.ftruncate(ram.fd, MIB)
    with pytest.raises(DecodeError, match="short read"):
        ram.read(MIB - 2, 4)


def test_too_little_memory_is_one_line_and_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("khoci.vm.ram.available_memory", lambda: 100 * MIB)
    before = len(list(Path("/proc/self/fd").iterdir()))
    with pytest.raises(HarnessError, match=r"not enough free memory for a guest of 1024 MiB: 100"):
        GuestRam.create(GIB)
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_what_a_guest_touched_counts(ram: GuestRam) -> None:
    assert ram.touched == 0
    ram.write(5 * MIB, bytes(MIB))
    assert MIB <= ram.touched <= 2 * MIB


@pytest.mark.parametrize("missing", [0, 1])
def test_room_to_fill_the_rest(
    ram: GuestRam, monkeypatch: pytest.MonkeyPatch, missing: int
) -> None:
    ram.write(0, bytes(64 * MIB))
    left = SIZE - ram.touched
    monkeypatch.setattr("khoci.vm.ram.available_memory", lambda: left - missing)
    if not missing:
        ram.check_room()
        return
    with pytest.raises(HarnessError, match=r"fill its 3072 MiB: 300\d MiB .* take 3008 more"):
        ram.check_room()
