from __future__ import annotations

import io
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from khoci.format.errors import DecodeError
from khoci.format.ranges import Range, merge
from khoci.source.backed import FileMemory, Piece, data_extents, disjoint, read_at

MIB = 1 << 20
PIECES = st.lists(st.builds(Piece, st.integers(0, 60), st.integers(1, 20), st.just(0)), max_size=8)


def memory(*pieces: Piece, ram: tuple[Range, ...] = (Range(0, 100), Range(200, 50))) -> FileMemory:
    return FileMemory(io.BytesIO(bytes(range(250))), disjoint(pieces), ram)


def test_reads_across_pieces_and_what_is_between_them() -> None:
    ram = memory(Piece(20, 10, 100), Piece(30, 5, 50), Piece(60, 40, 0))
    assert ram.read(18, 20) == b"\0\0" + bytes(range(100, 110)) + bytes(range(50, 55)) + bytes(3)
    assert ram.read(95, 5) == bytes(range(35, 40))
    assert ram.read(200, 50) == bytes(50)
    assert ram.read(32, 0) == b""


@pytest.mark.parametrize(("phys", "size"), [(99, 2), (100, 1), (150, 10), (90, 150), (-1, 2)])
def test_only_ram_can_be_read(phys: int, size: int) -> None:
    with pytest.raises(DecodeError, match="not all in RAM"):
        memory().read(phys, size)


def test_nobody_reads_too_much_at_once() -> None:
    ram = memory(ram=(Range(0, 1 << 52),))
    with pytest.raises(DecodeError):
        ram.read(0, (1 << 30) + 1)
    with pytest.raises(DecodeError):
        ram.read(0, -1)


def test_a_file_that_was_cut_meanwhile() -> None:
    with pytest.raises(DecodeError, match="memory at 0x14: the file is cut off"):
        memory(Piece(20, 20, 240)).read(20, 20)


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    path = tmp_path / "ram"
    path.write_bytes(bytes(10))
    with path.open("wb") as file, pytest.raises(DecodeError, match="cannot be read"):
        FileMemory(file, (Piece(0, 10, 0),), (Range(0, 10),)).read(0, 10)


@given(PIECES)
def test_no_byte_twice_and_none_lost(pieces: list[Piece]) -> None:
    found = disjoint(pieces)
    assert merge(Range(item.phys, item.size) for item in found) == merge(
        Range(item.phys, item.size) for item in pieces
    )
    assert all(one.end <= two.phys for one, two in pairwise(found))


@given(st.lists(st.tuples(st.integers(0, 200), st.integers(1, 50)), max_size=6))
def test_what_is_cut_off_a_piece_keeps_its_place_in_the_file(parts: list[tuple[int, int]]) -> None:
    """Pieces of a file where every offset is its own address read as that file does."""
    pieces = disjoint(Piece(start, size, start) for start, size in parts if start + size <= 250)
    ram = merge(Range(item.phys, item.size) for item in pieces)
    whole = FileMemory(io.BytesIO(bytes(range(250))), pieces, ram)
    for part in ram:
        assert whole.read(part.start, part.size) == bytes(range(part.start, part.end))


def test_holes_are_no_data(tmp_path: Path) -> None:
    path = tmp_path / "ram"
    with path.open("wb") as file:
        file.seek(4 * MIB)
        file.write(b"x" * 4096)
        file.truncate(16 * MIB)
    pieces = (Piece(1 << 32, 8 * MIB, 0), Piece(1 << 33, 8 * MIB, 8 * MIB))
    with path.open("rb", buffering=0) as file:
        found = list(FileMemory(file, pieces, (Range(1 << 32, 8 * MIB),)).data())
    assert found == [Range((1 << 32) + 4 * MIB, 4096)]


def test_data_and_reads_may_alternate(tmp_path: Path) -> None:
    path = tmp_path / "ram"
    with path.open("wb") as file:
        for start in range(0, 16 * MIB, 4 * MIB):
            file.seek(start)
            file.write(bytes([start // MIB]) * 4096)
    pieces, ram = (Piece(0, 12 * MIB + 4096, 0),), (Range(0, 12 * MIB + 4096),)
    with path.open("rb") as buffered:
        whole = FileMemory(buffered, pieces, ram)
        found = [whole.read(part.start, 4097)[-2:] for part in whole.data() if part.start < 9 * MIB]
    assert found == [b"\0\0", b"\4\0", b"\10\0"]


def test_without_holes_all_is_data() -> None:
    assert list(data_extents(io.BytesIO(bytes(10)).seek, 2, 10)) == [(2, 10)]
    assert list(memory(Piece(20, 10, 100)).data()) == [Range(20, 10)]


class Slow(io.BytesIO):
    def read(self, size: int | None = -1, /) -> bytes:
        return super().read(min(3, size or 0))


def test_short_reads_are_continued() -> None:
    assert read_at(Slow(bytes(range(100))), 10, 50) == bytes(range(10, 60))
    assert read_at(Slow(bytes(range(100))), 95, 50) == bytes(range(95, 100))
