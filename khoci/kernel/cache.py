"""The cache of built kernels: a folder for each key, that appears when it is complete."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from khoci.errors import HarnessError
from khoci.kernel import trees
from khoci.kernel.fragments import parse_config
from khoci.kernel.waiting import held

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from khoci.progress import Progress

IMAGE, SYSTEM_MAP, CONFIG = "bzImage", "System.map", "config"
METADATA, LOG = "metadata.json", "build.log"
KEPT_TREE, STALE_TREE = "kept tree", "stale tree"
CELL = "cell"


@dataclass(frozen=True, slots=True)
class Artifact:
    """A kernel that can be booted.

    ``key`` is a hash of all that decides its bytes, ``release`` what ``uname -r`` says in it.
    ``system_map`` and ``config`` are None where a ready image came without.
    """

    name: str
    key: str
    arch: str
    release: str
    image: Path
    system_map: Path | None = None
    config: Path | None = None
    cmdline: str = ""

    def has(self, symbol: str) -> bool | None:
        """Whether the config symbol (without ``CONFIG_``) is y or m; None if nobody knows.

        Raises:
            HarnessError: the config cannot be read.
        """
        text = self.config_text()
        return None if text is None else parse_config(text).get(symbol, "n") in ("y", "m")

    def config_text(self) -> str | None:
        """The config, whatever bytes it has; None if nobody knows it.

        Raises:
            HarnessError: it cannot be read.
        """
        if self.config is None:
            return None
        try:
            return self.config.read_text(encoding="utf-8", errors="replace")
        except OSError as error:
            raise HarnessError(
                f"{self.name}: {self.config} cannot be read: {error.strerror}"
            ) from None


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing in the cache that could be deleted, for ``khoci kernel gc``."""

    path: Path
    kind: str
    name: str
    size: int
    used: float


def key_of(inputs: Mapping[str, object]) -> str:
    """The key of a kernel: a hash over the canonical JSON of all that decides its bytes."""
    canonical = json.dumps(inputs, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


class Cache:
    """The folders below the cache: ``downloads``, ``trees``, ``kernels`` and so on.

    ``linux`` is the repository that `khoci tree init` makes, ``series`` holds fetched series,
    ``b4`` its state.
    ``definitions`` has what `khoci.kernel.definitions` keeps of sources, ``cell_results`` and
    ``cell_files`` what `khoci.run.cellcache` keeps of cells.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.downloads = root / "downloads"
        self.trees = root / "trees"
        self.kernels = root / "kernels"
        self.failed = root / "failed"
        self.initramfs = root / "initramfs"
        self.linux = root / "linux.git"
        self.series = root / "series"
        self.b4 = root / "b4"
        self.definitions = root / "definitions"
        self.cell_results = root / "cells" / "results"
        self.cell_files = root / "cells" / "files"

    def folder(self, key: str) -> Path:
        """Where the kernel with ``key`` lies once it is complete."""
        return self.kernels / key[:32]

    def has(self, key: str) -> bool:
        """Whether the kernel with ``key`` is there, complete."""
        return (self.folder(key) / METADATA).is_file()

    def metadata(self, key: str) -> dict[str, object]:
        """The metadata of a complete kernel; its folder is marked as used now."""
        folder = self.folder(key)
        os.utime(folder)
        content: dict[str, object] = json.loads((folder / METADATA).read_text())
        return content

    @contextmanager
    def locked(self, key: str, name: str, progress: Progress) -> Iterator[None]:
        """Hold the key: of two processes that want one kernel, one builds and one waits."""
        self.kernels.mkdir(parents=True, exist_ok=True)
        waiting = f"{name}: waiting for another khoci that wants it too"
        with held(self.kernels / f".{key[:32]}.lock", waiting, progress):
            yield

    @contextmanager
    def new_folder(self, key: str) -> Iterator[Path]:
        """Yield a folder to fill; it becomes the kernel's at the end, if nothing was raised.

        The caller holds the key, so what a killed run left of this kernel is removed first.
        After a failed build its metadata and log are kept below ``failed``.
        """
        self.kernels.mkdir(parents=True, exist_ok=True)
        for stale in self.kernels.glob(f".{key[:32]}.*/"):
            shutil.rmtree(stale, ignore_errors=True)
        folder = Path(tempfile.mkdtemp(prefix=f".{key[:32]}.", dir=self.kernels))
        folder.chmod(0o755)
        try:
            yield folder
            folder.replace(self.folder(key))
        except Exception:
            self._keep_log(folder, self.failed / key[:32])
            raise
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _keep_log(self, folder: Path, target: Path) -> None:
        shutil.rmtree(target, ignore_errors=True)
        if (folder / LOG).is_file():
            target.mkdir(parents=True)
            for name in (METADATA, LOG):
                (folder / name).replace(target / name)

    @contextmanager
    def work_log(self) -> Iterator[Path]:
        """A log file for work that leaves nothing behind."""
        with tempfile.TemporaryDirectory(prefix="khoci-") as folder:
            yield Path(folder) / LOG

    def remove_stale_trees(self) -> int:
        """Remove the trees that a killed run left behind; return how many."""
        return trees.remove_stale(self.trees)

    def entries(self) -> list[Entry]:
        """All that the cache holds and that could go: no tree that somebody builds in."""
        found = [_kernel_entry(path, "kernel") for path in _folders(self.kernels)]
        found += [_kernel_entry(path, "failed build") for path in _folders(self.failed)]
        found += _file_entries(self.downloads, "download")
        found += _file_entries(self.initramfs, "initramfs")
        found += _file_entries(self.definitions, "definitions")
        found += _file_entries(self.cell_results, CELL)
        found += _file_entries(self.cell_files, CELL)
        found += [_tree_entry(tree) for tree in trees.not_held(self.trees)]
        return found


def remove(entry: Entry) -> None:
    """Delete an entry of the cache: it disappears at once, then its space is freed."""
    if entry.kind in (KEPT_TREE, STALE_TREE):
        trees.remove_unheld(entry.path)
    elif entry.path.is_dir():
        doomed = entry.path.with_name(f".{entry.path.name}.gone")
        entry.path.replace(doomed)
        shutil.rmtree(doomed, ignore_errors=True)
    else:
        entry.path.unlink(missing_ok=True)


def folder_size(folder: Path) -> int:
    """Bytes of all files below a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _folders(parent: Path) -> list[Path]:
    return sorted(path for path in parent.glob("[!.]*") if path.is_dir())


def _file_entries(folder: Path, kind: str) -> list[Entry]:
    files = [path for path in sorted(folder.glob("[!.]*")) if path.is_file()]
    return [
        Entry(path, kind, path.name, path.stat().st_size, path.stat().st_mtime) for path in files
    ]


def _kernel_entry(folder: Path, kind: str) -> Entry:
    metadata = folder / METADATA
    name = json.loads(metadata.read_text()).get("name", "") if metadata.is_file() else ""
    return Entry(folder, kind, name, folder_size(folder), folder.stat().st_mtime)


def _tree_entry(tree: Path) -> Entry:
    kind, name = (
        (KEPT_TREE, trees.origin_of(tree)) if trees.is_kept(tree) else (STALE_TREE, tree.name)
    )
    return Entry(tree, kind, name, folder_size(tree), trees.last_used(tree))
