from __future__ import annotations

import gzip
import lzma
import os
from pathlib import Path

import pytest

from khoci.errors import UsageError
from khoci.format import capture
from khoci.format.capture import Capture, Kernel
from khoci.format.memory import Pages
from khoci.format.ranges import Range
from khoci.source.opener import open_source
from tests.source.dumps import elf, header, vmcoreinfo

PAGES = Pages((Range(0, 1 << 20),), {0x1000: b"a" * 4096})


def file(tmp_path: Path, content: bytes) -> Path:
    path = tmp_path / "my dump"
    path.write_bytes(content)
    return path


def test_raw(tmp_path: Path) -> None:
    with open_source(file(tmp_path, bytes(4096) + b"a" * 4096)) as source:
        assert (source.kind, source.page_shift, source.release) == ("raw", 12, None)
        assert source.memory.read(4095, 2) == b"\0a"
        assert (source.fdt_addr, source.scratch, source.capture, source.info) == (None,) * 4
    with open_source(source.path, layout="4G-0x100002000") as source:
        assert source.memory.read((1 << 32) + 4095, 2) == b"\0a"


def test_elf(tmp_path: Path) -> None:
    info = vmcoreinfo("OSRELEASE=6.18.15-arm\nPAGESIZE=65536\n")
    with open_source(file(tmp_path, elf(PAGES, info))) as source:
        assert (source.kind, source.page_shift, source.release) == ("elf", 16, "6.18.15-arm")
        assert source.info is not None
        assert source.memory.read(0xFFF, 2) == b"\0a"
    with open_source(file(tmp_path, elf(PAGES))) as source:
        assert (source.page_shift, source.release, source.info) == (12, None, None)


def test_capture(tmp_path: Path) -> None:
    path = tmp_path / "a.khocap"
    pages = Pages((Range(0, 1 << 30),), {0x4000: b"c" * 0x4000}, 0x4000)
    capture.save(path, Capture(pages, 0x4000, b"s" * 16, Kernel("a", "7.1.13", "k")))
    with open_source(path) as source:
        assert (source.kind, source.page_shift, source.release) == ("capture", 14, "7.1.13")
        assert (source.fdt_addr, source.scratch) == (0x4000, b"s" * 16)
        assert source.capture is not None
        assert source.memory.read(0x4000, 1) == b"c"


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_nothing_stays_open(tmp_path: Path) -> None:
    before = descriptors()
    good, bad = file(tmp_path, bytes(4096)), tmp_path / "bad"
    with open_source(good) as source:
        assert descriptors() == before + 1
    source.close()
    bad.write_bytes(header(1))
    with pytest.raises(UsageError):
        open_source(bad)
    assert descriptors() == before


SHORT = elf(PAGES)
KDUMP = "makedumpfile makes no ELF file of one; take it again with `makedumpfile -E -d 0"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty, take the dump again"),
        (b"#!/bin/sh\n", "RAM: 10 bytes are no whole pages: it is cut off, or no memory dump"),
        (SHORT[:-1], "ELF at 0x1000: the file is cut off"),
        (SHORT[:100], "ELF: its headers are cut off"),
        (header(1, kind=2), "ELF: it is no 64-bit little-endian core file"),
        (b"PK\3\4" + bytes(96), "capture: it is no whole capture"),
        (b"KDUMP   " + bytes(4088), KDUMP),
        (b"DISKDUMP" + bytes(4088), KDUMP),
        (
            b"makedumpfile\0\0\0\0" + bytes(4080),
            "flattened dump, put it in order: makedumpfile -R '.*my dump'.vmcore < '.*my dump'",
        ),
        (gzip.compress(bytes(9)), "by gzip, unpack it: gzip -dc '.*/my dump' > '.*/my dump'.raw"),
        (lzma.compress(bytes(9)), "is compressed by xz, unpack it: xz -dc"),
        (b"\x28\xb5\x2f\xfd" + bytes(4092), "is compressed by zstd"),
    ],
)
def test_files_that_cannot_be_decoded(tmp_path: Path, content: bytes, message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        open_source(file(tmp_path, content))
    assert str(caught.value).startswith(f"{tmp_path}/my dump: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [elf(PAGES), b"PK\3\4" + bytes(96)])
def test_a_layout_is_for_raw_files(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(UsageError, match="is no raw RAM, it has its own layout: give none"):
        open_source(file(tmp_path, content), layout="0-4K")


def test_layouts_that_do_not_fit(tmp_path: Path) -> None:
    path = file(tmp_path, bytes(4096))
    with pytest.raises(UsageError, match="my dump: RAM: the layout describes 8192 bytes, the file"):
        open_source(path, layout="0-8K")
    with pytest.raises(UsageError, match=r"^layout: 'x' is no START-END"):
        open_source(path, layout="x")


def test_things_that_are_no_files(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="none: cannot be opened: No such file or directory"):
        open_source(tmp_path / "none")
    with pytest.raises(UsageError, match="is a folder, name a capture or a dump in it"):
        open_source(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UsageError, match="pipe: is no regular file"):
        open_source(tmp_path / "pipe")
    with pytest.raises(UsageError, match="/dev/null: is no regular file"):
        open_source(Path("/dev/null"))
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(UsageError, match="loop: cannot be opened"):
        open_source(tmp_path / "loop")


def test_a_file_of_somebody_else(tmp_path: Path) -> None:
    path = file(tmp_path, bytes(4096))
    path.chmod(0)
    tmp_path.chmod(0o755)
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    try:
        with pytest.raises(UsageError, match="may not be read by you, run as root or change"):
            open_source(path)
    finally:
        os.seteuid(user)
