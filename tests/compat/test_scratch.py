from __future__ import annotations

import asyncio
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from khoci.compat.scratch import Areas, parse_scratch, read_scratch, scratch_array
from khoci.format.errors import Place
from khoci.format.ranges import Range
from khoci.format.scratch import parse
from khoci.guest.session import Agent

AREAS = ((0x100_0000, 0x100_0000), (0x300_0000, 0x1000_0000))


class Told:
    """An agent's line that answers with the files given."""

    def __init__(self, *texts: str | None) -> None:
        self._texts = list(texts)
        self._number = 0

    async def send_line(self, line: str) -> None:
        self._number = json.loads(line)["id"]

    async def next_line(self) -> str:
        text = self._texts.pop(0)
        told = (
            {"ok": False, "error": "no such file"} if text is None else {"ok": True, "text": text}
        )
        return json.dumps({"id": self._number, **told})


def read(*texts: str | None) -> Areas | None:
    return asyncio.run(read_scratch(Agent(Told(*texts))))


def test_as_debugfs_shows_it() -> None:
    starts, sizes = "0x1000000\n0x3000000\n", "0x1000000\n0x10000000\n"
    assert parse_scratch(starts, sizes) == AREAS
    assert read(starts, sizes) == AREAS


@pytest.mark.parametrize(("starts", "sizes"), [("0x1\n0x2", "0x1"), ("zz", "0x1")])
def test_what_is_no_list_of_areas(starts: str, sizes: str) -> None:
    with pytest.raises(ValueError, match=r"argument|literal"):
        parse_scratch(starts, sizes)
    assert read(starts, sizes) is None


def test_a_kernel_that_does_not_show_it() -> None:
    assert read(None) is None


@given(st.lists(st.integers(1, 30), min_size=1, max_size=6, unique=True))
def test_the_array_is_what_the_decoder_reads(numbers: list[int]) -> None:
    areas = tuple((number << 25, 1 << 24) for number in sorted(numbers))
    raw = scratch_array(areas)
    assert raw is not None
    found = parse(raw, (Range(0, 1 << 32),), Place("scratch"))
    assert tuple((area.start, area.size) for area in found) == areas


@pytest.mark.parametrize("areas", [None, ()])
def test_no_areas_no_array(areas: Areas | None) -> None:
    assert scratch_array(areas) is None
