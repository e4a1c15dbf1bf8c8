from __future__ import annotations

import os

import pytest

from khoci.cost import preparing
from khoci.cost.boot import memory_for
from khoci.cost.preparing import jobs_here
from khoci.costs import points_up_to
from khoci.errors import UnfitError

POINTS = points_up_to(10_000)
ONE = memory_for(POINTS) + (128 << 20)
CORES = os.cpu_count() or 1


@pytest.mark.parametrize(
    ("available", "asked", "jobs"),
    [
        (None, None, CORES),
        (None, 7, 7),
        (CORES * ONE, None, CORES),
        (3 * ONE, 3, 3),
        (ONE, 1, 1),
    ],
)
def test_guests_that_have_room(
    available: int | None, asked: int | None, jobs: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preparing, "available_memory", lambda: available)
    assert jobs_here(POINTS, asked) == (jobs, None)


def test_fewer_guests_than_cores_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preparing, "available_memory", lambda: 2 * ONE - 1)
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    jobs, line = jobs_here(POINTS, None)
    assert jobs == 1
    assert line is not None
    assert line.startswith("4 guests at once take ")
    assert line.endswith(": running with -j 1")


def test_what_was_asked_for_is_not_lowered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preparing, "available_memory", lambda: 2 * ONE - 1)
    with pytest.raises(
        UnfitError, match=r"^not enough memory: 2 guests at once take .*: -j 1 fits"
    ):
        jobs_here(POINTS, 2)


def test_no_room_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preparing, "available_memory", lambda: ONE - 1)
    with pytest.raises(
        UnfitError, match=r"^a guest takes \d\.\d GiB, and .*: choose a smaller --most$"
    ):
        jobs_here(POINTS, None)
