"""Physical memory whose bytes lie in a file, extent by extent."""

from __future__ import annotations

import errno
import os
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from khoci.format.errors import DecodeError
from khoci.format.ranges import Range, covers

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

MAX_READ = 1 << 30
"""Bytes that may be asked for at once: RAM that is in no piece costs a file nothing."""


Seek = Callable[[int, int], int]
"""Goes to an offset as `io.IOBase.seek` and `os.lseek` do, and returns it."""


class ByteFile(Protocol):
    """What is needed of a file; it may fetch its bytes from anywhere."""

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """As of `io.IOBase`; ValueError for a ``whence`` it does not know."""

    def read(self, size: int, /) -> bytes:
        """Up to ``size`` bytes, none at the end only."""


@dataclass(frozen=True, slots=True, order=True)
class Piece:
    """``size`` bytes of RAM from ``phys`` lie in the file from ``offset``; all in bytes."""

    phys: int
    size: int
    offset: int

    @property
    def end(self) -> int:
        """The first physical address behind the piece."""
        return self.phys + self.size


@dataclass(frozen=True)
class FileMemory:
    """A ``khoci.format.memory.Memory`` of pieces of a file; RAM in no piece reads as zeros.

    Attributes:
        file: open for reading, and left open.
        pieces: as `disjoint` returns them, all in ``ram``.
        ram: as ``ranges.merge`` returns it.
    """

    file: ByteFile
    pieces: tuple[Piece, ...]
    ram: tuple[Range, ...]

    def read(self, phys: int, size: int) -> bytes:
        """``size`` bytes from ``phys``.

        Raises:
            DecodeError: not all of them are RAM, or the file does not have them (any more).
        """
        if not 0 <= size <= MAX_READ or not covers(self.ram, Range(phys, size)):
            raise DecodeError(f"{size} bytes are not all in RAM", where="memory", address=phys)
        return b"".join(self._parts(phys, phys + size))

    def data(self) -> Iterator[Range]:
        """The extents of RAM that are in the file, its holes left out, in ascending order."""
        for piece in self.pieces:
            end = piece.offset + piece.size
            for start, stop in data_extents(self.file.seek, piece.offset, end):
                yield Range(piece.phys + start - piece.offset, stop - start)

    def _parts(self, start: int, end: int) -> Iterator[bytes]:
        first = bisect_right(self.pieces, start, key=lambda piece: piece.end)
        for index in range(first, len(self.pieces)):
            piece = self.pieces[index]
            if piece.phys >= end:
                break
            if start < piece.phys:
                yield bytes(piece.phys - start)
                start = piece.phys
            stop = min(end, piece.end)
            yield self._fetch(piece.offset + start - piece.phys, stop - start, start)
            start = stop
        if start < end:
            yield bytes(end - start)

    def _fetch(self, offset: int, size: int, phys: int) -> bytes:
        try:
            content = read_at(self.file, offset, size)
        except OSError as error:
            message = f"the file cannot be read: {error.strerror}"
            raise DecodeError(message, where="memory", address=phys) from None
        if len(content) != size:
            raise DecodeError("the file is cut off", where="memory", address=phys)
        return content


def disjoint(pieces: Iterable[Piece]) -> tuple[Piece, ...]:
    """The same memory in ascending order, no byte of it twice."""
    kept: list[Piece] = []
    end = 0
    for piece in sorted(pieces):
        cut = max(end - piece.phys, 0)
        if cut < piece.size:
            kept.append(Piece(piece.phys + cut, piece.size - cut, piece.offset + cut))
            end = piece.end
    return tuple(kept)


def read_at(file: ByteFile, offset: int, size: int) -> bytes:
    """``size`` bytes from ``offset``, fewer where the file ends."""
    file.seek(offset)
    content = file.read(size)
    while len(content) < size and (more := file.read(size - len(content))):
        content += more
    return content


def file_size(file: ByteFile) -> int:
    """Bytes of a file that can be sought."""
    return file.seek(0, os.SEEK_END)


def data_extents(seek: Seek, start: int, end: int) -> Iterator[tuple[int, int]]:
    """The parts of a file between two offsets that are no holes; all where nobody can tell."""
    position = start
    while position < end:
        try:
            begin = seek(position, os.SEEK_DATA)
            stop = seek(begin, os.SEEK_HOLE)
        except (OSError, ValueError) as error:
            if getattr(error, "errno", None) != errno.ENXIO:
                yield position, end
            return
        if begin >= end:
            return
        yield begin, min(stop, end)
        position = stop
