from __future__ import annotations

import re
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from khoci.report import markdown
from khoci.verdicts import Verdict
from tests.report import example

ROW = re.compile(r"(?<!\\)\|")


def test_what_could_not_be_run_comes_first_and_then_what_changed() -> None:
    lines = markdown.render(example.report()).splitlines()
    assert lines[2] == "**1 of 14 cells could not be run, 1 cell without a result yet**"
    assert lines[4] == "**kho: say it better** (kho-words:v1) against v7.3.4:"
    assert lines[6] == ("- regressed: kho-words-v1 -> kho-words-v1 kho-test: dropped -> hang")


def test_each_scenario_is_a_table() -> None:
    lines = markdown.render(example.report()).splitlines()
    at = lines.index("### memfd")
    assert lines[at + 2] == r"| producer \ consumer | v6.18.15 | v7.3.4 | kho-words-v1 |"
    assert lines[at + 6] == "| kho-words-v1 | **PANIC**! |   | **CORRUPT**! |"


def test_reasons_are_folded() -> None:
    text = markdown.render(example.report())
    summary = "<details><summary>kho-words-v1 -&gt; v6.18.15 memfd: panic</summary>"
    assert "kho_test is panic: Kernel panic - not syncing" in text.partition(summary)[2]


def test_nothing_to_say_is_said() -> None:
    same = [
        example.cell(*pair, Verdict.RESTORED)
        for pair in ((example.BASE, example.BASE), (example.PATCHED, example.PATCHED))
    ]
    text = markdown.render(example.report(same))
    assert "against v7.3.4: nothing." in text
    assert "### Why" in text, "the prediction of the example is otherwise"


def test_a_projects_own_template_is_used(tmp_path: Path) -> None:
    (tmp_path / "report.md.j2").write_text("{{ counts }}")
    assert markdown.render(example.report(), tmp_path).startswith("1 absent, 3 restored")


@given(st.text())
def test_no_text_leaves_its_place(text: str) -> None:
    cells = [example.cell(text, example.PATCHED, Verdict.PANIC, text=text, scenario=text)]
    report = example.report(cells)
    lines = markdown.render(report).splitlines()
    outside, fence = [], ""
    for line in lines:
        if fence:
            fence = "" if line == fence else fence
        elif line.startswith("```"):
            fence = line
        else:
            outside.append(line)
    assert not fence
    known = ("<details>", "</details>")
    markup = [line for line in outside if re.search(r"(?<!\\)<(?!!-- -->)", line)]
    assert all(line.startswith(known) for line in markup)
    assert all(len(ROW.findall(line)) in (3, 4, 5) for line in outside if line.startswith("| "))
