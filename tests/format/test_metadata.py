from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from khoci.format import metadata
from khoci.format.errors import DecodeError, Place
from khoci.format.metadata import KexecMetadata
from tests.format import encoders

PLACE = Place("root/kexec-metadata")
RELEASES = st.text("0123456789.-rc", max_size=64)


@given(RELEASES, st.integers(0, 2**32 - 1))
def test_round_trip(release: str, count: int) -> None:
    raw = encoders.kexec_metadata(release, count)
    assert len(raw) == metadata.SIZE
    assert metadata.parse(raw, PLACE) == KexecMetadata(1, release, count)


def test_the_count_is_not_aligned() -> None:
    raw = bytearray(encoders.kexec_metadata("7.1.13", 0))
    raw[69] = 1
    assert metadata.parse(bytes(raw), PLACE) == KexecMetadata(1, "7.1.13", 1)


def test_an_unknown_version_is_a_value_however_short() -> None:
    assert metadata.parse(b"\2\0\0\0", PLACE) == KexecMetadata(2, None, None)


@pytest.mark.parametrize("size", [0, 3, 4, 72])
def test_too_short(size: int) -> None:
    with pytest.raises(DecodeError):
        metadata.parse(encoders.kexec_metadata("7.3", 1)[:size], PLACE)


def test_a_release_without_end_or_text() -> None:
    raw = encoders.u32(1) + b"\xff" * 65 + encoders.u32(3)
    assert metadata.parse(raw, PLACE) == KexecMetadata(1, "\\xff" * 65, 3)
