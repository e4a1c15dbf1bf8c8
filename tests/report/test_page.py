from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from khoci.report import page, pagedata
from khoci.report.model import CellEvidence, Excerpt
from khoci.results import CellResult
from khoci.verdicts import Verdict
from tests.report import example


class Reader(HTMLParser):
    """The elements of a page, and what the script, the style and the data are made of."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.inside: dict[str, str] = {}
        self._now = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        is_data = ("id", "data") in attrs
        self._now = "data" if is_data else tag if tag in ("script", "style") else ""

    def handle_data(self, data: str) -> None:
        if self._now:
            self.inside[self._now] = self.inside.get(self._now, "") + data

    def handle_endtag(self, tag: str) -> None:
        self._now = ""

    @property
    def data(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.inside["data"])
        return found


def policy(text: str) -> str:
    found = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', text)
    assert found
    return found[1].replace("&#39;", "'")


def test_only_its_own_script_and_style_are_allowed() -> None:
    text = page.render(example.report())
    read = Reader(text)
    for kind in ("script", "style"):
        digest = base64.b64encode(hashlib.sha256(read.inside[kind].encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy(text)
    assert policy(text).startswith("default-src 'none'; ")
    assert "connect-src" not in policy(text)
    assert "connect-src 'self'" in policy(page.render(example.report(), live=True))


def test_nothing_is_fetched_from_anywhere() -> None:
    read = Reader(page.render(example.report()))
    fetched = [value for name, value in read.attributes if name in ("src", "srcset", "action")]
    assert fetched == []
    links = [value for name, value in read.attributes if name == "href"]
    assert all(value.startswith("#cell=") for value in links)


def test_the_grid_is_there_without_a_script() -> None:
    text = page.render(example.report())
    assert 'aria-label="v7.3.4 to kho-words-v1, kho-test: corrupt, predicted otherwise"' in text
    assert text.count('<button type="button" class="v-') == 14


def test_the_data_has_every_cell() -> None:
    data = Reader(page.render(example.report())).data
    assert [each["verdict"] for each in data["cells"]] == [
        str(each.verdict) for each in example.report().results
    ]
    found = next(each for each in data["cells"] if each["verdict"] == "panic")
    assert found["components"][1]["proof"] == [["log", "KHO: found kexec handover data."]]
    assert found["forbidden"] == ["panic must never happen"]


def with_logs(size: int) -> CellEvidence:
    return CellEvidence(consumer_log=Excerpt(("x" * size,), 1, 1), before="the same tree")


def test_there_is_room_for_so_much_evidence_and_what_is_broken_comes_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pagedata, "MOST_EVIDENCE", 3000)
    quiet = [example.cell(str(number), "c", Verdict.RESTORED) for number in range(5)]
    cells = [replace(cell, prediction=None) for cell in quiet]
    cells.append(example.cell("p", "c", Verdict.PANIC))
    report = replace(example.report(cells), evidence=lambda _: with_logs(1000))
    data = pagedata.page_data(report)
    kept = [each["producer"] for each in data["cells"] if each["evidence"]]
    assert kept == ["0", "1", "p"]
    assert data["texts"] == ["the same tree"]


def test_letters_stand_where_words_do_not_fit() -> None:
    names = [f"v7.{number}" for number in range(13)]
    cells = [example.cell(one, other, Verdict.PANIC) for one in names for other in names]
    kernels = tuple(replace(example.report().kernels[0], name=name) for name in names)
    text = page.render(replace(example.report(cells), kernels=kernels, series=None))
    assert '<table class="wide">' in text
    assert ">P!</button>" in text


@given(st.text())
def test_no_text_becomes_markup(text: str) -> None:
    cells: list[CellResult] = [
        example.cell(text, example.PATCHED, Verdict.PANIC, text, text, (f"consumer: {text}",))
    ]
    made = example.report(cells)
    hostile = replace(
        made,
        run=text,
        matrix=text,
        kernels=(*made.kernels, replace(made.kernels[0], name=text)),
        evidence=lambda _: CellEvidence(before=text, consumer_log=Excerpt((text,), 1, 1, (0,))),
    )
    plain = replace(
        hostile,
        run="r",
        matrix="m",
        results=(replace(cells[0], producer="p"),),
        kernels=(*made.kernels, replace(made.kernels[0], name="p")),
    )
    read = Reader(page.render(hostile))
    assert sorted(set(read.tags)) == sorted(set(Reader(page.render(plain)).tags))
    shown = text.encode("utf-8", "replace").decode()
    assert read.data["cells"][0]["components"][1]["proof"][0][1] == shown
