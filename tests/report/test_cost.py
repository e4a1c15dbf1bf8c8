from __future__ import annotations

from dataclasses import replace
from xml.etree import ElementTree as ET

import pytest

from khoci.costs import EMPTY, LOAD_FIRST, KernelCost, Point
from khoci.report.cost import files, markdown, text
from khoci.report.costsvg import PLOTS, plots
from khoci.report.costtables import Table, tables
from tests.cost.made import NEW, OLD, POINTS, kernel

SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = "v7.3.4<script>|`*"


def table(part: str, old: KernelCost = OLD, new: KernelCost = NEW) -> Table:
    (found,) = (each for each in tables([old, new]) if part in each.title)
    return found


def test_a_handover_of_nothing() -> None:
    found = table("of a handover without blocks")
    assert found.heads == ("kernel", "finalize", "load", "freeze", "jump", "early boot")
    assert found.rows[1] == ("6.17.13", "14,000", "600,000,000", "100", "17,000,000", "40,000,000")
    assert [row[0] for row in found.rows[::2]] == ["6.17.13, kho=off", "7.3.4, kho=off"]


def test_what_each_block_costs() -> None:
    old, new = table("a block of 4K").rows
    assert old == ("6.17.13", "10,000", "200", "0.0", "0.0", "0.0", "0.0", "1,300", "276")
    assert new[2] == "168"


def test_scatter_and_order() -> None:
    found = table("of early boot, by size")
    heads = ("4K", "4K 1/2", "2M (1k)", "4K 1/16", "4K downwards", "4K shuffled", "4K 1/2 shuffled")
    assert found.title.endswith(": 10,000 blocks")
    assert found.heads == ("kernel", *heads)
    assert dict(zip(found.heads, found.rows[1], strict=True))["4K 1/2"] == "200,000"


def test_what_is_saved() -> None:
    (row,) = table("What is saved").rows
    assert row == ("6.17.13 to 7.3.4", "10,000", "14,100", "-", "0.019%", "100", "never")


def test_a_load_that_is_waited_for_is_saved() -> None:
    old = kernel("v6.17.13", 200, 14_000, loads_last=True)
    (row,) = table("What is saved", old).rows
    assert row[2:] == ("14,100", "600,000,000", "89.185%", "100", "100")


def test_a_load_of_which_nothing_is_known() -> None:
    known = [point for point in POINTS if point != LOAD_FIRST]
    (row,) = table("What is saved", kernel("v6.17.13", 200, 14_000, known)).rows
    assert row[2:] == ("14,100", "?", "?", "100", "?")


def test_without_an_old_kernel_nothing_is_saved() -> None:
    assert [each.title for each in tables([NEW]) if "saved" in each.title] == []
    a, b = kernel("a", 100, 20_000), kernel("b", 900)
    assert table("What is saved", a, b).rows == (
        ("a to b", "10,000", "20,100", "-", "0.028%", "never", "never"),
    )


def test_growth() -> None:
    assert table("for n blocks").rows[1] == (
        "7.3.4",
        *("168 n^1.00", "1.3e+03 n^1.00", "20 n^2.00", "276 n^1.00"),
    )


def test_a_kernel_of_which_little_is_known() -> None:
    few = kernel("v7.3.4", 168, points=[EMPTY, Point(100)])
    told = text([replace(few, failed={Point(1000): "the guest hangs"})])
    assert "v7.3.4: 1,000 blocks, 4K: could not be measured: the guest hangs" in told
    assert "for n blocks" not in told
    assert text([]).startswith("A block is")


def test_a_terminal_is_wide_enough() -> None:
    lines = text([OLD, NEW]).splitlines()
    assert max(map(len, lines)) <= 100
    assert lines[0] == "Instructions of a handover without blocks"


def test_markdown_is_tables_and_nothing_else() -> None:
    found = markdown([replace(NEW, kernel=HOSTILE)])
    assert found.startswith("**Instructions of a handover without blocks**\n\n| kernel |")
    assert found.count("<") == found.count("\\<")
    widths = {
        line.replace("\\|", "").count("|") for line in found.splitlines() if "kho=off" in line
    }
    assert widths == {7}


@pytest.mark.parametrize("name", PLOTS)
def test_pictures_have_a_line_for_each_kernel(name: str) -> None:
    root = ET.fromstring(plots([OLD, replace(NEW, kernel=HOSTILE)])[f"{name}.svg"])  # noqa: S314
    lines = [path for path in root.iter(f"{SVG}path") if path.get("fill") == "none"]
    assert len(lines) == 2
    assert len(list(root.iter(f"{SVG}circle"))) == 6
    width, height = float(root.get("width", "0")), float(root.get("height", "0"))
    for dot in root.iter(f"{SVG}circle"):
        assert 0 < float(dot.get("cx", "-1")) < width
        assert 0 < float(dot.get("cy", "-1")) < height
    assert HOSTILE in [each.text for each in root.iter(f"{SVG}text")]


def test_what_costs_more_is_higher() -> None:
    root = ET.fromstring(plots([OLD, NEW])["preserve.svg"])  # noqa: S314
    heights = [float(dot.get("cy", "0")) for dot in root.iter(f"{SVG}circle")]
    assert all(old < new for old, new in zip(heights[:3], heights[3:], strict=True))


def test_nothing_to_draw() -> None:
    assert plots([kernel("a", 1, points=[EMPTY])]) == {}


def test_the_folder() -> None:
    found = files([OLD, replace(NEW, kernel=HOSTILE)])
    assert set(found) == {"cost.md", "cost.html", *(f"{name}.svg" for name in PLOTS)}
    assert all(f"]({name}.svg)" in found["cost.md"] for name in PLOTS)
    assert found["cost.html"].count("<svg") == len(PLOTS)
    assert "<script" not in found["cost.html"]
    assert "default-src &#39;none&#39;" in found["cost.html"]
