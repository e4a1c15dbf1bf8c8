"""Runs the engine on a family, and what came of it."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fuzz.family import Family

FOLDER = Path(__file__).parent
CRASHES = FOLDER / "crashes"
MAX_LENGTH = 1 << 20
SLICE = 60
"""Seconds of one process: the engine loses memory with each mutation that it makes for us."""

_TAIL = 4000
_EXECUTED = re.compile(r"stat::number_of_executed_units:\s+(\d+)")
_COUNTS = re.compile(r"^#\d+\s+\w+\s+cov: (\d+) ft: (\d+)", re.MULTILINE)
_ERROR = re.compile(r"==\d+== (ERROR: .*?)\nMS:", re.DOTALL)
_WRITTEN = re.compile(r"Test unit written to (\S+)")
_TRACEBACK = re.compile(r"=== Uncaught Python exception: ===\n(.*?)\n\n?==\d+==", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run of the engine says: ``crash`` is the input that failed, ``detail`` how."""

    family: str
    executions: int
    coverage: int
    features: int
    seconds: float
    crash: Path | None = None
    detail: str = ""

    @property
    def failed(self) -> bool:
        """Whether an input failed, or the engine itself."""
        return self.crash is not None or bool(self.detail)


def run(family: Family, seconds: int, corpus: Path | None, seed: int) -> Outcome:
    """Fuzz one family for ``seconds``; new inputs go into ``corpus``/FAMILY if there is one."""
    CRASHES.mkdir(exist_ok=True)
    outcomes: list[Outcome] = []
    with TemporaryDirectory(prefix="khoci-fuzz-") as scratch:
        seeds, found = Path(scratch) / "seeds", Path(scratch) / "found"
        if corpus is not None:
            found = corpus.resolve() / family.name
        found.mkdir(parents=True, exist_ok=True)
        write_seeds(family, seeds)
        for index, start in enumerate(range(0, seconds, SLICE)):
            length = min(SLICE, seconds - start)
            outcomes.append(_slice(family.name, length, seed + index, [found, seeds]))
            if outcomes[-1].failed:
                break
    return joined(outcomes)


def joined(outcomes: Sequence[Outcome]) -> Outcome:
    """Slices of one family as one: only the last can have failed."""
    return replace(
        outcomes[-1],
        executions=sum(item.executions for item in outcomes),
        coverage=max(item.coverage for item in outcomes),
        features=max(item.features for item in outcomes),
        seconds=sum(item.seconds for item in outcomes),
    )


def _slice(name: str, seconds: int, seed: int, folders: list[Path]) -> Outcome:
    began = time.monotonic()
    done = subprocess.run(
        _command(name, seconds, seed, folders),
        cwd=FOLDER.parent,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    text = done.stdout.decode(errors="backslashreplace")
    return outcome(name, text, done.returncode, time.monotonic() - began)


def write_seeds(family: Family, folder: Path) -> None:
    """One file for each seed of the family and each of its regressions."""
    folder.mkdir(parents=True)
    for index, data in enumerate(family.seeds()):
        (folder / f"seed-{index:03}").write_bytes(data)
    for path in regressions(family.name):
        (folder / f"regression-{path.name}").write_bytes(path.read_bytes())


def regressions(name: str) -> list[Path]:
    """The inputs that once failed."""
    return sorted((FOLDER / "regressions" / name).glob("*"))


def _command(name: str, seconds: int, seed: int, folders: list[Path]) -> list[str]:
    flags = (
        f"-max_total_time={seconds}",
        f"-seed={seed}",
        f"-max_len={MAX_LENGTH}",
        f"-artifact_prefix={CRASHES}/{name}-",
        "-len_control=0",
        "-timeout=60",
        "-report_slow_units=60",  # by the clock, of which a busy machine has little: see oracle
        "-rss_limit_mb=2048",
        "-print_final_stats=1",
    )
    return [sys.executable, "-m", "fuzz.engine", name, *flags, *map(str, folders)]


def outcome(name: str, text: str, code: int, seconds: float) -> Outcome:
    """Read the engine's output: its last counts, and of a crash where and what."""
    executed, counts = _EXECUTED.search(text), _COUNTS.findall(text)
    coverage, features = counts[-1] if counts else (0, 0)
    written = _WRITTEN.search(text)
    return Outcome(
        name,
        executions=int(executed[1]) if executed else 0,
        coverage=int(coverage),
        features=int(features),
        seconds=seconds,
        crash=Path(written[1]) if written else None,
        detail=_detail(text) if code else "",
    )


def _detail(text: str) -> str:
    """The traceback; without one, what libFuzzer says; without that, the end."""
    for pattern in (_TRACEBACK, _ERROR):
        if found := pattern.search(text):
            return found[1]
    return text[-_TAIL:]
