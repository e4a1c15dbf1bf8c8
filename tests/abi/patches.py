"""The parts of files that a patch shows, before and after it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from khoci.paths import data_dir

SELFTEST = data_dir("matrix") / "selftest"


def shown(patch: Path) -> tuple[dict[str, str], dict[str, str]]:
    """The hunks of each file as text; what they cut off, comment or struct, is closed."""
    before: dict[str, list[str]] = {}
    after: dict[str, list[str]] = {}
    for path, line in _lines(patch):
        for side, marks in ((before, " -@"), (after, " +@")):
            if line[:1] in marks:
                text = "*/" if line.startswith("@@") else line[1:]
                side.setdefault(path, []).append(text)
    return _closed(before), _closed(after)


def _lines(patch: Path) -> Iterator[tuple[str, str]]:
    """The lines of hunks, and their heads, with the path of their file."""
    path, inside = "", False
    for line in patch.read_text().splitlines():
        if line.startswith("+++ b/"):
            path = line.removeprefix("+++ b/")
        inside = (inside or line.startswith("@@ ")) and not line.startswith("diff --git")
        if inside:
            yield path, line


def _closed(files: dict[str, list[str]]) -> dict[str, str]:
    texts = {path: "\n".join(lines) for path, lines in files.items()}
    return {path: text + "\n} __packed;" * _open(text) for path, text in texts.items()}


def _open(text: str) -> int:
    return max(text.count("{") - text.count("}"), 0) if "_ser {" in text else 0
