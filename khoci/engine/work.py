"""Work to distribute: kernels to build once, and shards of a plan. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from khoci.errors import UsageError
from khoci.run.shards import MOST_SHARDS, Shard

SCHEMA = 1
_BESIDE_MB = 512


@dataclass(frozen=True)
class Work:
    """What an engine is told to do.

    Attributes:
        matrix: name of the matrix file.
        words: of the command line that asks for the whole plan, after ``khoci matrix run``.
        kernels: keys of the kernels by name, oldest first.
        cached: whether this machine has them.
        jobs: cells at once in a shard, with a core for each.
        memory: of the largest guest, in bytes.
        program: how khoci is called where the shards run.
        shards: parts of the plan, those that take longest first.
    """

    matrix: str
    words: tuple[str, ...]
    kernels: Mapping[str, str]
    shards: tuple[Shard, ...]
    cached: Mapping[str, bool] = field(default_factory=dict)
    jobs: int = 1
    memory: int = 1 << 30
    program: tuple[str, ...] = ("khoci",)

    @property
    def megabytes(self) -> int:
        """Memory of a task: its guests, QEMU and khoci for each."""
        return self.jobs * ((self.memory >> 20) + _BESIDE_MB)

    @property
    def busy(self) -> list[Shard]:
        """The shards that have cells."""
        return [shard for shard in self.shards if shard.groups]

    def command(self, shard: str, *more: str) -> list[str]:
        """What runs a shard; what it found is judged when all shards are merged."""
        return [*self.program, "matrix", "run", *self.words, "--shard", shard, "--no-policy", *more]


def to_json(work: Work) -> dict[str, Any]:
    """All of it, as plain JSON values."""
    return {
        "schema": SCHEMA,
        "matrix": work.matrix,
        "cached": dict(work.cached),
        "cells": [
            {
                "producer": cell.producer,
                "consumer": cell.consumer,
                "scenario": cell.scenario,
                "fault": cell.fault,
                "shard": shard.label,
            }
            for shard in work.shards
            for cell in shard.cells
        ],
        "kernels": [{"kernel": name, "key": key} for name, key in work.kernels.items()],
        "shards": [
            {
                "shard": shard.label,
                "cells": len(shard.cells),
                "seconds": shard.seconds,
                "command": shlex.join(work.command(shard.label)),
            }
            for shard in work.busy
        ],
    }


def jobs_within(limit: int, items: Sequence[object], what: str, engine: str) -> None:
    """Refuse what an engine would not take.

    Raises:
        UsageError: there are too many.
    """
    if len(items) > limit:
        raise UsageError(f"{len(items)} {what}: {engine} takes {limit} jobs at most")


Render = Callable[[Work], str]
"""Makes the text that an engine reads."""

MOST: Mapping[str, int] = {"github": MOST_SHARDS, "gitlab": 200, "slurm": 1000, "kubernetes": 1000}
"""Jobs that an engine takes at once, as it comes."""
