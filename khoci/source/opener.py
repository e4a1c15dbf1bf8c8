"""Open whatever file has a handover in it: its content says what it is."""

from __future__ import annotations

import shlex
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, NoReturn, Self

from khoci.errors import UsageError
from khoci.format import capture
from khoci.format.errors import DecodeError
from khoci.format.memory import PAGE_SHIFT
from khoci.source import elfcore, kcore, raw

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from khoci.format.capture import Capture
    from khoci.format.memory import Memory
    from khoci.format.ranges import Range
    from khoci.source.vmcoreinfo import VmcoreInfo

_ZIP = (b"PK\3\4", b"PK\5\6")
_KDUMP = (b"KDUMP   ", b"DISKDUMP")
_FLATTENED = b"makedumpfile"
_COMPRESSED = {
    b"\x1f\x8b\x08": "gzip",
    b"\xfd7zXZ\0": "xz",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"BZh": "bzip2",
    b"\x04\x22\x4d\x18": "lz4",
    b"\x89LZO\0": "lzop",
}
_HEAD = 16


@dataclass(frozen=True)
class Source:
    """An open file and what it says of itself; close it, or use it in a ``with`` block.

    Attributes:
        path: as it was named.
        kind: ``capture``, ``elf``, ``kcore`` (the running machine) or ``raw``.
        memory: good until the source is closed.
        page_shift: log2 of the page size in bytes; that of 4 KiB where the file does not say it.
        release: ``uname -r`` of the kernel, None if the file does not say it.
        fdt_addr: physical address of the root FDT, None if it has to be searched.
        scratch: the scratch array, None if the file does not have it.
        capture: the whole capture, if it is one.
        info: VMCOREINFO, if a dump has it.
    """

    path: Path
    kind: str
    file: BinaryIO
    memory: Memory
    page_shift: int = PAGE_SHIFT
    release: str | None = None
    fdt_addr: int | None = None
    scratch: bytes | None = None
    capture: Capture | None = None
    info: VmcoreInfo | None = None

    def close(self) -> None:
        """Close the file; may be called more than once."""
        self.file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def open_source(path: Path, *, layout: str | None = None) -> Source:
    """Open a capture, an ELF dump, ``/proc/kcore``, or raw RAM.

    Args:
        path: the file.
        layout: where the bytes of a raw file lie in memory, see `raw.parse_layout`.

    Raises:
        UsageError: it cannot be read, or has nothing in it that can be decoded.
    """
    ranges = raw.parse_layout(layout) if layout is not None else None
    file = _open(path)
    try:
        return _recognised(path, file, ranges)
    except DecodeError as error:
        file.close()
        raise UsageError(f"{path}: {error}") from None
    except OSError as error:
        file.close()
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from None
    except BaseException:
        file.close()
        raise


def _recognised(path: Path, file: BinaryIO, layout: Sequence[Range] | None) -> Source:
    head = file.read(_HEAD)
    _refuse(path, head)
    if layout is None and head.startswith(_ZIP):
        return _capture(path, file)
    if layout is None and head.startswith(elfcore.MAGIC):
        return _core(path, file)
    if head.startswith((elfcore.MAGIC, *_ZIP)):
        raise UsageError(f"{path}: is no raw RAM, it has its own layout: give none")
    return Source(path, "raw", file, raw.open_raw(file, layout))


def _open(path: Path) -> BinaryIO:
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            raise UsageError(f"{path}: is a folder, name a capture or a dump in it")
        if not stat.S_ISREG(mode):
            raise UsageError(f"{path}: is no regular file, copy what it gives to one first")
        return path.open("rb", buffering=0)
    except PermissionError:
        raise UsageError(
            f"{path}: may not be read by you, run as root or change its mode"
        ) from None
    except OSError as error:
        raise UsageError(f"{path}: cannot be opened: {error.strerror}") from None


def _refuse(path: Path, head: bytes) -> None:
    """Name what it is and what makes it readable, if it is one of the known unreadable ones."""
    name = shlex.quote(str(path))
    if not head:
        raise UsageError(f"{path}: is empty, take the dump again")
    if head.startswith(_FLATTENED):
        way = f"makedumpfile -R {name}.vmcore < {name}"
        raise UsageError(f"{path}: is a flattened dump, put it in order: {way}")
    if head.startswith(_KDUMP):
        _refuse_kdump(path)
    for magic, tool in _COMPRESSED.items():
        if head.startswith(magic):
            way = f"{tool} -dc {name} > {name}.raw"
            raise UsageError(f"{path}: is compressed by {tool}, unpack it: {way}")


def _refuse_kdump(path: Path) -> NoReturn:
    raise UsageError(
        f"{path}: is a kdump-compressed dump, and makedumpfile makes no ELF file of one; take it "
        "again with `makedumpfile -E -d 0 /proc/vmcore FILE`, or `dump-guest-memory FILE` (QEMU)"
    )


def _capture(path: Path, file: BinaryIO) -> Source:
    loaded = capture.load(file)
    return Source(
        path,
        "capture",
        file,
        loaded.pages,
        page_shift=loaded.page_shift,
        release=loaded.producer.release or None,
        fdt_addr=loaded.fdt_addr,
        scratch=loaded.scratch,
        capture=loaded,
    )


def _core(path: Path, file: BinaryIO) -> Source:
    core = elfcore.read_core(file)
    if core.live:
        kind, memory = "kcore", kcore.open_kcore(file, core, _iomem(path))
    else:
        kind, memory = "elf", elfcore.open_core(file, core)
    page_size = core.info.page_size if core.info else None
    return Source(
        path,
        kind,
        file,
        memory,
        page_shift=page_size.bit_length() - 1 if page_size else PAGE_SHIFT,
        release=core.info.release if core.info else None,
        info=core.info,
    )


def _iomem(path: Path) -> str | None:
    """What ``/proc/iomem`` says, if the file is of this very machine."""
    return Path(kcore.IOMEM).read_text("ascii") if path.resolve() == Path(kcore.KCORE) else None
