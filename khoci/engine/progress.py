"""How far shards are, by the results that they have written so far."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

from khoci.results import CellResult
from khoci.run.folder import RunFolder
from khoci.run.shards import Group, Shard
from khoci.run.watcher import Watcher


class Progress:
    """Follows the folders of shards.

    Args:
        parent: has a folder for each shard, named by its number.
        shards: that are to be run.
        watcher: told of groups of cells as in a local run.
    """

    def __init__(self, parent: Path, shards: Sequence[Shard], watcher: Watcher) -> None:
        self._watcher = watcher
        self._folders = {shard.number: RunFolder(parent / str(shard.number)) for shard in shards}
        self._open = {shard.number: [*shard.groups] for shard in shards}
        self._seen: dict[int, int] = {}
        self._started: set[Group] = set()

    @property
    def left(self) -> dict[int, int]:
        """The shards with cells that have no result, and how many of them."""
        return {number: sum(map(len, groups)) for number, groups in self._open.items() if groups}

    def look(self, running: Collection[int]) -> None:
        """Read what is new, and tell of it; ``running`` are the shards that somebody runs now."""
        for number in self.left:
            if self._changed(number):
                self._read(number)
            if number in running and self._open[number]:
                self._start(self._open[number][0])

    def _changed(self, number: int) -> bool:
        """Whether the shard has written anything since it was last looked at."""
        try:
            changed = self._folders[number].path.stat().st_mtime_ns
        except OSError:
            return False
        before, self._seen[number] = self._seen.get(number), changed
        return before != changed

    def _read(self, number: int) -> None:
        folder, still_open = self._folders[number], []
        for group in self._open[number]:
            results = _results(folder, group)
            if results is None:
                still_open.append(group)
                continue
            self._start(group)
            self._started.discard(group)
            self._watcher.finished(group, results)
        self._open[number] = still_open

    def _start(self, group: Group) -> None:
        if group not in self._started:
            self._started.add(group)
            self._watcher.started(group)


def _results(folder: RunFolder, group: Group) -> list[CellResult] | None:
    """The results of all cells of a group; None while one is missing."""
    if not all(folder.result_file(cell.name).is_file() for cell in group):
        return None
    found = [folder.load(cell.name) for cell in group]
    results = [result for result in found if result is not None]
    return results if len(results) == len(group) else None
