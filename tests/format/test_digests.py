from __future__ import annotations

import hashlib
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from khoci.format.digests import Digest, Digests, changed, digests
from khoci.format.errors import DecodeError, Place
from khoci.format.memory import Pages
from khoci.format.ranges import Range

MIB = 1 << 20
RAM = (Range(0, 64 * MIB),)
PLACE = Place("digests")


def blake(content: bytes) -> bytes:
    return hashlib.blake2b(content, digest_size=16).digest()


class Counting(Pages):
    """Counts the bytes that are read."""

    count = 0

    def read(self, phys: int, size: int) -> bytes:
        self.count += size
        return super().read(phys, size)


def memory(contents: dict[int, bytes]) -> Counting:
    return Counting(RAM, {number << 12: content * 4096 for number, content in contents.items()})


def test_a_block_across_windows_is_digested_whole() -> None:
    ram = memory({0: b"a", 300: b"b", 511: b"c"})
    (found,) = digests(ram, [(0, 9)])
    assert found == Digest(0, 9, blake(ram.read(0, 2 * MIB)))


def test_records_are_sorted_and_of_each_block_once() -> None:
    found = digests(memory({1: b"a"}), [(0x3000, 0), (0x1000, 0), (0x2000, 1), (0x3000, 0)])
    assert [(item.phys, item.order) for item in found] == [(0x1000, 0), (0x2000, 1), (0x3000, 0)]
    assert len(found) == 3
    assert len(found.packed) == 75
    assert found.packed[:9] == (0x1000).to_bytes(8, "little") + b"\0"


def test_holes_are_not_read_but_digested_as_zeros() -> None:
    ram = memory({4096: b"x"})
    found = list(digests(ram, [(0, 10), (4 * MIB, 10), (16 * MIB, 10)]))
    assert ram.count == MIB
    assert found[0].value == found[1].value == blake(bytes(4 * MIB))
    assert found[2].value == blake(ram.read(16 * MIB, 4 * MIB))


def test_written_zeros_and_holes_are_equal() -> None:
    written = digests(memory({5: b"\0"}), [(0x4000, 1)])
    assert written == digests(memory({}), [(0x4000, 1)])


def test_a_block_outside_of_ram_has_no_digest() -> None:
    blocks = [(64 * MIB - 0x1000, 1), (1 << 60, 0), (0, 52), (64 * MIB - 0x1000, 0)]
    assert [item.phys for item in digests(memory({}), blocks)] == [64 * MIB - 0x1000]


def test_larger_pages() -> None:
    ram = Pages(RAM, {0x1_0000: b"a" * 0x1_0000}, 0x1_0000)
    (found,) = digests(ram, [(0, 1)], page_shift=16)
    assert found.value == blake(bytes(0x1_0000) + b"a" * 0x1_0000)


def test_overlapping_blocks_do_not_make_it_read_more_than_ram() -> None:
    ram = memory({0: b"a"})
    read: list[tuple[int, int]] = []

    def blocks() -> Iterator[tuple[int, int]]:
        for _ in range(1000):
            read.append((0, 14))
            yield 0, 14

    with pytest.raises(DecodeError, match=r"digests at 0x0: .*more bytes than RAM"):
        digests(ram, blocks())
    assert len(read) == 2


def test_changed_blocks_are_found() -> None:
    blocks = [(0x1000, 0), (0x2000, 1), (0x8000, 3)]
    before = digests(memory({1: b"a", 3: b"b"}), blocks)
    assert changed(before, memory({1: b"a", 3: b"b", 20: b"x"})) == []
    assert changed(before, memory({1: b"a", 3: b"c", 9: b"x"})) == [(0x2000, 1), (0x8000, 3)]
    assert changed(before, Pages((Range(0, 0x2000),), {0x1000: b"a" * 4096})) == blocks[1:]


BLOCKS = st.tuples(st.integers(0, 2**63), st.integers(0, 40), st.binary(min_size=16, max_size=16))


@given(st.lists(BLOCKS))
def test_round_trip(records: list[tuple[int, int, bytes]]) -> None:
    made = Digests.of(Digest(*record) for record in records)
    assert Digests.parse(made.packed, PLACE) == made
    assert {(item.phys, item.order) for item in made} == {record[:2] for record in records}


def packed(*records: tuple[int, int]) -> bytes:
    return b"".join(
        phys.to_bytes(8, "little") + bytes([order]) + bytes(16) for phys, order in records
    )


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (bytes(24), "24 bytes are no records of 25"),
        (packed((2, 0), (1, 0)), "not in order"),
        (packed((1, 0), (1, 0)), "not in order"),
        (packed((1, 1), (1, 0)), "not in order"),
        (packed((0, 53)), "leaves 64 bits"),
        (packed((0, 255)), "leaves 64 bits"),
        (packed((2**64 - 4096, 1)), "leaves 64 bits"),
    ],
)
def test_bad_records(raw: bytes, message: str) -> None:
    with pytest.raises(DecodeError, match=f"^digests: .*{message}"):
        Digests.parse(raw, PLACE)


def test_the_last_and_the_largest_block() -> None:
    assert len(Digests.parse(packed((0, 52)), PLACE)) == 1
    assert len(Digests.parse(packed((2**64 - 4096, 0)), PLACE)) == 1


@given(st.binary(max_size=200))
def test_any_bytes_parse_or_say_why(raw: bytes) -> None:
    try:
        assert Digests.parse(raw, PLACE).packed == raw
    except DecodeError:
        return
