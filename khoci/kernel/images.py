"""Ready images: a file the user names, or the packages of a distribution kernel."""

from __future__ import annotations

import json
import re
import shutil
from typing import TYPE_CHECKING

from khoci.errors import HarnessError, UsageError
from khoci.kernel.cache import CONFIG, IMAGE, METADATA, SYSTEM_MAP, Artifact, key_of
from khoci.kernel.deb import package_files
from khoci.kernel.download import file_sha256
from khoci.kernel.source import fetch_package

if TYPE_CHECKING:
    from pathlib import Path

    from khoci.config.kernels import DebianImageSource, ImageSource, KernelSpec
    from khoci.kernel.cache import Cache
    from khoci.progress import Progress

_KEPT = {"vmlinuz": IMAGE, "System.map": SYSTEM_MAP, "config": CONFIG}
_PLACE = re.compile(
    r"\./(?:boot|(?:usr/)?lib/modules/[^/]+)/(vmlinuz|System\.map|config)(?:[-.][^/]*)?"
)
_STUB_SIZE = 1000
"""Debian's System.map only says where the real one is."""


def image_release(image: Path) -> str:
    """What ``uname -r`` says in an x86 image (the boot protocol's ``kernel_version``), or ''.

    Documentation/arch/x86/boot.rst: magic ``HdrS`` at 0x202, pointer (less 0x200) at 0x20e.
    """
    with image.open("rb") as file:
        head = file.read(0x10000)
    if head[0x202:0x206] != b"HdrS":
        return ""
    start = int.from_bytes(head[0x20E:0x210], "little") + 0x200
    text = head[start : start + 256].partition(b"\0")[0].decode("ascii", "replace")
    return text.partition(" ")[0]


def local_image(spec: KernelSpec, source: ImageSource) -> Artifact:
    """A file the user names, taken where it is.

    Raises:
        UsageError: it, or one of the files that go with it, is not there.
    """
    for path in (source.path, source.system_map, source.config):
        if path is not None and not path.is_file():
            raise UsageError(f"{spec.name}: {path} does not exist")
    return Artifact(
        name=spec.name,
        key=key_of({"image": file_sha256(source.path)}),
        arch=spec.arch,
        release=image_release(source.path),
        image=source.path,
        system_map=source.system_map,
        config=source.config,
        cmdline=spec.cmdline,
    )


def package_key(source: DebianImageSource) -> str:
    """The key of a distribution kernel: its packages' digests."""
    return key_of({"packages": [package.sha256 for package in source.packages]})


def unpack_packages(
    spec: KernelSpec, source: DebianImageSource, cache: Cache, progress: Progress
) -> None:
    """Put image, config and System.map of a distribution kernel into the cache.

    The caller holds the key.

    Raises:
        HarnessError: a package cannot be fetched, or none of them has an image.
    """
    key = package_key(source)
    with cache.new_folder(key) as folder:
        for package in source.packages:
            _unpack(fetch_package(package, cache.downloads, progress), folder)
        if not (folder / IMAGE).is_file():
            raise HarnessError(f"{spec.name}: none of its packages has a vmlinuz")
        release = image_release(folder / IMAGE)
        content = {"schema": 1, "status": "ready", "name": spec.name, "key": key}
        (folder / METADATA).write_text(json.dumps(content | {"release": release}, indent=2) + "\n")


def _unpack(deb: Path, folder: Path) -> None:
    with package_files(deb) as files:
        for member, content in files:
            match = _PLACE.fullmatch(member.name)
            if match and not (match[1] == "System.map" and member.size < _STUB_SIZE):
                with (folder / _KEPT[match[1]]).open("wb") as file:
                    shutil.copyfileobj(content, file)
