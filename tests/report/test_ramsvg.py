from __future__ import annotations

import re
from xml.etree import ElementTree as ET

from hypothesis import given
from hypothesis import strategies as st

from khoci.report.model import Block, MemoryView
from khoci.report.ramsvg import memory_svg

RAM = ((0, 640 << 10), (1 << 20, 1 << 30))
SCRATCH = ((600 << 20, 16 << 20), (616 << 20, 384 << 20))
BLOCKS = (
    Block(0x24D000, 4096, "root"),
    *(Block((3 << 20) + at * 8192, 4096, "memfd") for at in range(20)),
    Block(64 << 20, 32 << 20, "memfd"),
    Block(128 << 20, 8 << 20, "reserve_mem khoci-large"),
    Block(200 << 20, 4096, "orphan"),
)
VIEW = MemoryView("v7.3.4 at the jump", RAM, SCRATCH, BLOCKS)
SVG = "{http://www.w3.org/2000/svg}"


def read(text: str) -> ET.Element:
    return ET.fromstring(text)  # noqa: S314  (our own)


def texts(root: ET.Element) -> list[str]:
    return [each.text or "" for each in root.iter(f"{SVG}text")]


def boxes(root: ET.Element) -> list[tuple[float, float]]:
    """From and to of everything that is drawn of blocks."""
    found = []
    for path in root.iter(f"{SVG}path"):
        for left, width in re.findall(r"M([\d.]+) [\d.]+h([\d.]+)v", path.get("d", "")):
            found.append((float(left), float(left) + float(width)))
    return found


def test_every_owner_has_a_line_with_its_size() -> None:
    found = texts(read(memory_svg([VIEW], "memory")))
    assert "v7.3.4 at the jump: 1.001 GiB of RAM" in found
    for label, size in (
        ("scratch", "400 MiB"),
        ("root", "4 KiB (1 block)"),
        ("memfd", "32.08 MiB (21 blocks)"),
        ("reserve_mem khoci-large", "8 MiB (1 block)"),
        ("orphan: nobody's", "4 KiB (1 block)"),
    ):
        assert found[found.index(label) + 1] == size
    assert "gaps are left out" in found


def test_what_became_of_it_is_told_in_words() -> None:
    after = [Block(1 << 20, 8192, "memfd", "kept"), Block(2 << 20, 4096, "memfd", "not_protected")]
    found = texts(read(memory_svg([VIEW, MemoryView("up", RAM, (), tuple(after), 7)], "memory")))
    assert "8 KiB kept, 4 KiB not protected (2 blocks)" in found
    assert "not known" in found
    assert "and 7 smaller blocks" in found


def test_a_screen_reader_is_told_the_numbers() -> None:
    root = read(memory_svg([VIEW], "guest memory, a to b"))
    assert root.get("role") == "img"
    assert root.findtext(f"{SVG}title") == "guest memory, a to b"
    assert "memfd 32.08 MiB (21 blocks)" in (root.findtext(f"{SVG}desc") or "")


def test_both_views_are_on_one_scale() -> None:
    later = MemoryView("later", RAM, SCRATCH, BLOCKS)
    found = boxes(read(memory_svg([VIEW, later], "memory")))
    half = len(found) // 2
    assert found[:half] == found[half:]


def test_even_a_small_block_is_seen() -> None:
    assert min(right - left for left, right in boxes(read(memory_svg([VIEW], "m")))) >= 2


def test_many_blocks_and_owners_are_bounded() -> None:
    blocks = tuple(Block(at * 8192, 4096, f"owner {at % 40}") for at in range(200_000))
    text = memory_svg([MemoryView("m", RAM, (), blocks)] * 2, "m")
    assert len(text) < 500_000
    assert "25 others" in texts(read(text))


def test_nothing_preserved_is_said() -> None:
    assert "nothing is preserved" in texts(read(memory_svg([MemoryView("m", RAM)], "m")))


@st.composite
def views(draw: st.DrawFn) -> MemoryView:
    address = st.integers(0, (1 << 64) - 1)
    size = st.integers(0, 1 << 40)
    block = st.builds(Block, address, size, st.text(max_size=40), st.text(max_size=9))
    ranges = st.lists(st.tuples(address, size), max_size=4).map(tuple)
    return MemoryView(
        draw(st.text()), draw(ranges), draw(ranges), tuple(draw(st.lists(block, max_size=30)))
    )


@given(st.lists(views(), max_size=3), st.text())
def test_any_memory_is_a_picture(found: list[MemoryView], title: str) -> None:
    text = memory_svg(found, title)
    root = read(text)
    assert {each.tag for each in root.iter()} <= {
        f"{SVG}{name}" for name in ("svg", "title", "desc", "text", "path", "rect")
    }
    assert all(left >= 190 and right <= 960 for left, right in boxes(root))
