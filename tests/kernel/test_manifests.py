from __future__ import annotations

import gzip
import struct
import subprocess
from pathlib import Path

import pytest

from khoci.abi.formats import Format, Manifest, Reading, all_understood, read_by
from khoci.config.kernels import known_kernels
from khoci.errors import UsageError
from khoci.kernel.manifests import manifest, release_abi, running
from khoci.progress import NoProgress
from tests.source.test_kernelimage import bzimage

STRINGS = {
    "6.17.13": ("kho-v1", "memblock-v1", "kho-test-v1"),
    "6.18.15": ("kho-v1", "memblock-v1", "kho-test-v1"),
    "7.3.4": ("kho-v4", "luo-v5", "memfd-v2", "memblock-v1", "kho-test-v1"),
}


def image(folder: Path, release: str, *strings: str) -> str:
    banner = f"Linux version {release} (khoci)\0".encode()
    texts = b"\0".join(text.encode() for text in strings) + b"\0"
    packed = gzip.compress(b"\x7fELF" + bytes(60) + banner + texts + bytes(80))
    return str(bzimage(folder / f"bzImage-{release}-{len(strings)}", packed))


def of(name: str) -> Manifest:
    return manifest(name, known_kernels, NoProgress())


def test_a_kernel_whose_abi_is_kept() -> None:
    found = of("7.3")
    assert found.name == "v7.3.4"
    assert found.formats["luo"] == Format("luo-v5", ("luo-v5",))


def test_an_image_of_a_release_has_its_layouts(tmp_path: Path) -> None:
    old, new = (of(image(tmp_path, name, *STRINGS[name])) for name in ("6.17.13", "6.18.15"))
    assert old.abi is not None
    assert old.abi.name == "v6.17.13"
    assert {read.reading for read in read_by(old, new)} == {Reading.UNDERSTOOD, Reading.MISREAD}


def test_an_image_of_the_same_series(tmp_path: Path) -> None:
    found = of(image(tmp_path, "7.3.9-custom", *STRINGS["7.3.4"]))
    assert "layouts are those of v7.3.4" in found.notes[0]
    assert all_understood(read_by(found, of("7.3")))


def test_an_image_with_other_versions_than_its_release(tmp_path: Path) -> None:
    found = of(image(tmp_path, "7.3.4", "kho-v9", "luo-v5"))
    assert found.abi is None
    assert "has other versions than v7.3.4 (root)" in found.notes[0]
    reads = read_by(found, of("7.3"))
    assert {read.reading for read in reads} == {Reading.REFUSED}


def test_an_image_of_a_release_that_nothing_is_kept_of(tmp_path: Path) -> None:
    found = of(image(tmp_path, "9.1.0", "kho-v4;radix-v1"))
    assert found.abi is None
    assert found.formats["root"].writes == "kho-v4;radix-v1"
    assert "no ABI is kept of that" in found.notes[0]


def test_an_image_without_a_handover(tmp_path: Path) -> None:
    found = of(image(tmp_path, "6.1.0"))
    assert not found.formats
    assert "it has no KHO" in found.notes[0]


def test_an_image_that_announces_what_it_reads(tmp_path: Path) -> None:
    source = tmp_path / "x.c"
    header = '"PUVL\\1\\0\\0\\0"'
    source.write_text(
        f'__attribute__((section(".liveupdate_versions"))) char a[56] = {header}"vfio-pci-v3";\n'
        'const char root[] = "kho-v4"; const char other[] = "see kho-v1 there";\n'
    )
    subprocess.run(["gcc", "-c", source, "-o", tmp_path / "vmlinux"], check=True)
    found = of(str(tmp_path / "vmlinux"))
    assert {name: each.writes for name, each in found.formats.items()} == {
        "root": "kho-v4",
        "vfio-pci": "vfio-pci-v3",
    }
    source.write_text('__attribute__((section(".liveupdate_versions"))) char a[5] = "PUVL";')
    subprocess.run(["gcc", "-c", source, "-o", tmp_path / "vmlinux"], check=True)
    with pytest.raises(UsageError, match=r"vmlinux: \.liveupdate_versions: has 5 bytes"):
        of(str(tmp_path / "vmlinux"))


@pytest.mark.parametrize(
    ("name", "says"),
    [("no/such", "no such folder or file"), ("9.9", "unknown kernel '9.9'")],
)
def test_other_names(name: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        of(name)


def test_a_file_that_is_no_image(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("text")
    with pytest.raises(UsageError, match="neither a bzImage nor a vmlinux"):
        of(str(tmp_path / "a"))


def test_releases() -> None:
    exact, series = release_abi("6.18.15"), release_abi("7.3.9+deb14-amd64")
    assert exact is not None
    assert series is not None
    assert (exact.name, series.name) == ("v6.18.15", "v7.3.4")
    assert release_abi("6.1.0") is None
    assert release_abi("") is None


def machine(folder: Path, release: str, blobs: dict[str, bytes], fdt: bytes = b"") -> Path:
    out = folder / "sys/kernel/debug/kho/out"
    (out / "sub_fdts").mkdir(parents=True)
    for name, blob in blobs.items():
        (out / "sub_fdts" / name).write_bytes(blob)
    if fdt:
        (out / "fdt").write_bytes(fdt)
    (folder / "proc").mkdir()
    (folder / "proc/version").write_text(f"Linux version {release} (khoci) #1\n")
    return folder


def test_the_running_machine(tmp_path: Path) -> None:
    metadata = struct.pack("<I65sI", 1, b"7.3.4", 1)
    blobs = {"LUO": b"luo-v5\0\0" + bytes(24), "kexec-metadata": metadata}
    found = running(machine(tmp_path, "7.3.4", blobs))
    assert found.formats["luo"].writes == "luo-v5"
    assert found.formats["root"].writes == "kho-v4"
    assert found.abi is not None
    assert all_understood(read_by(found, of("7.2")))
    assert not all_understood(read_by(found, of("7.1")))


def test_a_machine_that_hands_over_nothing(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="this machine hands over nothing"):
        running(tmp_path)
