"""The kernel inside of an image: a bzImage is unpacked, a vmlinux is one already.

Documentation/arch/x86/boot.rst: ``HdrS`` at 0x202, the number of 512-byte sectors before the
protected-mode code at 0x1f1, offset and length of the packed payload from there at 0x248 and 0x24c.
"""

from __future__ import annotations

import bz2
import lzma
import re
import struct
import subprocess
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile

from khoci.errors import UsageError
from khoci.proc import require_tool

_ELF = b"\x7fELF"
_BANNER = re.compile(rb"Linux version (\S{1,100}) \(")
_MOST_BYTES = 1 << 30
_SECONDS = 60


@dataclass(frozen=True, slots=True)
class KernelImage:
    """The kernel in an image.

    Attributes:
        path: of the image.
        data: the ELF file, or where it is none, all that was packed.
        release: what ``uname -r`` says in it, empty if it does not tell.
    """

    path: Path
    data: bytes
    release: str

    def section(self, name: str) -> bytes | None:
        """The content of an ELF section, None if there is none."""
        try:
            found = ELFFile(BytesIO(self.data)).get_section_by_name(name)
        except ELFError:
            return None
        return found.data() if found is not None else None


def is_image(path: Path) -> bool:
    """Whether a file looks like a kernel's image."""
    with path.open("rb") as file:
        head = file.read(0x210)
    return head.startswith(_ELF) or head[0x202:0x206] == b"HdrS"


def read_image(path: Path) -> KernelImage:
    """The kernel in a bzImage or a vmlinux.

    Raises:
        UsageError: it is neither, or damaged.
        HarnessError: a program that unpacks it is not installed.
    """
    content = path.read_bytes()
    data = content if content.startswith(_ELF) else _unpacked(path, content)
    banner = _BANNER.search(data)
    return KernelImage(path, data, banner[1].decode("ascii", "replace") if banner else "")


def _unpacked(path: Path, content: bytes) -> bytes:
    if content[0x202:0x206] != b"HdrS":
        raise UsageError(f"{path}: is neither a bzImage nor a vmlinux")
    sectors = content[0x1F1] or 4
    offset, length = struct.unpack_from("<II", content, 0x248)
    start = (sectors + 1) * 512 + offset
    packed = content[start : start + length]
    for magic, unpack in _PACKERS.items():
        if packed.startswith(magic):
            try:
                return unpack(packed)
            except (OSError, EOFError, ValueError, zlib.error, lzma.LZMAError) as error:
                raise UsageError(f"{path}: its kernel cannot be unpacked: {error}") from None
    raise UsageError(f"{path}: its kernel is packed in a way that khoci does not know")


def _gzip(packed: bytes) -> bytes:
    return zlib.decompressobj(31).decompress(packed, _MOST_BYTES)


def _xz(packed: bytes) -> bytes:
    return lzma.LZMADecompressor().decompress(packed, _MOST_BYTES)


def _bzip2(packed: bytes) -> bytes:
    return bz2.BZ2Decompressor().decompress(packed, _MOST_BYTES)


def _by(program: str) -> Callable[[bytes], bytes]:
    """Unpack with a program; some complain about what kbuild adds behind the packed data."""

    def unpack(packed: bytes) -> bytes:
        command = [require_tool(program), "-dc"]
        done = subprocess.run(
            command, input=packed, capture_output=True, timeout=_SECONDS, check=False
        )
        if not done.stdout:
            said = done.stderr.decode("utf-8", "replace").partition("\n")[0]
            raise ValueError(said or f"{program} says nothing")
        return done.stdout

    return unpack


_PACKERS: Mapping[bytes, Callable[[bytes], bytes]] = {
    b"\x1f\x8b": _gzip,
    b"\xfd7zXZ\0": _xz,
    b"\x5d\0\0": _xz,
    b"BZh": _bzip2,
    b"\x02!L\x18": _by("lz4"),
    b"\x28\xb5\x2f\xfd": _by("zstd"),
}
