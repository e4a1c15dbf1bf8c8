"""An array job for Slurm: one task a shard. Pure.

What a cluster wants besides (partition, account, time limit) sbatch takes from the environment:
``SBATCH_PARTITION`` and so on.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from khoci.engine.distribute import RUNNING, WAITING
from khoci.engine.work import MOST, Work, jobs_within
from khoci.errors import EXIT_GIVEN_BACK

LOGS, UNFIT = "logs", "unfit"
"""Folders beside those of the shards: what tasks print; nodes that can run no cell."""
_GOING = ("RUNNING", "COMPLETING", "CONFIGURING", "STAGE_OUT", "RESIZING", "SUSPENDED")


def script(work: Work, numbers: Sequence[int], shards: Path, name: str) -> str:
    """The batch script of some shards.

    Args:
        work: what is to be done.
        numbers: of the shards.
        shards: the folder of their results, the same on all nodes.
        name: of the job.

    Raises:
        UsageError: there are more tasks than an array may have.
    """
    jobs_within(MOST["slurm"], work.shards, "shards", "Slurm")
    options = {
        "job-name": name,
        "array": ranges(numbers),
        "requeue": "",
        "open-mode": "append",
        "output": str(shards / LOGS / "%a.log"),
        "cpus-per-task": str(work.jobs),
        "mem": f"{work.megabytes}M",
    }
    lines = [
        f"#SBATCH --{key}={value}" if value else f"#SBATCH --{key}"
        for key, value in options.items()
    ]
    return "\n".join(["#!/bin/sh", *lines, *_body(work, shards)]) + "\n"


def _body(work: Work, shards: Path) -> list[str]:
    """What a task does. A node that can run no cell is named, so that no other task goes there."""
    of = len(work.shards)
    command = work.command("SHARD", "--give-back", "-j", str(work.jobs), "-o", "FOLDER")
    folder = shlex.quote(str(shards))
    line = shlex.join(command).replace("--shard SHARD", f'--shard "$SLURM_ARRAY_TASK_ID/{of}"')
    return [
        f"shards={folder}",
        line.replace("-o FOLDER", '-o "$shards/$SLURM_ARRAY_TASK_ID"'),
        "status=$?",
        f"if [ $status = {EXIT_GIVEN_BACK} ]; then",
        f'    mkdir -p "$shards/{UNFIT}"',
        f'    echo "$SLURM_ARRAY_TASK_ID" > "$shards/{UNFIT}/$SLURMD_NODENAME"',
        "fi",
        "exit $status",
    ]


def render(work: Work) -> str:
    """What `khoci matrix run --on slurm` would submit, for a folder in the current one."""
    numbers = [shard.number for shard in work.busy]
    return script(work, numbers, Path("runs/RUN/shards"), "khoci-RUN")


def ranges(numbers: Iterable[int]) -> str:
    """``1-3,7`` for 1, 2, 3 and 7."""
    found: list[list[int]] = []
    for number in sorted(numbers):
        if found and found[-1][-1] == number - 1:
            found[-1] = [found[-1][0], number]
        else:
            found.append([number])
    return ",".join("-".join(map(str, each)) for each in found)


def parse_queue(text: str) -> Mapping[int, str]:
    """The shards of ``squeue --array --noheader --format=%K|%T``."""
    states: dict[int, str] = {}
    for line in text.splitlines():
        task, _, state = line.strip().partition("|")
        if task.isdecimal():
            states[int(task)] = RUNNING if state in _GOING else WAITING
    return states
