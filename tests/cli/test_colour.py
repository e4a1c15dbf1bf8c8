from __future__ import annotations

import io

import click
import pytest

from khoci.cli.colour import COLOURS, is_wanted, painted
from khoci.report.summary import LETTERS
from khoci.report.text import WORDS, table
from khoci.results import CellResult
from khoci.verdicts import Verdict


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def colours_in(text: str) -> set[str]:
    return {part.split("m")[0] for part in text.split("\x1b[")[1:]} - {"0"}


def cell(verdict: Verdict, scenario: str = "kho-test") -> CellResult:
    return CellResult("v6.17", "v7.3", scenario, verdict, {}, reproduce="khoci cell run")


@pytest.mark.parametrize(
    ("environment", "wanted"),
    [
        ({"TERM": "xterm"}, True),
        ({"TERM": "xterm", "NO_COLOR": ""}, True),
        ({"TERM": "xterm", "NO_COLOR": "1"}, False),
        ({"TERM": "xterm", "NO_COLOR": "0"}, False),
        ({"TERM": "dumb"}, False),
        ({}, False),
    ],
)
def test_who_wants_colour(
    environment: dict[str, str], wanted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("TERM", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert is_wanted(Terminal()) is wanted
    assert not is_wanted(io.StringIO())


@pytest.mark.parametrize("scenarios", [1, 6])
def test_only_colour_is_added(scenarios: int) -> None:
    names = ("kho-test", "memfd", "empty", "crash", "kaslr", "vmalloc")[:scenarios]
    results = [cell(verdict, name) for name in names for verdict in (Verdict.PANIC,)]
    text = table(results, ("v6.17", "v7.3"))
    assert colours_in(painted(text)) == {"31", "1"}
    assert click.unstyle(painted(text)) == text


@pytest.mark.parametrize("verdict", [verdict for verdict in Verdict if WORDS[verdict].isalpha()])
def test_every_word_has_its_colour(verdict: Verdict) -> None:
    word = WORDS[verdict]
    expected = click.style(word, fg=COLOURS[verdict], bold=word.isupper() or None)
    assert painted(f"v6.17 {word} ok\n") == f"v6.17 {expected} ok\n"
    assert click.unstyle(painted(f"{word[:6]}! ok")) != painted(f"{word[:6]}! ok")
    assert painted(f"v6.17 x{word} {word}-x\n").count("\x1b") == 0


@pytest.mark.parametrize("verdict", Verdict)
def test_every_letter_has_its_colour(verdict: Verdict) -> None:
    letter = LETTERS[verdict]
    expected = click.style(letter, fg=COLOURS[verdict], bold=letter.isupper() or None)
    assert painted(f"v6.17 -> 7.3 {letter}! {letter}\n") == f"v6.17 -> 7.3 {expected}! {expected}\n"
    assert painted(f"v6.17 -> 7.3 and {letter}\n").count("\x1b") == 0


def test_what_is_no_table_stays() -> None:
    for text in ("", "\n", "a -> b\n", "last line without an end"):
        assert painted(text) == text
