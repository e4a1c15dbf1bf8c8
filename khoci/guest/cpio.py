"""The ``newc`` cpio format of an initramfs (Documentation/driver-api/early-userspace). Pure."""

from __future__ import annotations

import stat
from collections.abc import Iterable
from dataclasses import dataclass

_MAGIC = b"070701"
_TRAILER = "TRAILER!!!"


@dataclass(frozen=True)
class Entry:
    """One file.

    Attributes:
        path: without a leading slash.
        mode: type and permissions, as ``st_mode``.
        content: of a regular file.
        device: major and minor number of a device node.
    """

    path: str
    mode: int
    content: bytes = b""
    device: tuple[int, int] = (0, 0)


def folder(path: str) -> Entry:
    """A folder."""
    return Entry(path, stat.S_IFDIR | 0o755)


def regular(path: str, content: bytes, *, executable: bool = False) -> Entry:
    """A file."""
    return Entry(path, stat.S_IFREG | (0o755 if executable else 0o644), content)


def character_device(path: str, major: int, minor: int) -> Entry:
    """A character device node."""
    return Entry(path, stat.S_IFCHR | 0o600, device=(major, minor))


def archive(entries: Iterable[Entry]) -> bytes:
    """The archive of ``entries``; equal entries give equal bytes."""
    listed = [*entries, Entry(_TRAILER, 0)]
    return b"".join(_member(number, entry) for number, entry in enumerate(listed, 1))


def _member(inode: int, entry: Entry) -> bytes:
    name = entry.path.encode() + b"\0"
    links = 2 if stat.S_ISDIR(entry.mode) else 1
    fields = (
        *(inode, entry.mode, 0, 0, links, 0, len(entry.content), 0, 0),
        *(*entry.device, len(name), 0),
    )
    head = _MAGIC + b"".join(b"%08x" % value for value in fields) + name
    return _padded(head) + _padded(entry.content)


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)
