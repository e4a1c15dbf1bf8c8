from __future__ import annotations

import io

import pytest

from khoci.progress import BarProgress, LineProgress, duration, progress_for


def test_lines_at_the_quarters() -> None:
    stream = io.StringIO()
    progress = LineProgress(stream)
    progress.start("building", 100)
    for _ in range(100):
        progress.advance()
    progress.done()
    lines = stream.getvalue().splitlines()
    assert lines[0] == "building"
    assert [line.split(",")[0] for line in lines[1:]] == [
        "building: 25%",
        "building: 50%",
        "building: 75%",
    ]
    assert all(line.endswith("left") for line in lines[1:])


def test_an_unknown_total_says_start_only() -> None:
    stream = io.StringIO()
    progress = LineProgress(stream)
    progress.start("unpacking")
    progress.advance(5)
    progress.done()
    assert stream.getvalue() == "unpacking\n"


def test_a_terminal_gets_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    assert isinstance(progress_for(Terminal()), BarProgress)
    assert isinstance(progress_for(io.StringIO()), LineProgress)
    monkeypatch.setenv("TERM", "dumb")
    assert isinstance(progress_for(Terminal()), LineProgress)


def test_a_bar_starts_and_ends(capsys: pytest.CaptureFixture[str]) -> None:
    progress = BarProgress()
    progress.advance()
    progress.start("building", 2)
    progress.advance()
    progress.done()
    progress.done()
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0 s"), (59.4, "59 s"), (60, "1 min 00 s"), (185, "3 min 05 s")]
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text
