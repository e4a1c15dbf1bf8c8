"""Results of cells that need not run again: by what decides them, with their evidence.

CACHE/cells/results/<key>.json   the result as it was stored, and the digests of its files
CACHE/cells/files/<sha256>       what stands beside results, each content once
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from khoci.compat.plan import Cell
from khoci.files import write_atomic
from khoci.kernel.cache import Cache
from khoci.kernel.download import file_sha256
from khoci.results import CellResult
from khoci.run.folder import RunFolder
from khoci.verdicts import Verdict

SCHEMA = 1
_NEVER = (Verdict.ERROR, Verdict.HANG)
"""Verdicts that the host may have a part in."""


@dataclass(frozen=True)
class Kept:
    """A result in the cache.

    Attributes:
        result: as it was.
        text: its bytes as they were stored.
        files: the digest of each file of its evidence, by its path in the folder of the run.
    """

    result: CellResult
    text: str
    files: Mapping[str, str]


class CellCache:
    """The cells of a cache folder."""

    def __init__(self, cache: Cache) -> None:
        self._results = cache.cell_results
        self._files = cache.cell_files

    def find(self, key: str, cell: Cell) -> Kept | None:
        """The result with this key, if it is there and of this cell."""
        try:
            data = json.loads((self._results / f"{key}.json").read_text(encoding="utf-8"))
            kept = _kept(data)
        except (OSError, ValueError, KeyError, TypeError):
            return None
        result = kept.result
        same = Cell(result.producer, result.consumer, result.scenario, result.fault) == cell
        return kept if same else None

    def restore(self, key: str, cell: Cell, kept: Kept, folder: RunFolder) -> bool:
        """Put a result and its evidence into a run; False if some of it is gone or broken."""
        contents: dict[str, bytes] = {}
        for name, digest in kept.files.items():
            try:
                path = self._files / digest
                contents[name] = path.read_bytes()
                if file_sha256(path) != digest:
                    path.unlink()
                    return False
                os.utime(path)
            except OSError:
                return False
        for name, content in contents.items():
            if not _has(folder.path / name, content):
                write_atomic(folder.path / name, content)
        write_atomic(folder.result_file(cell.name), kept.text)
        os.utime(self._results / f"{key}.json")
        return True

    def keep(self, key: str, cell: Cell, result: CellResult, folder: RunFolder) -> None:
        """Keep a result that was stored in a run, unless the host may have had a part in it."""
        if not key or result.verdict in _NEVER or result.retries or not result.files:
            return
        files: dict[str, str] = {}
        for name in sorted(result.files.values()):
            content = (folder.path / name).read_bytes()
            files[name] = self._keep_file(folder.path / name, content)
        text = folder.result_file(cell.name).read_text(encoding="utf-8")
        data = {"schema": SCHEMA, "files": files, "text": text}
        write_atomic(self._results / f"{key}.json", json.dumps(data, ensure_ascii=False))

    def _keep_file(self, path: Path, content: bytes) -> str:
        digest = file_sha256(path)
        if not (self._files / digest).is_file():
            write_atomic(self._files / digest, content)
        return digest


def _kept(data: Mapping[str, Any]) -> Kept:
    if data["schema"] != SCHEMA:
        raise ValueError
    text = str(data["text"])
    files = {str(name): str(digest) for name, digest in data["files"].items()}
    return Kept(CellResult.from_json(json.loads(text)), text, files)


def _has(path: Path, content: bytes) -> bool:
    """Whether a cell of the same boot brought it already."""
    try:
        return path.stat().st_size == len(content) and path.read_bytes() == content
    except OSError:
        return False
