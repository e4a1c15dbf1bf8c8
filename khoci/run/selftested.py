"""What the last self-test of this very khoci said, for the top of every report."""

from __future__ import annotations

import hashlib
import json
from importlib import resources
from pathlib import Path

from khoci.files import write_atomic
from khoci.paths import data_dir

NAME = "selftest.json"
NEVER = "self-test: never run with this khoci; `khoci selftest` does"
_CODE, _DATA = (".py", ".c", ".h"), (".toml", ".patch")


def remember(cache: Path, headline: str, mutants: int, of: int) -> None:
    """Keep the headline of a self-test of ``mutants`` out of ``of`` there are."""
    part = f" ({mutants} of {of} mutants were run)" if mutants < of else ""
    record = {"khoci": _digest(), "headline": headline + part}
    write_atomic(cache / NAME, json.dumps(record) + "\n")


def recall(cache: Path) -> str:
    """That headline; `NEVER` if khoci, or what it judges by, has changed since."""
    try:
        record = json.loads((cache / NAME).read_text(encoding="utf-8"))
        return str(record["headline"]) if record["khoci"] == _digest() else NEVER
    except (OSError, ValueError, KeyError, TypeError):
        return NEVER


def _digest() -> str:
    """Of all code, patterns, formats and mutants."""
    code = Path(str(resources.files("khoci")))
    files = [path for path in code.rglob("*") if path.suffix in _CODE]
    files += [path for path in data_dir("matrix").rglob("*") if path.suffix in _DATA]
    state = hashlib.sha256()
    for path in sorted(files):
        state.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return state.hexdigest()
