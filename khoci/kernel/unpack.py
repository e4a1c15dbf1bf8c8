"""Unpacking of a kernel source tree: only what a build for a virtual machine can need."""

from __future__ import annotations

import lzma
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING

from khoci.errors import HarnessError
from khoci.kernel.deb import package_files
from khoci.kernel.tar import tarfile

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

LEAN_MB, FULL_MB = 450, 1900
"""What a lean and a full tree take on disk."""

_SKIPPED_DRIVERS = (
    "accel ata comedi crypto gpib gpu hid hwmon hwtracing i2c iio infiniband md media "
    "message misc mmc mtd net nvme phy pinctrl scsi soc spi staging target ufs usb"
)
_SKIPPED = frozenset(
    {"Documentation", "samples", "sound", "rust"}
    | {f"drivers/{name}" for name in _SKIPPED_DRIVERS.split()}
)
_NETWORK = frozenset(["drivers/net/loopback.c", "drivers/net/Space.c"])
"""Of the drivers that are left out, what the networking core is linked with."""
_TOOLS = frozenset(["arch", "bpf", "build", "include", "lib", "objtool", "scripts"])
_NEEDED_NAMES = ("Kconfig", "Makefile", "Kbuild")

Choice = Callable[[str], bool]
"""Whether to unpack a file, by its path relative to the top of the tree."""


def wanted(path: str, srcarch: str) -> bool:
    """Whether a file of the tree (path relative to its top) can matter to a lean build.

    Kconfig and make files all do: configuration reads those of every driver.
    """
    parts = PurePosixPath(path).parts
    if parts[-1].startswith(_NEEDED_NAMES) or path in _NETWORK:
        return True
    if parts[0] in _SKIPPED or "/".join(parts[:2]) in _SKIPPED:
        return False
    if len(parts) > 2 and parts[0] == "arch":
        return parts[1] == srcarch
    return not (len(parts) > 2 and parts[0] == "tools") or parts[1] in _TOOLS


def everything(path: str) -> bool:  # noqa: ARG001  (a Choice)
    """The choice of every file."""
    return True


def lean(srcarch: str, also: Collection[str] = ()) -> Choice:
    """The choice of what can matter to a lean build, and of the files in ``also``."""
    return lambda path: wanted(path, srcarch) or path in also


def unpack_deb(deb: Path, folder: Path, chosen: Choice) -> None:
    """Unpack the chosen files of the tree inside a ``linux-source`` package."""
    with packed_in(deb) as content:
        _unpack(content, folder, chosen, deb)


@contextmanager
def packed_in(deb: Path) -> Iterator[IO[bytes]]:
    """The packed tree inside a ``linux-source`` package.

    Raises:
        HarnessError: it holds none, or is damaged.
    """
    with package_files(deb) as files:
        for member, content in files:
            if member.name.startswith("./usr/src/") and ".tar." in member.name:
                yield content
                return
    raise HarnessError(f"{deb}: holds no packed source tree below usr/src")


def unpack_tarball(tarball: Path, folder: Path, chosen: Choice) -> None:
    """Unpack the chosen files of a tar archive whose one top folder is a tree."""
    with tarball.open("rb") as file:
        _unpack(file, folder, chosen, tarball)


def _unpack(packed: IO[bytes], folder: Path, chosen: Choice, origin: Path) -> None:
    try:
        with tarfile.open(fileobj=packed, mode="r|*") as tar:
            for member in _members(tar, chosen):
                tar.extract(member, folder, filter="data")
    except (tarfile.TarError, lzma.LZMAError, EOFError) as error:
        raise HarnessError(f"{origin}: is damaged: {error}; delete it and run again") from error
    if not (folder / "Makefile").is_file():
        raise HarnessError(f"{origin}: holds no kernel source tree (no Makefile at its top)")


def _members(tar: tarfile.TarFile, chosen: Choice) -> Iterator[tarfile.TarInfo]:
    """The files to unpack, without the archive's top folder."""
    for member in tar:
        top, _, path = member.name.removeprefix("./").partition("/")
        if top and path and not member.isdir() and chosen(path):
            hard = member.linkname.removeprefix("./").partition("/")[2]
            yield member.replace(name=path, linkname=hard if member.islnk() else member.linkname)
