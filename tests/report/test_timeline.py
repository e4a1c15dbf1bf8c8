from __future__ import annotations

import itertools
from xml.etree import ElementTree as ET

from hypothesis import given
from hypothesis import strategies as st

from khoci.report.model import Phase
from khoci.report.timeline import timeline_svg

SVG = "{http://www.w3.org/2000/svg}"


def read(text: str) -> ET.Element:
    return ET.fromstring(text)  # noqa: S314  (our own)


def test_each_phase_is_a_line_with_its_seconds() -> None:
    phases = [Phase("boot", 0, 2.25), Phase("jump", 2.25, 0.5), Phase("restore", 2.75, 12)]
    root = read(timeline_svg(phases))
    texts = [each.text for each in root.iter(f"{SVG}text")]
    assert texts == ["boot", "2.25 s", "jump", "0.50 s", "restore", "12.0 s", "0", "14.8 s"]
    bars = [
        (float(each.get("x", "")), float(each.get("width", ""))) for each in root.iter(f"{SVG}rect")
    ]
    for (left, width), (following, _) in itertools.pairwise(bars):
        assert abs(left + width - following) < 0.2
    assert root.findtext(f"{SVG}desc") == "boot 2.25 s, jump 0.50 s, restore 12.0 s"


@given(st.lists(st.builds(Phase, st.text(), st.floats(0, 1e6), st.floats(0, 1e6)), max_size=60))
def test_any_phases_are_a_picture(phases: list[Phase]) -> None:
    root = read(timeline_svg(phases))
    assert len(list(root.iter(f"{SVG}rect"))) == min(len(phases), 40)
