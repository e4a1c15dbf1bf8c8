"""A run on disk: one JSON file a cell, evidence beside it, written so that it can be resumed.

runs/<id>/v6.17.13..v6.18.15..kho-test.json    the result, by atomic rename
runs/<id>/evidence/<cell>/                     logs of both sides, capture, QEMU's messages
runs/<id>/meta/run.json                        what was asked for
runs/<id>/meta/readers.json                    what patched kernels understand
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from khoci.errors import UsageError
from khoci.files import write_atomic
from khoci.results import CellResult

RUNS = Path("runs")
LAST = "last"

MATRIX, CHAIN, SELFTEST, BISECTION = "matrix", "chain", "selftest", "bisection"
"""Kinds of runs: what is asked for has such a key, unless it is of a matrix."""
MADE_BY: Mapping[str, str] = {
    MATRIX: "khoci matrix run",
    CHAIN: "khoci chain run",
    SELFTEST: "khoci selftest",
    BISECTION: "khoci bisect",
}

_BRIEF = ("khoci", "accelerator", "kernels")
"""Details that a report of the whole run wants."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", re.ASCII)
_STAMP = re.compile(r"\d{8}-\d{6}-", re.ASCII)


@dataclass(frozen=True)
class RunFolder:
    """One run."""

    path: Path

    @property
    def id(self) -> str:
        """Its name."""
        return self.path.name

    def evidence(self, cell: str) -> Path:
        """The folder for a cell's evidence, made if it is not there."""
        folder = self.path / "evidence" / cell
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def result_file(self, cell: str) -> Path:
        """Where the result of a cell is."""
        return self.path / f"{cell}.json"

    def meta(self, name: str) -> Path:
        """Where a file about the run as a whole is."""
        return self.path / "meta" / name

    def store(self, cell: str, result: CellResult) -> None:
        """Write a result."""
        text = json.dumps(result.to_json(), indent=2, ensure_ascii=False)
        write_atomic(self.result_file(cell), text + "\n")

    def load(self, cell: str) -> CellResult | None:
        """The stored result of a cell; None if there is none, or not one this khoci can read."""
        try:
            data = json.loads(self.result_file(cell).read_text(encoding="utf-8"))
            return CellResult.from_json(data)
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def request(self) -> Mapping[str, Any]:
        """What was asked for when the run began.

        Raises:
            UsageError: the folder is not a run.
        """
        try:
            request = json.loads(self.meta("run.json").read_text(encoding="utf-8"))
            if not all(isinstance(name, str) for name in request["kernels"]):
                raise TypeError
            return dict(request)
        except (OSError, ValueError, TypeError, KeyError):
            raise UsageError(f"{self.path}: is not the folder of a run") from None


def new_run(parent: Path, request: Mapping[str, Any], name: str | None = None) -> RunFolder:
    """Begin a run.

    Args:
        parent: the folder of all runs.
        request: what is asked for.
        name: its id; by default the time in UTC and a few letters that keep it apart.
    """
    folder = RunFolder(parent / (name or _stamp(datetime.now(UTC), secrets.token_hex(2))))
    write_atomic(folder.meta("run.json"), json.dumps(request, indent=2) + "\n")
    return folder


def kind_of(request: Mapping[str, Any]) -> str:
    """What a run is of, a key of `MADE_BY`."""
    return next((kind for kind in MADE_BY if kind in request and kind != MATRIX), MATRIX)


def open_run(parent: Path, run_id: str) -> RunFolder:
    """A run by id or path; `LAST` is the last one of a matrix.

    Raises:
        UsageError: there is none.
    """
    if run_id == LAST:
        return latest_run(parent)
    for path in (Path(run_id), parent / run_id):
        if (path / "meta" / "run.json").is_file():
            return RunFolder(path)
    raise UsageError(f"no run '{run_id}' in {parent}/")


def run_named(parent: Path, name: str) -> RunFolder | None:
    """The run with this id, if it has begun.

    Raises:
        UsageError: no run can have such an id.
    """
    if not _NAME.fullmatch(name):
        raise UsageError(f"'{name}' cannot be the id of a run: letters, digits and . _ - only")
    folder = RunFolder(parent / name)
    return folder if folder.meta("run.json").is_file() else None


def all_runs(parent: Path) -> list[RunFolder]:
    """All runs, in the order in which they began."""
    runs = [RunFolder(path.parent.parent) for path in parent.glob("*/meta/run.json")]
    return sorted(runs, key=_began)


def _began(folder: RunFolder) -> str:
    """What runs are ordered by: their id, where it is a time."""
    if _STAMP.match(folder.id):
        return folder.id
    began = folder.meta("run.json").stat().st_mtime
    return _stamp(datetime.fromtimestamp(began, UTC), folder.id)


def _stamp(when: datetime, more: str) -> str:
    return f"{when:%Y%m%d-%H%M%S}-{more}"


def latest_run(parent: Path, kind: str = MATRIX) -> RunFolder:
    """The run of this kind that began last.

    Raises:
        UsageError: there is none.
    """
    for folder in reversed(all_runs(parent)):
        with suppress(UsageError):
            if kind_of(folder.request()) == kind:
                return folder
    raise UsageError(f"there is no run in {parent}/: {MADE_BY[kind]} makes one")


def load_all(
    folder: RunFolder, cells: Iterable[str], *, brief: bool = False
) -> dict[str, CellResult]:
    """The stored results of those cells that have one.

    ``brief`` leaves out details that only the report of one cell wants: they take nine tenths of
    the memory.
    """
    loaded: dict[str, CellResult] = {}
    for cell in cells:
        result = folder.load(cell)
        if result is not None:
            loaded[cell] = _brief(result) if brief else result
    return loaded


def _brief(result: CellResult) -> CellResult:
    return replace(
        result, details={name: result.details[name] for name in _BRIEF if name in result.details}
    )
