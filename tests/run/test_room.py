from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from khoci.errors import EXIT_HARNESS, UnfitError
from khoci.run.room import BESIDE, KHOCI, Need, Room, fitting, need, room_of
from khoci.scenario import select

MIB, GIB = 1 << 20, 1 << 30
SIZES = st.integers(1, 8 * GIB)
NEEDS = st.builds(Need, cell=SIZES, kept=SIZES, name=st.just("memfd"))
COUNTS = st.integers(1, 64)


def of(*names: str, memory: int = GIB) -> Need:
    return need(select(names), memory)


def test_a_cell_takes_its_guest_and_what_is_beside_it() -> None:
    assert of("memfd").cell == GIB + BESIDE
    assert of("memfd", memory=3 * GIB).cell == 3 * GIB + BESIDE


def test_one_and_a_half_gigabytes_a_cell_with_guests_of_one() -> None:
    for jobs in (1, 2, 8, 64):
        assert of("memfd").most(Room(jobs, jobs + 1)) <= jobs * 3 * GIB // 2


def test_four_gigabytes_are_enough_for_every_scenario_of_the_releases() -> None:
    names = ("memfd", "memory-shape:memory=512M", "memory-shape:memory=5G:nodes=2")
    room = fitting(of(*names), 1, 4 * GIB)
    assert room == Room(1, 2)


def test_a_large_shape_is_counted_by_what_can_be_touched() -> None:
    large = of("memory-shape:memory=5G")
    assert GIB + BESIDE < large.cell < 3 * GIB // 2
    assert of("memory-shape:memory=512M").cell == 512 * MIB + BESIDE


def test_the_largest_counts_in_any_order() -> None:
    small, large = "memory-shape:memory=512M", "memory-shape:memory=5G"
    assert of(small, large) == of(large, small) == of(large)


@given(NEEDS, COUNTS, st.integers(0, 64 * GIB))
def test_what_fits_never_takes_more_than_there_is(wanted: Need, jobs: int, available: int) -> None:
    room = fitting(wanted, jobs, available)
    if room is None:
        assert wanted.most(Room(1, 0)) > available
        return
    assert wanted.most(room) <= available
    assert 1 <= room.jobs <= jobs
    assert 0 <= room.kept <= room.jobs + 1


@given(NEEDS, COUNTS, st.integers(0, 64 * GIB))
def test_one_more_does_not_fit(wanted: Need, jobs: int, available: int) -> None:
    room = fitting(wanted, jobs, available)
    if room is None:
        return
    if room.jobs < jobs:
        assert wanted.most(Room(room.jobs + 1, 0)) > available
    if room.kept < room.jobs + 1:
        assert wanted.most(Room(room.jobs, room.kept + 1)) > available


def test_producers_go_before_jobs() -> None:
    wanted = of("memfd")
    enough = wanted.most(Room(2, 0))
    assert fitting(wanted, 2, wanted.most(Room(2, 3))) == Room(2, 3)
    assert fitting(wanted, 2, wanted.most(Room(2, 3)) - 1) == Room(2, 2)
    assert fitting(wanted, 2, enough) == Room(2, 0)
    assert fitting(wanted, 2, enough - 1) == Room(1, 2)


def test_where_nobody_can_tell_all_run() -> None:
    assert fitting(of("memfd"), 16, None) == Room(16, 17)


def test_enough_is_not_worth_a_word() -> None:
    assert room_of(of("memfd"), None, 2, 4 * GIB) == (Room(2, 3), None)
    assert room_of(of("memfd"), 3, 2, 8 * GIB) == (Room(3, 4), None)


def test_fewer_than_cores_is_told() -> None:
    room, line = room_of(of("memfd"), None, 8, 4 * GIB)
    assert room.jobs == 3
    assert (
        line == "8 cells at once take up to 9.2 GiB, and 4.0 GiB are available: running with -j 3"
    )


def test_what_was_asked_for_is_not_lowered() -> None:
    with pytest.raises(
        UnfitError, match=r"8 cells .* 9\.2 GiB, and 4\.0 GiB .*: -j 3 fits"
    ) as found:
        room_of(of("memfd"), 8, 2, 4 * GIB)
    assert found.value.exit_code == EXIT_HARNESS


@pytest.mark.parametrize("jobs", [None, 1, 8])
def test_not_even_one(jobs: int | None) -> None:
    wanted = of("memfd", "memory-shape:memory=5G")
    text = r"a cell of memory-shape:memory=5G takes up to 1\.5 GiB, and 0\.2 GiB are available"
    with pytest.raises(UnfitError, match=text):
        room_of(wanted, jobs, 2, KHOCI + BESIDE - 1)
