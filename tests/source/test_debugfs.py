from __future__ import annotations

import os
import struct
from pathlib import Path

import pytest

from khoci.errors import UsageError
from khoci.format.ranges import Range
from khoci.source import debugfs
from khoci.source.debugfs import Side, read_setup_data, read_sides
from tests.format.encoders import setup_data

MIB = 1 << 20


def tree(root: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return root


def test_a_finalized_producer_of_6_17(tmp_path: Path) -> None:
    tree(
        tmp_path,
        {
            "out/fdt": b"\xd0\x0d\xfe\xed",
            "out/finalize": b"1\n",
            "out/scratch_phys": b"0x3d000000\n0x2d000000\n0x0\n",
            "out/scratch_len": b"0x1000000\n0x10000000\n0x0\n",
            "out/sub_fdts/memblock": b"m",
            "out/sub_fdts/kho_test": b"k",
        },
    )
    (side,) = read_sides(tmp_path)
    assert side == Side(
        name="out",
        fdt=b"\xd0\x0d\xfe\xed",
        blobs={"kho_test": b"k", "memblock": b"m"},
        scratch=(Range(0x3D00_0000, 16 * MIB), Range(0x2D00_0000, 256 * MIB), Range(0, 0)),
        finalized=True,
    )
    assert side.scratch_array == struct.pack(
        "<6Q", 0x3D00_0000, 16 * MIB, 0x2D00_0000, 256 * MIB, 0, 0
    )


def test_both_sides_of_7_3(tmp_path: Path) -> None:
    """After a handover there is no ``out/fdt``, and nothing has to be finalized."""
    tree(
        tmp_path,
        {
            "in/fdt": b"tree",
            "in/sub_fdts/LUO": b"luo-v5",
            "out/scratch_phys": b"",
            "out/scratch_len": b"",
            "out/sub_fdts/kexec-metadata": bytes(73),
        },
    )
    given, taken = read_sides(tmp_path)
    assert given == Side("in", b"tree", {"LUO": b"luo-v5"}, (), None)
    assert taken == Side("out", None, {"kexec-metadata": bytes(73)}, (), None)
    assert taken.scratch_array is None


def test_not_finalized_is_not_the_same_as_nothing_to_finalize(tmp_path: Path) -> None:
    (side,) = read_sides(tree(tmp_path, {"out/finalize": b"0\n"}))
    assert side.finalized is False


def test_a_kernel_without_kho(tmp_path: Path) -> None:
    assert read_sides(tmp_path / "kho") == ()
    assert read_sides(tmp_path) == ()


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"out/scratch_phys": b"0x1\n", "out/scratch_len": b""}, "1 scratch addresses, but 0"),
        ({"out/scratch_phys": b"-0x1\n"}, "64-bit"),
        ({"out/scratch_len": b"0x10000000000000000\n"}, "64-bit"),
        ({"out/scratch_phys": b"1g\n"}, "out/scratch_phys: b'1g.n' is not made of numbers"),
        ({"out/scratch_phys": b"\xff"}, "is not made of numbers"),
        ({"out/finalize": b"0 1\n"}, "out/finalize: 2 numbers where one is expected"),
    ],
)
def test_files_of_another_format(tmp_path: Path, files: dict[str, bytes], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        read_sides(tree(tmp_path, files))


def test_a_blob_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(debugfs, "MAX_FILE", 1 << 20)
    root = tree(tmp_path, {"in/fdt": b""})
    os.truncate(root / "in/fdt", (1 << 20) + 1)
    with pytest.raises(UsageError, match="in/fdt: has more than 1 MiB"):
        read_sides(root)


def test_a_file_where_a_folder_should_be(tmp_path: Path) -> None:
    root = tree(tmp_path, {"out/sub_fdts": b""})
    with pytest.raises(UsageError, match=r"sub_fdts: cannot be read \(Not a directory\)"):
        read_sides(root)


def node(root: Path, number: int, kind: int, body: bytes) -> None:
    tree(root / str(number), {"type": f"{kind:#x}\n".encode(), "data": body})


def test_the_hand_off_of_this_boot(tmp_path: Path) -> None:
    node(tmp_path, 0, 9, bytes(32))
    node(tmp_path, 1, 10, setup_data(0x1234_5000, 0x40_0000, 48)[16:])
    node(tmp_path, 2, 1, bytes(4096))
    found = read_setup_data(tmp_path)
    assert found is not None
    assert (found.fdt_addr, found.scratch_addr, found.scratch_size) == (0x1234_5000, 0x40_0000, 48)


def test_no_handover_and_no_x86(tmp_path: Path) -> None:
    assert read_setup_data(tmp_path / "none") is None
    node(tmp_path, 0, 9, bytes(32))
    assert read_setup_data(tmp_path) is None


@pytest.mark.parametrize("size", [0, 31, 33])
def test_a_hand_off_of_another_size(tmp_path: Path, size: int) -> None:
    node(tmp_path, 7, 10, bytes(size))
    with pytest.raises(UsageError, match="/7: setup_data: "):
        read_setup_data(tmp_path)
