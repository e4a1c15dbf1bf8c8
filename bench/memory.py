"""How much memory a running cell takes, against the size of its guest, with one cell and two.

``python -m bench.memory [--kernels A,B] [--scenarios A,B]``: `khoci matrix run` on the releases,
sampled while it runs: what khoci and all it started have of their own, and what their memory files
(guest RAM, live or parked) hold. Beside each other: the peak with ``-j 1`` and with ``-j 2``.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import astuple, dataclass
from pathlib import Path

import click

_STEP = 0.02
_MB = 1 << 20
_PROC = Path("/proc")
_KHOCI, _QEMU = "khoci", "QEMU"


@dataclass(frozen=True)
class Sample:
    """Bytes in use at one time.

    Attributes:
        khoci: of its own process, and of helpers.
        qemu: of all guests' processes, their RAM left out.
        ram: in memory files.
    """

    khoci: int = 0
    qemu: int = 0
    ram: int = 0

    @property
    def all(self) -> int:
        """Together."""
        return self.khoci + self.qemu + self.ram


def main() -> None:
    """Run both, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--kernels", default="6.18,7.3")
    parser.add_argument("--scenarios", default="memfd,luo-sessions,reserve-mem,crash")
    parser.add_argument("--guest", type=int, default=1024, help="MiB of a guest, for the ratio")
    chosen = parser.parse_args()
    options = ["--kernels", chosen.kernels, "--scenarios", chosen.scenarios]
    for jobs in (1, 2):
        peak, parts, seconds = _peaks([*options, "-j", str(jobs)])
        khoci, qemu, ram = (part / _MB for part in astuple(parts))
        cell = peak / jobs / _MB
        click.echo(
            f"-j {jobs}: {peak / _MB:.0f} MiB at most, {cell:.0f} MiB a running cell, "
            f"{cell / chosen.guest:.2f} times its guest; by themselves: khoci {khoci:.0f}, "
            f"QEMU {qemu:.0f}, memory files {ram:.0f} MiB ({seconds:.0f} s)"
        )


def _peaks(options: list[str]) -> tuple[int, Sample, float]:
    """The peak of all together, that of each part, and the seconds it took."""
    began = time.monotonic()
    peak, parts = 0, Sample()
    with tempfile.TemporaryDirectory(prefix="khoci-bench-") as folder:
        command = [sys.executable, "-m", "khoci", "matrix", "run", "releases", *options]
        run = subprocess.Popen(
            [*command, "--no-cell-cache", "--no-policy", "-o", f"{folder}/run"],
            stdout=subprocess.DEVNULL,
        )
        while run.poll() is None:
            now = _sample(run.pid)
            peak = max(peak, now.all)
            parts = Sample(*map(max, zip(astuple(parts), astuple(now), strict=True)))
            time.sleep(_STEP)
    if run.returncode:
        raise SystemExit(f"khoci ended with {run.returncode}")
    return peak, parts, time.monotonic() - began


def _sample(pid: int) -> Sample:
    own = {_KHOCI: 0, _QEMU: 0}
    files: dict[int, int] = {}
    for process in _tree(pid):
        with suppress(OSError):  # it ended meanwhile
            name = (process / "comm").read_text()
            own[_QEMU if name.startswith("qemu") else _KHOCI] += _own(process)
            files |= _memory_files(process)
    return Sample(own[_KHOCI], own[_QEMU], sum(files.values()))


def _tree(pid: int) -> Iterator[Path]:
    yield _PROC / str(pid)
    with suppress(OSError):
        for task in (_PROC / str(pid) / "task").iterdir():
            for child in (task / "children").read_text().split():
                yield from _tree(int(child))


def _own(process: Path) -> int:
    """Its proportional share of memory, without that of memory files."""
    lines = (process / "smaps_rollup").read_text().splitlines()
    fields = dict(line.split(":", 1) for line in lines[1:])
    return sum(int(fields[name].split()[0]) * 1024 for name in ("Pss_Anon", "Pss_File"))


def _memory_files(process: Path) -> dict[int, int]:
    """What its anonymous files hold, by inode."""
    found = {}
    for link in (process / "fd").iterdir():
        with suppress(OSError):
            if str(link.readlink()).startswith("/memfd:"):
                state = link.stat()
                found[state.st_ino] = state.st_blocks * 512
    return found


if __name__ == "__main__":
    main()
