"""The same bytes in the eyes of several consumers."""

from __future__ import annotations

import pytest

from khoci.config.abi import default_folder, load_releases
from khoci.decode import consumer
from khoci.decode.consumer import NOBODY, AsConsumer
from khoci.decode.found import Found
from tests.decode.test_views import opened


def as_(found: Found, name: str) -> AsConsumer:
    return consumer.read(found, load_releases(default_folder()).select(name))


@pytest.mark.parametrize("reader", ["6.18", "6.19", "7.0"])
def test_the_same_layout_loses_nothing(reader: str) -> None:
    with opened("v6.18.15-reserve-mem.khocap") as found:
        read = as_(found, reader)
        assert read.reading
        assert read.reading.blocks == found.handover.map.blocks
        assert consumer.missing(found, read) == {}


@pytest.mark.parametrize("reader", ["6.16", "6.17"])
def test_an_old_consumer_reads_one_eighth_of_each_bitmap(reader: str) -> None:
    with opened("v6.18.15-reserve-mem.khocap") as found:
        read = as_(found, reader)
        lost = consumer.missing(found, read)
        lines = consumer.lines(found, read)
    assert {name: item.size for name, item in lost.items()} == {
        "reserve_mem[khoci-small]": 64 << 10
    }
    assert "  lost: 64.0 KiB of reserve_mem[khoci-small], 1 piece from 0x3fb5c000" in lines


def test_another_version_is_refused_and_reserves_nothing() -> None:
    with opened("v7.3.4-reserve-mem.khocap") as found:
        read = as_(found, "7.1")
        change = consumer.change(found, as_(found, "7.3"), read)
    assert (read.reading, read.refused) == (None, "understands kho-v3, not kho-v4")
    assert sum(item.size for item in change.lost.values()) == found.handover.map.blocks.size
    assert not change.gained


def test_a_consumer_of_larger_bitmaps_reads_over_their_ends() -> None:
    with opened("v6.17.13-kho-test.khocap") as found:
        read = as_(found, "6.18")
        change = consumer.change(found, as_(found, "6.17"), read)
    assert read.reading
    assert len(read.reading.outside) > 0
    assert list(change.gained) == [NOBODY]
    assert any("no struct page" in note for note in read.reading.notes)


def test_the_way_there_and_back_is_the_same_memory() -> None:
    with opened("v6.18.15-reserve-mem.khocap") as found:
        old, new = as_(found, "6.17"), as_(found, "6.18")
        there, back = consumer.change(found, new, old), consumer.change(found, old, new)
    assert there.lost
    assert there.lost == back.gained
    assert there.gained == back.lost == {}


def test_who_refuses_is_named() -> None:
    with opened("v7.3.4-luo.khocap") as found:
        both = consumer.change(found, as_(found, "6.17"), as_(found, "6.18"))
        one = consumer.change(found, as_(found, "6.17"), as_(found, "7.3"))
    assert consumer.change_lines(both) == [
        "v6.17.13 refuses the handover, and reserves nothing",
        "v6.18.15 refuses the handover, and reserves nothing",
    ]
    lines = consumer.change_lines(one)
    assert lines[0] == "v6.17.13 refuses the handover, and reserves nothing"
    assert lines[1] == "from v6.17.13 to v7.3.4"


def test_equal_readings_are_said_to_be_equal() -> None:
    with opened("v7.3.4-luo.khocap") as found:
        change = consumer.change(found, as_(found, "7.2"), as_(found, "7.3"))
    assert consumer.change_lines(change) == ["v7.2.12 and v7.3.4 reserve the same memory"]
