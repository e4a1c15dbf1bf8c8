from __future__ import annotations

import sys
from pathlib import Path

import pytest

from khoci.cli.folding import fold, folded
from tests.run import stored
from tests.run.stored import NEW, OLD
from tests.terminal import on_terminal


def test_a_long_line_is_folded_below_its_own_indent() -> None:
    text = "short\n\n    log: one two three four five six seven eight\nend"
    assert fold(text, 40) == (
        "short\n\n    log: one two three four five six\n      seven eight\nend"
    )


@pytest.mark.parametrize(
    "line",
    [
        "run it again: khoci cell run v6.17.13 v6.18.15 kho-test",
        "khoci series resume kho-fixes-and-cleanups:v1 --onto v6.18.15",
        f"kept: runs/{'x' * 60}",
    ],
)
def test_what_a_reader_copies_stays_whole(line: str) -> None:
    assert fold(line, 40) == line


def test_elsewhere_a_line_stays_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    assert folded("word " * 20) == "word " * 20


def test_the_evidence_of_a_cell_fits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    stored.whole(tmp_path)
    command = [sys.executable, "-m", "khoci", "show", "last", f"{OLD}..{NEW}"]
    seen = on_terminal(command, {"NO_COLOR": "1"}, columns=60)
    wide = [line for line in seen.text.splitlines() if len(line) > 60]
    assert seen.status == 0, seen.text
    assert "refused" in seen.text
    assert all(len(line.split()) <= 2 or ": khoci " in line for line in wide)
