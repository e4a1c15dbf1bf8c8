"""The folder of a bisection: what was asked for, so that it can go on after it was stopped.

bisections/<id>/v7.3.4..g1a2b3c4d5e6f..memfd.json    the result of a candidate, as in a run's folder
bisections/<id>/evidence/<cell>/                     its logs and captures
bisections/<id>/patches/                             what the candidates are made of
bisections/<id>/matrix.toml, kernels.toml            the candidates, for other commands
bisections/<id>/bisect.log                           as git's, for git bisect replay
bisections/<id>/meta/run.json                        what was asked for
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from khoci.bisect import patches, tree
from khoci.bisect.question import KERNELS, PATCHES, Question
from khoci.config.kernels import load_kernels
from khoci.errors import UsageError
from khoci.run.folder import BISECTION, latest_run, new_run, open_run

if TYPE_CHECKING:
    from khoci.bisect.history import History
    from khoci.run.folder import RunFolder

BISECTIONS = Path("bisections")


@dataclass(frozen=True)
class Request:
    """What was asked for: the cell, the matrix file by name, and the accelerator."""

    question: Question
    matrix: str
    accelerator: str | None = None


def begin(parent: Path, request: Request, history: History) -> tuple[RunFolder, History]:
    """Make the folder; the history is then what is kept there."""
    asked = {**asdict(request), "history": history.to_json(), "base": history.base.name}
    folder = new_run(parent, {"kernels": [], BISECTION: asked})
    return folder, history.kept_in(folder.path / PATCHES)


def find(parent: Path, run_id: str | None) -> RunFolder:
    """A bisection by id or path; without, the one that began last.

    Raises:
        UsageError: there is none.
    """
    return open_run(parent, run_id) if run_id else latest_run(parent, BISECTION)


def read(folder: RunFolder, cache: Path) -> tuple[Request, History]:
    """What was asked for.

    Raises:
        UsageError: the folder is not a bisection's, or what it needs is gone.
    """
    try:
        asked = folder.request()[BISECTION]
        question = Question.from_json(asked["question"])
        request = Request(question, str(asked["matrix"]), asked["accelerator"])
        return request, _history(folder.path, asked, cache)
    except (KeyError, TypeError, ValueError):
        raise UsageError(
            f"{folder.path}: is no bisection, or was begun by another version of khoci"
        ) from None


def _history(folder: Path, asked: Mapping[str, Any], cache: Path) -> History:
    base = load_kernels(folder / KERNELS).by_name[asked["base"]]
    data = asked["history"]
    if data["kind"] == patches.KIND:
        return patches.reopened(data, base, folder / PATCHES)
    return tree.reopened(data, base, folder / PATCHES, cache)
