"""Trees to build in, below the cache: one for a single build, and those that keep their objects.

Each tree is a folder, with a lock beside it that is held while somebody builds in it.
"""

from __future__ import annotations

import json
import secrets
import subprocess
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from khoci.errors import BuildError
from khoci.files import write_atomic
from khoci.kernel.waiting import held

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from khoci.progress import Progress

KEPT = 3
"""How many trees keep their objects: those used last. Each takes 0.5 GB (a full one 2 GB)."""

_MARKER = "tree.json"
"""Is in a kept tree while nobody builds in it: what was built there last, and that it is sound."""


@dataclass(frozen=True, slots=True)
class KeptTree:
    """A tree that is held.

    ``last`` is the kernel whose objects it has, and that it failed if so; '' if it is new, empty.
    """

    folder: Path
    last: str

    @property
    def sources(self) -> Path:
        """The source tree in it."""
        return self.folder / "linux"


@contextmanager
def work_tree(trees: Path) -> Iterator[Path]:
    """A folder for sources and objects, held by a lock and removed at the end in any case."""
    trees.mkdir(parents=True, exist_ok=True)
    remove_stale(trees)
    folder = trees / f"tree-{secrets.token_hex(4)}"
    lock = _lock(folder)
    with FileLock(lock):
        try:
            folder.mkdir(mode=0o700)  # a file of a stranger's build may be setuid
            yield folder
        finally:
            _delete(folder)
            lock.unlink(missing_ok=True)


@contextmanager
def kept_tree(
    trees: Path, key: str, origin: str, kernel: str, progress: Progress
) -> Iterator[KeptTree]:
    """Hold the tree with ``key``, to build ``kernel`` in it; another process waits.

    The caller leaves the sources (``origin`` in a few words) as they were. The tree is kept after
    a build that ended, well or with a BuildError. After anything else, a kill too, objects may be
    half-written: it is removed, by the next to come if need be.
    """
    trees.mkdir(parents=True, exist_ok=True)
    folder = trees / f"kept-{key[:32]}"
    waiting = f"{kernel}: waiting for another khoci that builds in its tree"
    with held(_lock(folder), waiting, progress):
        tree = _taken(folder)
        try:
            yield tree
        except BuildError:
            _give_back(folder, origin, f"{kernel} (failed)")
            raise
        except BaseException:
            _remove(folder)
            raise
        _give_back(folder, origin, kernel)


def is_kept(tree: Path) -> bool:
    """Whether a tree is kept, sound and not built in; one that is not is stale unless held."""
    return _marker(tree).is_file()


def origin_of(tree: Path) -> str:
    """Where the sources of a kept tree are from."""
    return str(_content(tree)["origin"])


def last_used(tree: Path) -> float:
    """When a tree was last built in, in seconds since 1970."""
    return (_marker(tree) if is_kept(tree) else tree).stat().st_mtime


def not_held(trees: Path) -> list[Path]:
    """All trees that nobody builds in."""
    return [tree for tree in sorted(trees.glob("[!.]*")) if tree.is_dir() and not _is_held(tree)]


def remove_stale(trees: Path) -> int:
    """Remove the trees that a killed run left behind; return how many."""
    stale = (tree for tree in trees.glob("[!.]*/") if not is_kept(tree))
    return sum(remove_unheld(tree) for tree in stale)


def remove_unheld(tree: Path) -> bool:
    """Remove a tree unless somebody builds in it; whether that was done."""
    lock = _lock(tree)
    try:
        with FileLock(lock, timeout=0):
            _remove(tree)
            if not tree.name.startswith("kept-"):  # for the lock of such a tree somebody may wait
                lock.unlink(missing_ok=True)
    except Timeout:
        return False
    return True


def _taken(folder: Path) -> KeptTree:
    """The tree as it is kept; else, in place of a damaged one or of the oldest, an empty one.

    After the clock was set back make would take old objects for new ones: no such tree is taken.
    """
    if is_kept(folder) and last_used(folder) <= time.time():
        last = str(_content(folder)["last"])
        _marker(folder).unlink()
        return KeptTree(folder, last)
    if folder.exists():
        _remove(folder)
    _evict(folder.parent, KEPT - 1)
    folder.mkdir()
    return KeptTree(folder, "")


def _give_back(folder: Path, origin: str, last: str) -> None:
    write_atomic(_marker(folder), json.dumps({"origin": origin, "last": last}) + "\n")


def _evict(trees: Path, number: int) -> None:
    """Remove all but the ``number`` kept trees that were used last."""
    kept = [tree for tree in trees.glob("kept-*/") if is_kept(tree)]
    for tree in sorted(kept, key=last_used, reverse=True)[number:]:
        remove_unheld(tree)


def _content(tree: Path) -> dict[str, object]:
    content: dict[str, object] = json.loads(_marker(tree).read_text())
    return content


def _remove(tree: Path) -> None:
    """Remove a tree by way of another name: a dying make may still write to this one."""
    doomed = tree.with_name(f"tree-{secrets.token_hex(4)}")
    with suppress(FileNotFoundError):
        tree.replace(doomed)
    _delete(doomed)


def _delete(tree: Path) -> None:
    """Delete a tree, be it nested deeper than Python goes, or its folders not to be entered."""
    for command in (["rm", "-rf"], ["chmod", "-R", "u+rwX"], ["rm", "-rf"]):
        if tree.exists():
            subprocess.run([*command, "--", tree], capture_output=True, check=False)


def _marker(tree: Path) -> Path:
    return tree / _MARKER


def _lock(tree: Path) -> Path:
    return tree.with_name(f"{tree.name}.lock")


def _is_held(tree: Path) -> bool:
    try:
        with FileLock(_lock(tree), timeout=0):
            return False
    except Timeout:
        return True
