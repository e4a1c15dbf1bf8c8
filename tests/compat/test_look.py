"""Preserved memory seen from outside."""

from __future__ import annotations

import struct

import pytest

from khoci.compat.facts import RegionFact
from khoci.compat.look import contents, is_reused
from khoci.format.memory import Pages
from khoci.format.ranges import Range


@pytest.mark.parametrize(
    ("before", "now", "reused"),
    [
        (b"\1\2\3\4\0\0\0\0", b"\1\2\3\4\0\0\0\0", False),
        (b"\1\2\3\4\0\0\0\0", b"\1\2\3\4\0\0\0\1", False),
        (b"\1\2\3\4\0\0\0\0", b"\1\0\0\0\0\0\0\0", False),
        (b"\1\2\3\4\5\0\0\0", b"\1\0\0\0\0\0\0\0", True),
        (b"\1\2\3\4\0\0\0\0", bytes(8), True),
        (b"\1\2\3\4\0\0\0\0", b"\7" * 8, True),
        (bytes(8), b"\7" * 8, False),
        (b"\1\2\3\4" + bytes(64), b"\1\2\3\4" + b"\7" * 63 + b"\0", False),
        (b"\1\2\3\4" + bytes(64), b"\1\2\3\4" + b"\7" * 64, True),
        (b"", b"", False),
    ],
)
def test_reused_is_what_has_another_content(before: bytes, now: bytes, reused: bool) -> None:
    assert is_reused(before, now) is reused


def test_metadata_may_be_followed_by_that_of_the_next_kernel() -> None:
    first, second, third = (
        struct.pack("<I65sI", 1, release, count).ljust(4096, b"\0")
        for release, count in ((b"7.3.4", 1), (b"7.3.4", 2), (b"7.3.4", 3))
    )
    assert is_reused(first, second)
    assert not is_reused(first, third)
    assert not is_reused(first, first)


def test_content_is_kept_of_what_a_reader_may_give_back() -> None:
    memory = Pages((Range(0, 1 << 24),), {0x1000: b"x" * 4096})
    owners = ("root", "session", "luo", "kexec-metadata", "kho_test blob", "kho_test", "memfd")
    regions = [RegionFact(owner, n << 12, 4096, "") for n, owner in enumerate(owners)]
    found = contents(memory, [*regions, RegionFact("session", 1 << 20, 2 << 20, "")])
    assert sorted(found) == [0x1000, 0x2000, 0x3000, 0x4000]
    assert found[0x1000] == b"x" * 4096
