from __future__ import annotations

import struct

import pytest

from khoci.format.announced import Features, features, versions
from khoci.format.errors import DecodeError

HEADER = struct.pack("<II", 0x4C565550, 1)


def entry(name: bytes, *bits: int) -> bytes:
    return struct.pack("<48sIIQQQ", name, 8, 0, *bits)


def test_versions() -> None:
    data = HEADER + struct.pack("<48s48s", b"memfd-v2", b"vfio-pci-v1")
    assert versions(data) == ("memfd-v2", "vfio-pci-v1")
    assert versions(HEADER) == ()


def test_features() -> None:
    data = HEADER + entry(b"luo", 7, 1, 3) + entry(b"memfd", 1, 0, 0)
    assert features(data) == {"luo": Features(7, 1, 3), "memfd": Features(1, 0, 0)}


@pytest.mark.parametrize(
    "data", [b"", HEADER[:7], struct.pack("<II", 1, 1), struct.pack("<II", 0x4C565550, 2)]
)
def test_other_headers(data: bytes) -> None:
    with pytest.raises(DecodeError, match=r"\.liveupdate_versions"):
        versions(data)


def test_entries_that_are_cut_off() -> None:
    with pytest.raises(DecodeError, match="entries that take 48 each"):
        versions(HEADER + b"memfd-v2")
    with pytest.raises(DecodeError, match="entries that take 80 each"):
        features(HEADER + entry(b"luo", 1, 1, 1)[:-1])


def test_what_is_missing() -> None:
    writer, reader = Features(7, 1, 3), Features(3, 1, 3)
    assert writer.missing(reader) == ""
    assert "0x1 are in use" in writer.missing(Features(2, 0, 0))
    assert "0x4, which are not in use" in writer.missing(Features(7, 4, 0))
