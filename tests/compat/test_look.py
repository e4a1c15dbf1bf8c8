"""Preserved memory seen from outside."""

from __future__ import annotations

import pytest

from khoci.compat.facts import RegionFact
from khoci.compat.look import contents, is_erased
from khoci.format.memory import Pages
from khoci.format.ranges import Range


@pytest.mark.parametrize(
    ("before", "now", "erased"),
    [
        (b"\1\2\3\4\0\0\0\0", b"\1\2\3\4\0\0\0\0", False),
        (b"\1\2\3\4\0\0\0\0", b"\1\2\3\4\0\0\0\1", False),
        (b"\1\2\3\4\0\0\0\0", b"\1\0\0\0\0\0\0\0", False),
        (b"\1\2\3\4\5\0\0\0", b"\1\0\0\0\0\0\0\0", True),
        (b"\1\2\3\4\0\0\0\0", bytes(8), True),
        (b"\1\2\3\4\0\0\0\0", b"\7" * 8, True),
        (bytes(8), b"\7" * 8, False),
        (b"", b"", False),
    ],
)
def test_erased_is_what_hardly_a_byte_is_left_of(before: bytes, now: bytes, erased: bool) -> None:
    assert is_erased(before, now) is erased


def test_content_is_kept_of_what_a_reader_may_give_back() -> None:
    memory = Pages((Range(0, 1 << 24),), {0x1000: b"x" * 4096})
    owners = ("root", "session", "luo", "kexec-metadata", "kho_test blob", "kho_test", "memfd")
    regions = [RegionFact(owner, n << 12, 4096, "") for n, owner in enumerate(owners)]
    found = contents(memory, [*regions, RegionFact("session", 1 << 20, 2 << 20, "")])
    assert sorted(found) == [0x1000, 0x2000, 0x3000, 0x4000]
    assert found[0x1000] == b"x" * 4096
