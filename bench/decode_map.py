"""How long it takes to list and check the memory map of a large handover, and how much memory.

Each measurement is a process of its own that reads the map from a capture. Run
``python -m bench.decode_map`` from the top of the repository.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bench import naive, synthetic
from khoci.format import capture, checks, memorymap
from khoci.format import root as roots
from khoci.format.errors import Place
from khoci.format.extents import Extents
from khoci.format.ranges import Range

if TYPE_CHECKING:
    from collections.abc import Callable

    from khoci.format.capture import Capture

COUNTS = (10_000, 100_000, 1_000_000, 4_000_000)
_PLACE = Place("root/preserved-memory-map")
_COLUMNS = "{:>6} {:>10} {:>9} {:>8} {:>9} {:>7} {:>8} {:>9}"
_HEADER = ("layout", "pages", "blocks", "seconds", "ns/block", "ratio", "loop s", "MB")


@dataclass(frozen=True, slots=True)
class Measured:
    """Seconds to list and check all blocks, and the largest resident size of the process."""

    blocks: int
    problems: int
    seconds: float
    resident: int


@click.command()
@click.option("--blocks", "counts", type=int, multiple=True, default=COUNTS, show_default=True)
@click.option("--layout", "layouts", multiple=True, default=synthetic.LAYOUTS, show_default=True)
@click.option("--pages", "patterns", multiple=True, default=synthetic.PATTERNS, show_default=True)
@click.option("--one", type=(click.Path(path_type=Path), str, bool), hidden=True)
def main(
    counts: tuple[int, ...],
    layouts: tuple[str, ...],
    patterns: tuple[str, ...],
    one: tuple[Path, str, bool] | None,
) -> None:
    """List and check synthetic maps, and compare with a loop over their bits."""
    if one:
        click.echo(json.dumps(asdict(_measured(*one))))
        return
    click.echo(_COLUMNS.format(*_HEADER))
    for layout in layouts:
        for pattern in patterns:
            for count in counts:
                click.echo(_line(layout, pattern, count))


def _line(layout: str, pattern: str, count: int) -> str:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "map.khocap"
        capture.save(path, synthetic.handover(layout, pattern, count))
        fast, slow = (_run(path, layout, columns) for columns in (True, False))
    if (fast.blocks, fast.problems) != (slow.blocks, slow.problems):
        raise click.ClickException(f"{layout} {pattern} {count}: {fast} is not {slow}")
    return _COLUMNS.format(
        layout,
        pattern,
        count,
        f"{fast.seconds:.3f}",
        f"{fast.seconds / fast.blocks * 1e9:.0f}",
        f"{slow.seconds / fast.seconds:.0f}",
        f"{slow.seconds:.2f}",
        fast.resident >> 20,
    )


def _run(path: Path, layout: str, columns: bool) -> Measured:
    command = (sys.executable, "-m", "bench.decode_map", "--one", path, layout, str(columns))
    return Measured(**json.loads(subprocess.check_output(command)))


def _measured(path: Path, layout: str, columns: bool) -> Measured:
    found = capture.load(path)
    work: Callable[[Capture, str], tuple[int, int]] = _columns if columns else _loop
    began = time.perf_counter()
    blocks, problems = work(found, layout)
    return Measured(blocks, problems, time.perf_counter() - began, _resident())


def _columns(found: Capture, layout: str) -> tuple[int, int]:
    memory, root = found.pages, roots.read(found.pages, found.fdt_addr)
    page = Range(found.fdt_addr, memory.page_size)
    made, _ = memorymap.read(memory, root, [page], _PLACE, scratch=synthetic.SCRATCH)
    problems = list(checks.check_map(made.blocks, memory.ram, synthetic.SCRATCH, _PLACE))
    owned = {
        "root": Extents.of([page]),
        "pages": made.blocks[made.blocks.phys > page.start].extents,
    }
    problems.extend(checks.check_owned(made.blocks, owned, _PLACE))
    if made.family != layout:
        raise click.ClickException(f"layout {layout} was taken for {made.family}")
    return len(made.blocks), len(problems)


def _loop(found: Capture, layout: str) -> tuple[int, int]:
    root = roots.read(found.pages, found.fdt_addr)
    return naive.check(found.pages, layout, root.memory_map or 0)


def _resident() -> int:
    """Bytes; unlike ``ru_maxrss`` this begins anew with each program."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.partition("VmHWM:")[2].split()[0]) << 10


if __name__ == "__main__":
    main()
