"""Names come from a guest: whatever they hold, only visible ASCII is shown."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import pairwise

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from khoci.config.abi import default_folder, load_releases
from khoci.decode import check, consumer, dot, plain, text
from khoci.decode.check import DECODED, INVARIANTS
from khoci.decode.found import Found
from khoci.format.checks import Problem
from khoci.format.components import Component
from khoci.format.extents import Extents
from khoci.format.handover import decode
from khoci.format.versions import parse
from tests.format.guests import guest, scratch_array

NAMES = st.text(max_size=20) | st.sampled_from(["\x1b[2J", "\x7f", '"', "\\", '\\"', "\u202e\n"])
NODE = re.compile(r'  "(root|map|c\d+)" \[label="([^"\\]|\\.)*"\];')
EDGE = re.compile(r'  "(root|c\d+)" -> "(map|c\d+)";')


def made(family: str = "radix") -> Found:
    source = guest(family)
    handover = decode(source.memory, source.fdt_addr, scratch=scratch_array())
    return Found(handover, source.memory, "guest.ram", "raw")


FOUND = made()


def hostile(name: str) -> Found:
    """The name wherever a name can be."""
    part = Component(name, name, 0x1000, parse(name), None, Extents.of(()))
    handover = replace(
        FOUND.handover,
        root=replace(FOUND.handover.root, version=parse(name)),
        components=(*FOUND.handover.components, replace(part, children=(part,))),
        problems=(Problem(name, 0x1000, name),),
    )
    return Found(handover, FOUND.memory, name, "raw", name, (name,))


@given(NAMES)
def test_no_format_lets_them_through(name: str) -> None:
    found = hostile(name)
    views = (
        text.render(found, with_blocks=True),
        text.problems(found.handover),
        "\n".join(check.lines(check.checks(found.handover))),
        plain.dumps(plain.plain(found, with_blocks=True)),
        dot.render(found),
    )
    for view in views:
        assert all(" " <= char <= "~" or char == "\n" for char in view)


@given(NAMES)
def test_a_name_does_not_end_a_label_of_the_graph(name: str) -> None:
    for line in dot.render(hostile(name)).splitlines()[3:-1]:
        assert NODE.fullmatch(line) or EDGE.fullmatch(line)


@given(NAMES)
def test_a_name_is_one_line(name: str) -> None:
    ordinary = text.render(hostile("x")).count("\n")
    assert text.render(hostile(name)).count("\n") == ordinary


@pytest.mark.parametrize("release", ["6.17", "6.18", "7.3"])
@pytest.mark.parametrize("family", ["A", "B", "radix"])
def test_readings_and_differences_follow_the_schema(family: str, release: str) -> None:
    found, releases = made(family), load_releases(default_folder())
    reader = consumer.read(found, releases.select(release))
    other = consumer.read(found, releases.select("6.16"))
    for document in (
        consumer.plain_reading(found, reader),
        consumer.plain_change(consumer.change(found, reader, other)),
    ):
        jsonschema.validate(document, plain.schema(), jsonschema.Draft202012Validator)
        broken = {**document, "lost": [{"owner": "root", "size": "4096", "extents": []}]}
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(broken, plain.schema(), jsonschema.Draft202012Validator)


@pytest.mark.parametrize("kind", [*INVARIANTS, "undecoded", "missing", "version", "of the future"])
def test_no_kind_of_problem_is_forgotten(kind: str) -> None:
    problem = Problem("root", None, "wrong", kind)
    results = check.checks(replace(FOUND.handover, problems=(problem,)))
    broken = [item for item in results if item.problems]
    assert [(item.title, item.held) for item in broken] == [(INVARIANTS.get(kind, DECODED), False)]
    assert check.failed(results)


def test_runs_of_the_list_of_blocks_are_in_order_and_complete() -> None:
    listed = plain.plain(FOUND, with_blocks=True)["blocks"]
    starts = [int(item["address"], 16) for item in listed]
    assert all(before < after for before, after in pairwise(starts))
    assert sum(item["count"] for item in listed) == len(FOUND.handover.map.blocks)
