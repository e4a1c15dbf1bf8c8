"""All points of all kernels, some at a time; what was measured is kept, so that a run resumes."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from khoci.cost.boot import Setup, measure
from khoci.cost.driver import SUFFIX
from khoci.costs import KernelCost, Measured, Point
from khoci.errors import HarnessError
from khoci.files import write_atomic
from khoci.kernel.download import file_sha256
from khoci.pool import run_some
from khoci.vm.accel import qemu_version

RECIPE = 3
"""To be raised when this code counts differently."""


@dataclass(frozen=True)
class Kept:
    """Where what was measured of a kernel is kept."""

    folder: Path

    @classmethod
    def of(cls, setup: Setup, cache: Path) -> Kept:
        """The place for what is measured with ``setup``, below the cache."""
        inputs = {
            "recipe": RECIPE,
            "kernel": setup.kernel.key,
            "initrd": file_sha256(setup.initrd),
            "cmdline": [setup.cmdline(kho=True, counted=counted) for counted in (True, False)],
            "memory": setup.memory,
            "accelerator": setup.accelerator.name,
            "qemu": qemu_version(setup.kernel.arch),
        }
        key = hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()
        return cls(cache / "cost" / key[:32])

    def load(self, point: Point) -> Measured | None:
        """What is kept of a point; None if nothing is, or nobody can read it."""
        try:
            return Measured.from_json(json.loads(self._path(point).read_text(encoding="utf-8")))
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def save(self, measured: Measured) -> None:
        """Keep it."""
        write_atomic(self._path(measured.point), json.dumps(measured.to_json()) + "\n")

    def _path(self, point: Point) -> Path:
        words = "-".join(str(value) for value in asdict(point).values())
        return self.folder / f"{words}.json"


async def measure_all(
    setups: Sequence[Setup],
    points: Sequence[Point],
    cache: Path,
    jobs: int,
    done: Callable[[], None],
    *,
    fresh: bool = False,
) -> list[KernelCost]:
    """Measure what is not kept yet, at most ``jobs`` points at once.

    Args:
        setups: a kernel each.
        points: of each of them.
        cache: where what was measured is kept.
        jobs: guests at once.
        done: called as each point comes in.
        fresh: measure what is kept too.

    Returns:
        a cost for each kernel; a point that cannot be measured is in its ``failed``.
    """
    found: dict[tuple[str, Point], Measured] = {}
    failed: dict[tuple[str, Point], str] = {}
    kept = {setup.kernel.name: Kept.of(setup, cache) for setup in setups}

    async def work(item: tuple[Setup, Point]) -> None:
        setup, point = item
        place = kept[setup.kernel.name]
        known = None if fresh else place.load(point)
        try:
            known = known or await _measured(setup, point)
        except HarnessError as error:
            failed[setup.kernel.name, point] = str(error)
        else:
            place.save(known)
            found[setup.kernel.name, point] = known
        done()

    await run_some(_largest_first(setups, points), work, jobs)
    return [_cost_of(setup.kernel.name, points, found, failed) for setup in setups]


async def _measured(setup: Setup, point: Point) -> Measured:
    with tempfile.TemporaryDirectory(prefix="khoci-cost-") as folder:
        return await measure(setup, point, Path(folder))


def _cost_of(
    name: str,
    points: Sequence[Point],
    found: Mapping[tuple[str, Point], Measured],
    failed: Mapping[tuple[str, Point], str],
) -> KernelCost:
    return KernelCost(
        name.removesuffix(SUFFIX),
        tuple(found[name, point] for point in points if (name, point) in found),
        {point: failed[name, point] for point in points if (name, point) in failed},
    )


def kept_of(setup: Setup, points: Sequence[Point], cache: Path) -> KernelCost:
    """What was measured before."""
    place, name = Kept.of(setup, cache), setup.kernel.name
    loaded = ((point, place.load(point)) for point in points)
    found = {(name, point): item for point, item in loaded if item is not None}
    return _cost_of(name, points, found, {})


def _largest_first(
    setups: Sequence[Setup], points: Sequence[Point]
) -> Iterator[tuple[Setup, Point]]:
    """Those that may take longest begin first, so that none is left alone at the end."""
    ordered = sorted(points, key=_effort, reverse=True)
    return ((setup, point) for point in ordered for setup in setups)


def _effort(point: Point) -> int:
    return point.count if point.stride == 1 else point.count**2
