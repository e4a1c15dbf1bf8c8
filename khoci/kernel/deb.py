"""Reading Debian packages: an ``ar`` archive (deb(5)) that holds ``data.tar.*``."""

from __future__ import annotations

import io
import lzma
import tarfile
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING

from khoci.errors import HarnessError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from typing_extensions import Buffer

_MAGIC = b"!<arch>\n"
_HEADER = 60


class _Window(io.RawIOBase):
    """The next ``size`` bytes of a file, as a file of its own."""

    def __init__(self, file: IO[bytes], size: int) -> None:
        self._file = file
        self._left = size

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Buffer) -> int:
        view = memoryview(buffer)
        data = self._file.read(min(len(view), self._left))
        view[: len(data)] = data
        self._left -= len(data)
        return len(data)


@contextmanager
def package_files(deb: Path) -> Iterator[Iterator[tuple[tarfile.TarInfo, IO[bytes]]]]:
    """Open a package and yield its regular files in order, each with a stream of its content.

    A stream is good until the next file is asked for.

    Raises:
        HarnessError: it is no Debian package, or compressed in a way that is not supported.
    """
    try:
        with deb.open("rb") as file, _data(file, deb) as data, _tar(data) as tar:
            yield _regular(tar)
    except (tarfile.TarError, lzma.LZMAError, EOFError) as error:
        raise HarnessError(f"{deb}: is damaged: {error}; delete it and run again") from error


def _regular(tar: tarfile.TarFile) -> Iterator[tuple[tarfile.TarInfo, IO[bytes]]]:
    for member in tar:
        content = tar.extractfile(member) if member.isfile() else None
        if content is not None:
            yield member, content


def _tar(data: IO[bytes]) -> tarfile.TarFile:
    return tarfile.open(fileobj=data, mode="r|")


def _data(file: IO[bytes], deb: Path) -> lzma.LZMAFile:
    """The decompressed ``data.tar`` member."""
    if file.read(len(_MAGIC)) != _MAGIC:
        raise HarnessError(f"{deb}: is not a Debian package")
    while len(header := file.read(_HEADER)) == _HEADER:
        name = header[:16].decode("ascii", "replace").strip().rstrip("/")
        size = int(header[48:58])
        if name == "data.tar.xz":
            return lzma.LZMAFile(io.BufferedReader(_Window(file, size), 1 << 20))
        if name.startswith("data.tar"):
            raise HarnessError(f"{deb}: {name} is not supported, only xz")
        file.seek(size + size % 2, 1)
    raise HarnessError(f"{deb}: has no data.tar.xz")
