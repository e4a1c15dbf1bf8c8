"""Guest RAM as a file that QEMU and khoci share."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial

from khoci.errors import HarnessError
from khoci.format.errors import DecodeError
from khoci.format.ranges import Range
from khoci.source.backed import data_extents
from khoci.vm.available import available_memory

LOW_LIMIT = 0x8000_0000
"""RAM above this size continues at 4 GiB; the machine is started with this as its split."""

HIGH_BASE = 0x1_0000_0000
FILLED = 1 << 30
"""Bytes of RAM that any guest may fill; one that is larger for its shape alone does not."""
ACCOUNT = 32
"""A kernel keeps account of so many bytes in less than one."""


def layout(size: int) -> tuple[Range, ...]:
    """Guest-physical ranges of ``size`` bytes of RAM, in the order of the RAM file."""
    if size <= LOW_LIMIT:
        return (Range(0, size),)
    return (Range(0, LOW_LIMIT), Range(HIGH_BASE, size - LOW_LIMIT))


@dataclass(frozen=True)
class GuestRam:
    """Reads and writes guest-physical memory through the RAM file.

    It is a ``khoci.format.memory.Memory``. The file is an anonymous one (memfd): nothing is left
    behind whatever happens, and it does not depend on the size of any mounted tmpfs.
    """

    fd: int
    size: int
    ram: tuple[Range, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "ram", layout(self.size))

    @classmethod
    def create(cls, size: int) -> GuestRam:
        """Make a RAM file of ``size`` bytes; close it with ``close``."""
        _check_memory(size)
        fd = os.memfd_create("khoci-ram", os.MFD_CLOEXEC)
        try:
            os.ftruncate(fd, size)
        except OSError as error:
            os.close(fd)
            raise HarnessError(
                f"cannot make {size >> 20} MiB of guest RAM: {error.strerror}"
            ) from None
        return cls(fd, size)

    def copy(self) -> GuestRam:
        """Another RAM file with the same content; nobody may write this one meanwhile.

        Raises:
            HarnessError: there is no memory for it.
        """
        other = GuestRam.create(self.size)
        seek = partial(os.lseek, self.fd)
        try:
            for begin, end in list(data_extents(seek, 0, self.size)):
                _copy(self.fd, other.fd, begin, end)
        except OSError as error:
            other.close()
            raise HarnessError(f"cannot copy guest RAM: {error.strerror}") from None
        return other

    @property
    def touched(self) -> int:
        """Bytes that it holds; holes left out."""
        return os.fstat(self.fd).st_blocks * 512

    def check_room(self) -> None:
        """Say whether the guest can be made to fill it.

        Raises:
            HarnessError: there is no memory for that.
        """
        available, wanted = available_memory(), self.size - self.touched
        if available is not None and available < wanted:
            raise HarnessError(
                f"not enough free memory to have a guest fill its {self.size >> 20} MiB: "
                f"{available >> 20} MiB are available, and it would take {wanted >> 20} more"
            )

    def close(self) -> None:
        """Give the memory back."""
        os.close(self.fd)

    def read(self, phys: int, size: int) -> bytes:
        """``size`` bytes at guest-physical ``phys``; DecodeError outside RAM."""
        data = os.pread(self.fd, size, self._offset(phys, size))
        if len(data) != size:
            raise DecodeError("short read of guest RAM", where="RAM", address=phys)
        return data

    def write(self, phys: int, data: bytes) -> None:
        """Write ``data`` at guest-physical ``phys``; DecodeError outside RAM."""
        offset = self._offset(phys, len(data))
        view = memoryview(data)
        while view:
            written = os.pwrite(self.fd, view, offset)
            view, offset = view[written:], offset + written

    def data(self) -> Iterator[Range]:
        """The guest-physical extents that were ever touched, holes left out."""
        start, seek = 0, partial(os.lseek, self.fd)
        for extent in self.ram:
            for begin, end in data_extents(seek, start, start + extent.size):
                yield Range(extent.start + begin - start, end - begin)
            start += extent.size

    def _offset(self, phys: int, size: int) -> int:
        base = 0
        for extent in self.ram:
            if extent.start <= phys and phys + size <= extent.start + extent.size:
                return base + phys - extent.start
            base += extent.size
        raise DecodeError(f"{size} bytes are outside of RAM", where="RAM", address=phys)


def _copy(source: int, target: int, begin: int, end: int) -> None:
    os.lseek(target, begin, os.SEEK_SET)
    while begin < end:
        sent = os.sendfile(target, source, begin, end - begin)
        if not sent:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        begin += sent


def _check_memory(size: int) -> None:
    available = available_memory()
    if available is not None and available < min(size, FILLED) // 2:
        raise HarnessError(
            f"not enough free memory for a guest of {size >> 20} MiB: {available >> 20} MiB are "
            "available; use fewer jobs (-j) or a smaller [guest] memory"
        )
