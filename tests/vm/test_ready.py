from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from khoci.cli.options import load, tell
from khoci.compat import ready
from khoci.compat.bench import Bench, route
from khoci.compat.ready import Producers, Ready, Start, most_parked
from khoci.kernel.cache import Artifact
from khoci.paths import cache_dir
from khoci.progress import NoProgress
from khoci.run.matrix import make_plan, prepare

pytestmark = pytest.mark.vm

RESUMED, BOOTED = ["resume"], ["boot", "scenario"]


@pytest.fixture(scope="module")
def bench(kernels: dict[str, Artifact]) -> Bench:
    config, known, _ = load("default")
    plan = make_plan(
        config, known, names=["7.3"], scenarios=["empty", "reserve-mem"], accelerator="tcg"
    )
    assert kernels["7.3"].release == "7.3.4"
    return prepare(plan, known, plan.cells, cache_dir(), NoProgress(), tell)


@pytest.fixture
def starts(bench: Bench, tmp_path: Path) -> list[Start]:
    """Two producers."""
    pair = (next(iter(bench.kernels)),) * 2
    ways = [route(bench, pair, [scenario], tmp_path) for scenario in bench.scenarios.values()]
    return [Start(way.sides[0], way.machine, way.scenarios) for way in ways]


def ram_files() -> list[int]:
    """The bytes that each RAM file holds which khoci has open now."""
    links = [link for link in Path("/proc/self/fd").iterdir() if link.is_symlink()]
    return [link.stat().st_blocks * 512 for link in links if "khoci-ram" in str(link.readlink())]


def phases(found: Ready) -> list[str]:
    return [phase.name for phase in found.watch.take()]


def with_producers(most: int, work: Callable[[Producers], Awaitable[None]]) -> None:
    producers = Producers(most)

    async def run() -> None:
        try:
            await work(producers)
        finally:
            producers.close()

    asyncio.run(asyncio.wait_for(run(), 120))
    assert ram_files() == []


def test_no_more_are_kept_than_there_is_room_for(starts: list[Start], tmp_path: Path) -> None:
    first, second = starts
    log = tmp_path / "qemu.log"

    async def work(producers: Producers) -> None:
        async with producers.resumed(first, log) as (_, one):
            assert phases(one) == RESUMED
            assert len(ram_files()) == 2
            async with producers.resumed(second, log) as (_, other):
                assert phases(other) == BOOTED
                assert len(ram_files()) == 3
        (kept,) = ram_files()
        assert 0 < kept <= most_parked(first.machine.memory)
        async with producers.resumed(second, log) as (_, other):
            assert phases(other) == RESUMED
            assert len(ram_files()) == 2

    with_producers(1, work)


def test_without_room_all_are_booted(starts: list[Start], tmp_path: Path) -> None:
    async def work(producers: Producers) -> None:
        async with producers.resumed(starts[0], tmp_path / "qemu.log") as (guest, found):
            assert phases(found) == BOOTED
            assert found.states.keys() == {"empty"}
            assert guest.ended is None
            assert len(ram_files()) == 1
        assert ram_files() == []

    with_producers(0, work)


def test_one_that_holds_too_much_is_not_kept(
    starts: list[Start], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ready, "most_parked", lambda _memory: 1 << 20)

    async def work(producers: Producers) -> None:
        async with producers.resumed(starts[0], tmp_path / "qemu.log") as (_, found):
            assert phases(found) == BOOTED
            assert len(ram_files()) == 1
        assert ram_files() == []

    with_producers(1, work)
