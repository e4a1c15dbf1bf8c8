"""What a running machine shows of its handovers: debugfs, and the ``setup_data`` of its boot.

``/sys/kernel/debug/kho/in`` is what this kernel was given, ``out`` what it will hand over: written
by ``kernel/kexec_handover.c`` up to 6.18, then ``kernel/liveupdate/kexec_handover_debugfs.c``
(``CONFIG_KEXEC_HANDOVER_DEBUGFS``). Which files are there depends on the release:

- ``finalize`` (out, up to 7.0): ``0`` or ``1``.
- ``fdt``: up to 6.18 ``out/fdt`` is there while finalized, and complete. From 6.19 on it is there
  only if this boot was no handover, and is cut off: the file keeps the size that the tree had when
  the file was made (the size in its header is the true one).
- ``sub_fdts/*``: a file for each component.
- ``scratch_phys`` and ``scratch_len`` (out): a hex number a line, in bytes.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from khoci.errors import UsageError
from khoci.format import handoff, scratch
from khoci.format.errors import DecodeError, Place
from khoci.format.ranges import Range

if TYPE_CHECKING:
    from collections.abc import Mapping

    from khoci.format.handoff import SetupData

KHO = Path("/sys/kernel/debug/kho")
SETUP_DATA = Path("/sys/kernel/boot_params/setup_data")
MAX_FILE = 64 << 20


@dataclass(frozen=True, slots=True)
class Side:
    """One side, ``in`` or ``out``; what has no file is None or empty.

    Attributes:
        name: ``in`` or ``out``.
        fdt: the root FDT, maybe cut off.
        blobs: content of each ``sub_fdts/*``, by name.
        scratch: the scratch areas in the kernel's order.
        finalized: whether the memory map is written; None where nothing has to be finalized.
    """

    name: str
    fdt: bytes | None
    blobs: Mapping[str, bytes]
    scratch: tuple[Range, ...]
    finalized: bool | None

    @property
    def scratch_array(self) -> bytes | None:
        """The areas as the kernel has them in memory, for `khoci.format.handover.decode`."""
        return scratch.pack((item.start, item.size) for item in self.scratch) or None


def read_sides(root: Path = KHO) -> tuple[Side, ...]:
    """The sides that are there; none if the kernel has no KHO, or ``kho=off``.

    Raises:
        UsageError: the folder cannot be read, or a file has another format.
    """
    names = {path.name for path in _entries(root)}
    return tuple(_side(root / name) for name in ("in", "out") if name in names)


def read_setup_data(root: Path = SETUP_DATA) -> SetupData | None:
    """The hand-off of this boot (x86 only), None if it was no handover.

    ``next`` is 0: the kernel does not show it.

    Raises:
        UsageError: the folder cannot be read, or the hand-off has another size.
    """
    for node in sorted(_entries(root)):
        kind = _number(node / "type", 16)
        if kind == handoff.SETUP_KEXEC_KHO:
            body = _content(node / "data") or b""
            header = struct.pack("<QII", 0, kind, len(body))
            try:
                return handoff.parse(header + body, Place("setup_data"))
            except DecodeError as error:
                raise UsageError(f"{node}: {error}") from None
    return None


def _side(folder: Path) -> Side:
    found = {path.name: _content(path) for path in sorted(_entries(folder / "sub_fdts"))}
    finalized = _number(folder / "finalize", 10)
    return Side(
        name=folder.name,
        fdt=_content(folder / "fdt"),
        blobs={name: blob for name, blob in found.items() if blob is not None},
        scratch=_scratch(folder),
        finalized=None if finalized is None else bool(finalized),
    )


def _scratch(folder: Path) -> tuple[Range, ...]:
    starts = _numbers(folder / "scratch_phys", 16)
    sizes = _numbers(folder / "scratch_len", 16)
    if len(starts) != len(sizes):
        raise UsageError(f"{folder}: {len(starts)} scratch addresses, but {len(sizes)} sizes")
    return tuple(map(Range, starts, sizes))


def _number(path: Path, base: int) -> int | None:
    numbers = _numbers(path, base)
    if len(numbers) > 1:
        raise UsageError(f"{path}: {len(numbers)} numbers where one is expected")
    return numbers[0] if numbers else None


def _numbers(path: Path, base: int) -> list[int]:
    content = _content(path) or b""
    try:
        numbers = [int(word, base) for word in content.decode("ascii").split()]
    except ValueError:
        raise UsageError(f"{path}: {content[:40]!r} is not made of numbers") from None
    if not all(0 <= number < 1 << 64 for number in numbers):
        raise UsageError(f"{path}: {content[:40]!r} is not made of 64-bit numbers")
    return numbers


def _content(path: Path) -> bytes | None:
    """The file's content, None if there is no such file."""
    try:
        with path.open("rb") as file:
            content = file.read(MAX_FILE + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror}): run as root") from None
    if len(content) > MAX_FILE:
        raise UsageError(f"{path}: has more than {MAX_FILE >> 20} MiB")
    return content


def _entries(folder: Path) -> list[Path]:
    """What is in the folder, nothing if it is not there."""
    try:
        return list(folder.iterdir())
    except FileNotFoundError:
        return []
    except OSError as error:
        raise UsageError(f"{folder}: cannot be read ({error.strerror}): run as root") from None
