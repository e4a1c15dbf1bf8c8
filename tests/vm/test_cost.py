"""What handing over costs two real kernels: one that finalizes, and one with a radix tree."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from khoci.config.kernels import load_kernels
from khoci.cost.measuring import measure_all
from khoci.cost.preparing import prepare
from khoci.costlaws import difference
from khoci.costs import EMPTY, OFF, KernelCost, Measured, Point, points_up_to
from khoci.paths import cache_dir, data_dir
from khoci.progress import NoProgress
from tests.vm.conftest import command

pytestmark = [pytest.mark.vm, pytest.mark.timeout(1800)]

MOST = 1000
OLD, NEW = "v6.18.15", "v7.3.4"
APART = Point(MOST, stride=2)


@dataclass(frozen=True)
class Told:
    """What the command said."""

    costs: dict[str, KernelCost]
    text: str
    folder: Path


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Told:
    folder = tmp_path_factory.mktemp("cost")
    asked = ("cost", "6.18", "7.3", "--most", str(MOST), "--fresh", "-o", "out")
    done = subprocess.run(
        command(*asked), cwd=folder, capture_output=True, text=True, check=False, env=os.environ
    )
    assert done.returncode == 0, done.stderr
    stored = json.loads((folder / "out/cost.json").read_text())
    costs = {each["kernel"]: _cost(each) for each in stored["kernels"]}
    return Told(costs, done.stdout, folder / "out")


def _cost(data: dict[str, Any]) -> KernelCost:
    assert data["failed"] == []
    return KernelCost(data["kernel"], tuple(map(Measured.from_json, data["measured"])))


def at(told: Told, kernel: str, point: Point) -> Measured:
    found = told.costs[kernel].at(point)
    assert found is not None
    return found


def test_all_points_of_both(told: Told) -> None:
    for cost in told.costs.values():
        assert tuple(item.point for item in cost.measured) == points_up_to(MOST)
    assert "6.18.15 to 7.3.4" in told.text
    assert (told.folder / "early-boot.svg").read_text().startswith("<svg")


def test_the_map_has_every_block(told: Told) -> None:
    for cost in told.costs.values():
        own = at(told, cost.kernel, EMPTY).blocks
        assert all(item.blocks == item.point.count + own for item in cost.line(Point(0)))
        assert at(told, cost.kernel, OFF).blocks == 0


def test_preserving_costs_each_block_the_same(told: Told) -> None:
    for kernel in (OLD, NEW):
        few, many = (at(told, kernel, Point(n)).instructions["preserve"] for n in (100, MOST))
        assert 50 < many / MOST < 1000
        assert many / MOST == pytest.approx(few / 100, rel=0.3)


def test_only_the_old_one_finalizes(told: Told) -> None:
    assert all(item.instructions["finalize"] == 0 for item in told.costs[NEW].measured)
    finalized = at(told, OLD, Point(MOST)).instructions["finalize"]
    assert 1000 < finalized < at(told, OLD, Point(MOST)).instructions["early boot"] / 100


def test_only_the_old_one_has_to_load_last(told: Told) -> None:
    assert told.costs[OLD].loads_last
    assert not told.costs[NEW].loads_last
    for kernel in (OLD, NEW):
        assert at(told, kernel, Point(MOST)).instructions["load"] > 1_000_000
    assert " load " in told.text


def test_blocks_that_lie_apart_cost_early_boot_more(told: Told) -> None:
    for kernel, cost in told.costs.items():
        beside = cost.growth(at(told, kernel, Point(MOST)), "early boot")
        assert cost.growth(at(told, kernel, APART), "early boot") > 5 * beside > 0


def test_nothing_is_restored_without_blocks(told: Told) -> None:
    for kernel in (OLD, NEW):
        assert at(told, kernel, EMPTY).instructions["restore"] == 0
        assert at(told, kernel, Point(MOST)).instructions["restore"] > 50 * MOST


def test_every_phase_takes_time(told: Told) -> None:
    for kernel in (OLD, NEW):
        seconds = at(told, kernel, Point(MOST)).seconds
        assert all(0 < seconds[name] < 60 for name in ("preserve", "jump", "early boot", "restore"))


def test_a_second_run_counts_the_same_within_a_hundredth(told: Told, tmp_path: Path) -> None:
    known = load_kernels(data_dir("matrix") / "kernels.toml")
    points = (EMPTY, Point(MOST), APART)
    setups = prepare(
        [known.select(name) for name in ("6.18", "7.3")],
        points_up_to(MOST),
        "tcg",
        cache_dir(),
        NoProgress(),
    )
    again = asyncio.run(measure_all(setups, points, tmp_path, 2, lambda: None))
    for cost in again:
        assert len(cost.measured) == len(points)
        assert difference(cost, told.costs[cost.kernel]) < 0.01


def test_a_ready_image_is_refused(tmp_path: Path) -> None:
    done = subprocess.run(
        command("cost", "debian-7.3-cloud"),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "is a ready image" in done.stderr
    assert "Traceback" not in done.stderr
