"""Slurm, by its own commands."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from khoci.engine.slurm import LOGS, UNFIT, parse_queue, script
from khoci.engine.work import Work
from khoci.errors import HarnessError
from khoci.proc import require_tool

PATIENCE_SECONDS = 300.0
"""A controller that restarts is away so long."""


@dataclass
class Slurm:
    """An array job of a run. It is found by its name, so that whoever resumes finds it too.

    Attributes:
        work: what is to be done.
        shards: the folder of the results, the same on all nodes.
        job: its name.
    """

    work: Work
    shards: Path
    job: str
    name: str = "slurm"
    patience: float = PATIENCE_SECONDS
    _away_since: float | None = None
    _excluded: set[str] = field(default_factory=set)
    _last: Mapping[int, str] = field(default_factory=dict)

    def submit(self, numbers: Sequence[int]) -> None:
        """Submit an array job, that keeps away from nodes that can run no cell.

        Raises:
            HarnessError: Slurm does not take it.
        """
        (self.shards / LOGS).mkdir(parents=True, exist_ok=True)
        unfit = self._unfit()
        self._excluded |= unfit
        away = [f"--exclude={','.join(sorted(unfit))}"] if unfit else []
        text = script(self.work, numbers, self.shards, self.job)
        _asked(["sbatch", "--parsable", *away], text)

    def active(self) -> Mapping[int, str]:
        """As Slurm has it; while its controller is away, as it was.

        Raises:
            HarnessError: it is away for too long.
        """
        try:
            text = _asked([*self._queue(), "--format=%K|%T"])
        except HarnessError as error:
            now = time.monotonic()
            self._away_since = self._away_since or now
            if now - self._away_since > self.patience:
                raise HarnessError(f"{error}; khoci matrix run --resume goes on later") from None
            return self._last
        self._away_since = None
        self._last = parse_queue(text)
        return self._last

    def collect(self) -> list[str]:
        """Keep tasks that wait away from nodes that gave theirs back."""
        new = self._unfit() - self._excluded
        if not new:
            return []
        self._excluded |= new
        waiting = _asked([*self._queue(), "--states=PENDING", "--format=%F"]).split()
        for job in sorted({*waiting}):
            excluded = ",".join(sorted(self._excluded))
            with suppress(HarnessError):  # a task that began meanwhile gives its shard back, too
                _asked(["scontrol", "update", f"JobId={job}", f"ExcNodeList={excluded}"])
        told = "can run no cell and gave its shard back"
        return [f"{node} {told}: {self._said(node)}" for node in sorted(new)]

    def cancel(self) -> None:
        """Cancel the job."""
        _asked(["scancel", "--me", f"--name={self.job}"])

    def why(self, number: int) -> str:
        """The last line that the task printed."""
        log = self.shards / LOGS / f"{number}.log"
        lines = log.read_text(errors="replace").splitlines() if log.is_file() else []
        return f"{log}: {lines[-1] if lines else 'nothing was printed'}"

    def _queue(self) -> list[str]:
        return ["squeue", "--me", f"--name={self.job}", "--array", "--noheader"]

    def _unfit(self) -> set[str]:
        return {path.name for path in (self.shards / UNFIT).glob("[!.]*")}

    def _said(self, node: str) -> str:
        """Why, as it said in the log of the shard that it gave back."""
        number = (self.shards / UNFIT / node).read_text(errors="replace").strip()
        return self.why(int(number)) if number.isdecimal() else "it does not say why"


def _asked(command: Sequence[str], text: str = "") -> str:
    """What a command of Slurm answers.

    Raises:
        HarnessError: it fails.
    """
    path = require_tool(command[0])
    done = subprocess.run(
        [path, *command[1:]], input=text, capture_output=True, text=True, check=False, timeout=120
    )
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        raise HarnessError(f"{command[0]}: {lines[-1]}")
    return done.stdout
