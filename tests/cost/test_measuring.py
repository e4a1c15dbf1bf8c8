"""What is measured again, and what is not; with boots that only say that they were."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from khoci.cost import measuring
from khoci.cost.boot import Setup, memory_for
from khoci.cost.measuring import Kept, kept_of, measure_all
from khoci.costs import EMPTY, KernelCost, Measured, Point
from khoci.errors import HarnessError
from tests.cost.made import measured, setup_in

POINTS = (EMPTY, Point(100), Point(1000, stride=2), Point(10, order=9))


class Boots:
    """Stands for QEMU; the point ``broken`` cannot be measured."""

    def __init__(self, broken: Point | None = None) -> None:
        self.seen: list[Point] = []
        self.broken = broken

    async def measure(self, _setup: Setup, point: Point, folder: Path) -> Measured:
        assert folder.is_dir()
        self.seen.append(point)
        await asyncio.sleep(0)
        if point == self.broken:
            raise HarnessError("the guest hangs")
        return measured(point, 168)


@pytest.fixture
def setup(tmp_path: Path) -> Setup:
    return setup_in(tmp_path, POINTS)


def run(
    setup: Setup, cache: Path, boots: Boots, monkeypatch: pytest.MonkeyPatch, *, fresh: bool = False
) -> KernelCost:
    monkeypatch.setattr(measuring, "measure", boots.measure)
    done: list[None] = []
    (found,) = asyncio.run(
        measure_all([setup], POINTS, cache, 2, lambda: done.append(None), fresh=fresh)
    )
    assert len(done) == len(POINTS)
    return found


def test_what_was_measured_is_not_measured_again(
    setup: Setup, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second, third = Boots(), Boots(), Boots()
    found = run(setup, tmp_path, first, monkeypatch)
    assert found.kernel == "v7.3.4"
    assert [item.point for item in found.measured] == list(POINTS)
    assert first.seen[0] == Point(1000, stride=2)
    assert run(setup, tmp_path, second, monkeypatch) == found
    assert second.seen == []
    run(setup, tmp_path, third, monkeypatch, fresh=True)
    assert set(third.seen) == set(POINTS)
    assert kept_of(setup, POINTS, tmp_path) == found


def test_one_that_cannot_be_measured_is_told_and_tried_again(
    setup: Setup, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = run(setup, tmp_path, Boots(Point(100)), monkeypatch)
    assert found.failed == {Point(100): "the guest hangs"}
    assert [item.point for item in found.measured] == [p for p in POINTS if p != Point(100)]
    again = Boots()
    assert run(setup, tmp_path, again, monkeypatch).failed == {}
    assert again.seen == [Point(100)]


def test_a_file_that_nobody_can_read_is_measured_again(
    setup: Setup, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(setup, tmp_path, Boots(), monkeypatch)
    for path in Kept.of(setup, tmp_path).folder.iterdir():
        path.write_text(path.read_text()[:40])
    again = Boots()
    run(setup, tmp_path, again, monkeypatch)
    assert set(again.seen) == set(POINTS)


def test_guests_have_room_for_what_is_preserved() -> None:
    assert memory_for([EMPTY]) == 1 << 30
    million = memory_for([Point(10**6), EMPTY])
    assert million - (1 << 30) >= 4096 * 10**6
    assert million % (256 << 20) == 0
