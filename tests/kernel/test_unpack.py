from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from khoci.errors import HarnessError
from khoci.kernel.unpack import Choice, everything, lean, unpack_deb, unpack_tarball, wanted
from tests.kernel.fakelinux import deb, make_tree, pack

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.mark.parametrize(
    "path",
    [
        "Makefile",
        "kernel/kexec_handover.c",
        "arch/x86/kernel/setup.c",
        "arch/Kconfig",
        "arch/arm64/Kconfig",
        "drivers/base/core.c",
        "drivers/tty/serial/8250/8250_core.c",
        "drivers/gpu/drm/Kconfig",
        "drivers/net/Makefile",
        "drivers/net/loopback.c",
        "drivers/input/input.c",
        "Documentation/Kconfig",
        "tools/objtool/check.c",
        "tools/include/linux/list.h",
        "tools/Makefile",
        "sound/Kconfig",
    ],
)
def test_what_a_build_reads_is_unpacked(path: str) -> None:
    assert wanted(path, "x86")


@pytest.mark.parametrize(
    "path",
    [
        "drivers/gpu/drm/amd/huge.h",
        "drivers/net/ethernet/x.c",
        "arch/arm64/kernel/setup.c",
        "Documentation/index.rst",
        "sound/core.c",
        "tools/testing/selftests/x.c",
    ],
)
def test_the_bulk_is_not(path: str) -> None:
    assert not wanted(path, "x86")


@given(st.lists(st.sampled_from(["drivers", "gpu", "sound", "arch", "x"]), min_size=1))
def test_kconfig_and_make_files_are_unpacked_anywhere(folders: list[str]) -> None:
    assert wanted("/".join([*folders, "Kconfig.debug"]), "x86")
    assert wanted("/".join([*folders, "Makefile"]), "x86")


@pytest.mark.parametrize("compress", [lzma.compress, gzip.compress, bz2.compress, bytes])
@pytest.mark.parametrize(
    ("chosen", "bulk"),
    [(lean("x86"), False), (lean("x86", ["drivers/gpu/drm/big.c"]), True), (everything, True)],
)
def test_a_tarball(
    tmp_path: Path, compress: Callable[[bytes], bytes], chosen: Choice, bulk: bool
) -> None:
    (tmp_path / "x.tar").write_bytes(pack(make_tree(tmp_path / "tree"), compress))
    (tmp_path / "out").mkdir()
    unpack_tarball(tmp_path / "x.tar", tmp_path / "out", chosen)
    assert (tmp_path / "out/source.c").read_text() == "int main;\n"
    assert (tmp_path / "out/drivers/gpu/drm/big.c").exists() is bulk


def test_a_source_package(tmp_path: Path) -> None:
    packed = pack(make_tree(tmp_path / "tree"))
    files = {"usr/share/doc/x/copyright": b"words", "usr/src/linux-source-6.18.tar.xz": packed}
    (tmp_path / "x.deb").write_bytes(deb(files))
    (tmp_path / "out").mkdir()
    unpack_deb(tmp_path / "x.deb", tmp_path / "out", lean("x86"))
    assert (tmp_path / "out/Kconfig").is_file()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"what?", "is not a Debian package"),
        (deb({"usr/share/doc/x": b"y"}), "holds no packed source tree"),
        (deb({"usr/src/linux.tar.xz": b"broken"}), "is damaged"),
        (b"!<arch>\n", r"has no data\.tar\.xz"),
        (deb({"x": b"y"}).replace(b"data.tar.xz ", b"data.tar.zst"), "is not supported, only xz"),
    ],
)
def test_a_bad_package_is_one_line(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "x.deb").write_bytes(content)
    (tmp_path / "out").mkdir()
    with pytest.raises(HarnessError, match=message) as caught:
        unpack_deb(tmp_path / "x.deb", tmp_path / "out", lean("x86"))
    assert "\n" not in str(caught.value)


@given(st.integers(0, 400))
def test_a_truncated_package_is_one_line(
    tmp_path_factory: pytest.TempPathFactory, end: int
) -> None:
    folder = tmp_path_factory.mktemp("cut")
    whole = deb({"usr/src/linux.tar.xz": b"x" * 500})
    (folder / "x.deb").write_bytes(whole[: min(end, len(whole) - 1)])
    with pytest.raises(HarnessError):
        unpack_deb(folder / "x.deb", folder, lean("x86"))


def test_what_is_no_tree(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/README").touch()
    (tmp_path / "x.tar").write_bytes(pack(tmp_path / "folder"))
    with pytest.raises(HarnessError, match="holds no kernel source tree"):
        unpack_tarball(tmp_path / "x.tar", tmp_path, lean("x86"))


def test_an_archive_cannot_write_outside(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        member = tarfile.TarInfo("linux/../../../evil.c")
        member.size = 1
        tar.addfile(member, io.BytesIO(b"x"))
    (tmp_path / "x.tar").write_bytes(buffer.getvalue())
    (tmp_path / "a/b").mkdir(parents=True)
    with pytest.raises(HarnessError, match="is damaged"):
        unpack_tarball(tmp_path / "x.tar", tmp_path / "a/b", everything)
    assert not list(tmp_path.glob("**/evil.c"))
