"""What an engine was asked to do for a run, kept with it, so that a resumed run goes on with it."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

from khoci.errors import UsageError
from khoci.files import write_atomic
from khoci.run.folder import RunFolder
from khoci.run.merged import merge, source_of
from khoci.run.shards import Shard
from khoci.verdicts import Verdict

_FILE = "engine.json"
_SCHEMA = 1


@dataclass(frozen=True)
class Asked:
    """Who runs the shards of a run, and how.

    Attributes:
        engine: its name.
        words: of the command line, after ``khoci matrix run``.
        shards: how many.
        jobs: cells at once in each.
        image: of the containers, where the engine runs such.
    """

    engine: str
    words: tuple[str, ...]
    shards: int
    jobs: int
    image: str = ""


def asked_of(folder: RunFolder) -> Asked | None:
    """Who was asked to run it; None if nobody else was.

    Raises:
        UsageError: it was begun by another version of khoci.
    """
    file = folder.meta(_FILE)
    try:
        data = json.loads(file.read_text(encoding="utf-8"))
        if data.pop("schema") != _SCHEMA:
            raise ValueError
        return Asked(**{**data, "words": tuple(data["words"])})
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise UsageError(f"{file}: cannot be read by this version of khoci") from None


def keep_asked(folder: RunFolder, asked: Asked) -> None:
    """Keep it with the run."""
    data = {"schema": _SCHEMA, **asdict(asked)}
    write_atomic(folder.meta(_FILE), json.dumps(data, indent=2) + "\n")


def shards_of(folder: RunFolder) -> Path:
    """Where the shards of a run are, each a run itself, by their numbers."""
    return folder.path / "shards"


def still_to_run(folder: RunFolder, shards: tuple[Shard, ...]) -> tuple[Shard, ...]:
    """The shards that have cells without a good result; bad results of theirs are removed.

    What the run itself has already is not asked for again.
    """
    left = []
    for shard in shards:
        part = RunFolder(shards_of(folder) / str(shard.number))
        missing = False
        for cell in shard.cells:
            results = [part.load(cell.name), folder.load(cell.name)]
            good = [each for each in results if each and each.verdict is not Verdict.ERROR]
            missing = missing or not good
            if not good:
                part.result_file(cell.name).unlink(missing_ok=True)
        if missing:
            left.append(shard)
    return tuple(left)


def bring_together(folder: RunFolder) -> None:
    """Make one run of the shards, and drop them if it is complete.

    Raises:
        UsageError: they do not belong together.
    """
    parent = shards_of(folder)
    parts = [RunFolder(file.parent.parent) for file in parent.glob("[0-9]*/meta/run.json")]
    if not parts:
        return
    merged = merge([source_of(part) for part in parts], folder)
    if not merged.missing:
        for part in parts:
            shutil.rmtree(part.path)
