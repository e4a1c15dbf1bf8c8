from __future__ import annotations

import bz2
import gzip
import lzma
import shutil
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from khoci.errors import UsageError
from khoci.source.kernelimage import is_image, read_image

KERNEL = (
    b"\x7fELF" + bytes(200) + b"Linux version 9.9.9-x (khoci@khoci) (gcc)\0kho-v4\0" + bytes(500)
)


def by(*command: str) -> Callable[[bytes], bytes]:
    def pack(data: bytes) -> bytes:
        done = subprocess.run(command, input=data, stdout=subprocess.PIPE, check=True)
        return done.stdout

    return pack


def bzimage(path: Path, payload: bytes, sectors: int = 3) -> Path:
    """An image as arch/x86/boot makes it, with the size behind the payload."""
    head = bytearray((sectors + 1) * 512)
    head[0x1F1] = sectors
    head[0x202:0x206] = b"HdrS"
    packed = payload + struct.pack("<I", len(KERNEL))
    struct.pack_into("<II", head, 0x248, 16, len(packed))
    path.write_bytes(bytes(head) + bytes(16) + packed + b"\xff" * 64)
    return path


PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "xz": lzma.compress,
    "lzma": lambda data: lzma.compress(data, format=lzma.FORMAT_ALONE),
    "bzip2": bz2.compress,
    "lz4": by("lz4", "-l", "-c"),
    "zstd": by("zstd", "-c"),
}


@pytest.mark.parametrize("how", PACKERS)
def test_a_bzimage(how: str, tmp_path: Path) -> None:
    path = bzimage(tmp_path / "bzImage", PACKERS[how](KERNEL))
    assert is_image(path)
    image = read_image(path)
    assert image.data == KERNEL
    assert image.release == "9.9.9-x"


def test_a_vmlinux_with_sections(tmp_path: Path) -> None:
    source = tmp_path / "x.c"
    source.write_text(
        '__attribute__((section(".liveupdate_versions"))) char x[56] = "PUVL\\1\\0\\0\\0memfd-v2";'
    )
    path = tmp_path / "vmlinux"
    subprocess.run(["gcc", "-c", source, "-o", path], check=True)
    image = read_image(path)
    assert is_image(path)
    assert image.release == ""
    section = image.section(".liveupdate_versions")
    assert section is not None
    assert section.startswith(b"PUVL\1\0\0\0memfd-v2\0")
    assert image.section(".BTF") is None


def test_no_sections_in_what_is_no_elf(tmp_path: Path) -> None:
    assert read_image(bzimage(tmp_path / "b", gzip.compress(KERNEL))).section(".BTF") is None


def test_a_payload_that_is_damaged(tmp_path: Path) -> None:
    packed = lzma.compress(KERNEL)
    damaged = packed[:30] + bytes(20) + packed[50:]
    with pytest.raises(UsageError, match="its kernel cannot be unpacked"):
        read_image(bzimage(tmp_path / "b", damaged))
    with pytest.raises(UsageError, match="its kernel cannot be unpacked"):
        read_image(bzimage(tmp_path / "b", b"\x02!L\x18" + b"\xff" * 40))


def test_packed_in_an_unknown_way(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="packed in a way that khoci does not know"):
        read_image(bzimage(tmp_path / "b", b"\x89LZO\0"))


def test_other_files(tmp_path: Path) -> None:
    path = Path(shutil.which("sh") or "")
    assert is_image(path)
    (tmp_path / "text").write_text("short")
    assert not is_image(tmp_path / "text")
    with pytest.raises(UsageError, match="neither a bzImage nor a vmlinux"):
        read_image(tmp_path / "text")
