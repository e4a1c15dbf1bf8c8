"""Have an engine run the shards of a plan, and follow it until all have results."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from khoci.engine.progress import Progress
from khoci.errors import HarnessError
from khoci.run.shards import Shard
from khoci.run.watcher import Watcher

FRUITLESS = 3
"""Times that a shard is asked for again in vain; then nobody can run its cells."""
PAUSE_SECONDS = 2.0

RUNNING, WAITING = "running", "waiting"


class Engine(Protocol):
    """What runs shards on other machines.

    Attributes:
        name: for people.
    """

    name: str

    def submit(self, numbers: Sequence[int]) -> None:
        """Ask for these shards to be run."""

    def active(self) -> Mapping[int, str]:
        """The shards that wait or run, ``waiting`` or ``running``."""

    def collect(self) -> list[str]:
        """Bring results here, where they do not come by themselves; what is to be told."""

    def cancel(self) -> None:
        """Have nothing run any more."""

    def why(self, number: int) -> str:
        """What the engine knows of a shard that brought no result, in one line."""


def distribute(
    engine: Engine,
    parent: Path,
    shards: Sequence[Shard],
    watcher: Watcher,
    tell: Callable[[str], None],
    pause: Callable[[float], None] = time.sleep,
) -> None:
    """Follow what runs already, and submit what is missing, until nothing is.

    On ^C all is cancelled. When this process dies otherwise, the engine goes on, and another
    call with the same arguments follows it.

    Args:
        engine: who runs them.
        parent: has a folder for each shard, named by its number.
        shards: of the plan.
        watcher: told of each group of cells.
        tell: told what a user has to know.
        pause: waits for so many seconds.

    Raises:
        HarnessError: some cells get no result though they were asked for again and again.
    """
    progress = Progress(parent, shards, watcher)
    cells = sum(len(shard.cells) for shard in shards)
    watcher.begin(
        f"running {cells} cells ({engine.name}, {len(shards)} shards)", cells, len(shards)
    )
    try:
        _until_done(engine, progress, tell, pause)
    except KeyboardInterrupt:
        engine.cancel()
        raise
    finally:
        watcher.end()


def _until_done(
    engine: Engine,
    progress: Progress,
    tell: Callable[[str], None],
    pause: Callable[[float], None],
) -> None:
    fruitless, before = Counter[int](), dict[int, int]()
    while True:
        active = engine.active()
        for line in engine.collect():
            tell(line)
        progress.look([number for number, state in active.items() if state == RUNNING])
        left = progress.left
        if not left and not active:
            return
        if idle := [number for number in left if number not in active]:
            for number, cells in ((number, left[number]) for number in idle):
                fruitless[number] = fruitless[number] + 1 if before.get(number) == cells else 0
                before[number] = cells
                if fruitless[number] == FRUITLESS:
                    engine.cancel()
                    raise HarnessError(
                        f"shard {number} gets no result from {engine.name}, "
                        f"{cells} cells are left: {engine.why(number)}"
                    )
            engine.submit(idle)
        pause(PAUSE_SECONDS)
