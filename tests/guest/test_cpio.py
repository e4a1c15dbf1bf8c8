from __future__ import annotations

import stat
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from hypothesis import given
from hypothesis import strategies as st

from khoci.guest.cpio import archive, character_device, folder, regular

if TYPE_CHECKING:
    from collections.abc import Iterator

ENTRIES = (
    folder("dev"),
    character_device("dev/console", 5, 1),
    regular("init", b"\x7fELF" * 5 + b"!", executable=True),
    regular("empty", b""),
)


class Member(NamedTuple):
    path: str
    mode: int
    content: bytes
    device: tuple[int, int]
    inode: int
    links: int


def members(data: bytes) -> Iterator[Member]:
    """An independent reader, after Documentation/driver-api/early-userspace/buffer-format.rst."""
    at = 0
    while True:
        assert data[at : at + 6] == b"070701"
        numbers = [int(data[at + 6 + 8 * i : at + 14 + 8 * i], 16) for i in range(13)]
        inode, mode, _uid, _gid, links, _mtime, size, _, _, major, minor, name_size, _ = numbers
        name = data[at + 110 : at + 110 + name_size]
        assert name.endswith(b"\0")
        start = at + 110 + name_size
        start += -start % 4
        if name == b"TRAILER!!!\0":
            assert not data[start:].strip(b"\0")
            return
        content = data[start : start + size]
        assert len(content) == size
        yield Member(name[:-1].decode(), mode, content, (major, minor), inode, links)
        at = start + size
        at += -at % 4


def test_every_kind_is_read_back() -> None:
    read = {member.path: member for member in members(archive(ENTRIES))}
    assert list(read) == ["dev", "dev/console", "init", "empty"]
    assert read["dev"].mode == stat.S_IFDIR | 0o755
    assert read["dev/console"].mode == stat.S_IFCHR | 0o600
    assert read["dev/console"].device == (5, 1)
    assert read["init"].mode == stat.S_IFREG | 0o755
    assert read["init"].content == b"\x7fELF" * 5 + b"!"
    assert read["empty"].content == b""


def test_inodes_differ_so_that_nothing_becomes_a_hard_link() -> None:
    read = list(members(archive(ENTRIES)))
    assert len({member.inode for member in read}) == len(read)


@given(st.dictionaries(st.text("abc/.", min_size=1, max_size=9), st.binary(max_size=9), max_size=4))
def test_all_alignments(files: dict[str, bytes]) -> None:
    read = members(archive(regular(path, content) for path, content in files.items()))
    assert {member.path: member.content for member in read} == files


def test_equal_entries_give_equal_bytes() -> None:
    assert archive(ENTRIES) == archive([replace(entry) for entry in ENTRIES])
