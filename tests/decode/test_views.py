"""Text, JSON and graph of real captures."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import jsonschema
import pytest

from khoci.decode import check, dot, plain, text
from khoci.decode.found import Found, find
from khoci.decode.words import human, plural, printable
from khoci.source.opener import open_source

CAPTURES = Path(__file__).parents[1] / "format" / "captures"
GOLDEN = Path(__file__).parent / "golden"
ALL = sorted(path.name for path in CAPTURES.glob("*.khocap"))


@contextmanager
def opened(name: str) -> Iterator[Found]:
    with open_source(CAPTURES / name) as source:
        yield find(source)


@pytest.mark.parametrize("name", ["v6.17.13-kho-test", "v6.18.15-reserve-mem", "v7.0.13-luo"])
def test_the_tree_is_the_one_that_was_read_by_a_person(name: str) -> None:
    with opened(f"{name}.khocap") as found:
        shown = text.render(found).replace(f"{CAPTURES}/", "")
        if name.endswith("luo"):
            shown = "".join(shown.splitlines(keepends=True)[:80])
    assert shown == (GOLDEN / f"{name}.txt").read_text()


@pytest.mark.parametrize("name", ALL)
def test_every_capture_follows_the_published_schema(name: str) -> None:
    with opened(name) as found:
        document = json.loads(json.dumps(plain.plain(found, with_blocks=True)))
    jsonschema.validate(document, plain.schema(), jsonschema.Draft202012Validator)
    assert sum(item["count"] for item in document["blocks"]) == document["memory_map"]["blocks"]
    assert {item["owner"] for item in document["blocks"]} >= {"root"}
    assert "orphan" not in {item["owner"] for item in document["blocks"]}


def test_the_schema_refuses_what_is_no_handover() -> None:
    with opened("v7.3.4-luo.khocap") as found:
        document = plain.plain(found)
    document["components"][0]["address"] = 4096
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(document, plain.schema(), jsonschema.Draft202012Validator)


def test_only_what_is_asked_for_and_what_it_is_in() -> None:
    with opened("v7.3.4-luo.khocap") as found:
        shown = text.render(found, ["flb"])
        names = text.names(found.handover)
    assert "liveupdate-test-flb-v0" in shown
    assert "memfd" not in shown
    assert "memory map" not in shown
    assert shown.splitlines()[1].startswith("luo at ")
    assert {"root", "memory map", "scratch", "luo", "session", "memfd", "vmalloc", "block"} < set(
        names
    )


def test_all_blocks_are_listed_with_their_owners() -> None:
    with opened("v6.18.15-reserve-mem.khocap") as found:
        shown = text.render(found, with_blocks=True)
    listed = shown[shown.index("\nblocks\n") :].splitlines()[2:]
    assert "  0x00003e000000  order 11, 8.0 MiB: reserve_mem[khoci-large]" in listed
    assert sum("reserve_mem[khoci-small]" in line for line in listed) == 3


def test_the_graph_is_escaped_and_bounded() -> None:
    with opened("v7.3.4-luo.khocap") as found:
        graph = dot.render(found)
    assert graph.startswith("digraph handover {")
    assert graph.endswith("}\n")
    assert graph.count(" -> ") < 1000
    assert "and 29 more" in graph
    assert '"root" -> "map";' in graph
    assert all(line.count('"') % 2 == 0 for line in graph.splitlines())


@pytest.mark.parametrize("name", ALL)
def test_real_handovers_keep_all_invariants(name: str) -> None:
    with opened(name) as found:
        results = check.checks(found.handover)
    assert not check.failed(results), check.lines(results)
    assert all(item.held for item in results)


def test_a_name_from_a_guest_does_not_reach_the_terminal_as_it_is() -> None:
    assert printable("a\x1b[31m\nb\udce9ü") == "a\\x1b[31m\\nb\\udce9\\xfc"


@pytest.mark.parametrize(
    ("size", "words"),
    [
        (1, "1 bytes"),
        (4096, "4.0 KiB"),
        (5 << 19, "2.5 MiB"),
        (4097, "4.0 KiB (4097 bytes)"),
        (1 << 64, "16.0 EiB"),
    ],
)
def test_sizes_are_in_the_largest_unit(size: int, words: str) -> None:
    assert human(size) == words


def test_plural() -> None:
    assert [plural(1, "block"), plural(2, "block")] == ["1 block", "2 blocks"]
