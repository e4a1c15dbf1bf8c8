"""Files that a build made, taken so that the code which made them cannot point elsewhere.

What is kept of a build is looked at first: others read it later, and a stranger may have made it.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from khoci.errors import BuildError
from khoci.kernel.make import OBJECTS

_IMAGE_MB = 200
_SYSTEM_MAP_MB = 50
_CONFIG_MB = 10
_RELEASE_MB = 1
_RELEASE = re.compile(r"[\w.+~-]{1,100}", re.ASCII)
_SYMBOL = re.compile(rb"[0-9a-f]{1,16} [!-~] [!-~]+\n")
_CONTROL = re.compile(r"[^\t\n -~\u00a0-\U0010ffff]")


def made_image(kernel: str, tree: Path, name: str) -> Path:
    """The image that was built, by its path below the objects of a tree.

    Raises:
        BuildError: it is not there, is no plain file or too large, or leads elsewhere by a
            symbolic link.
    """
    return _made(kernel, tree, name, _IMAGE_MB)


def made_system_map(kernel: str, tree: Path) -> Path:
    """The System.map of the kernel that was built.

    Raises:
        BuildError: as ``made_image``, or it has a line that is not address, type and name.
    """
    path = _made(kernel, tree, "System.map", _SYSTEM_MAP_MB)
    with path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            if not _SYMBOL.fullmatch(line):
                raise BuildError(f"{kernel}: {path}:{number}: is no line of a System.map")
    return path


def made_config(kernel: str, tree: Path) -> str:
    """The configuration that a tree has.

    Raises:
        BuildError: as ``made_image``, or it is no text.
    """
    path = _made(kernel, tree, ".config", _CONFIG_MB)
    try:
        text = path.read_bytes().decode()
    except UnicodeDecodeError:
        raise BuildError(f"{kernel}: {path}: is not UTF-8") from None
    if _CONTROL.search(text):
        raise BuildError(f"{kernel}: {path}: has control characters")
    return text


def made_release(kernel: str, tree: Path) -> str:
    """What ``uname -r`` will say in the kernel of a tree.

    Raises:
        BuildError: as ``made_image``, or it is no release.
    """
    path = _made(kernel, tree, "include/config/kernel.release", _RELEASE_MB)
    release = path.read_text(encoding="utf-8", errors="replace").strip()
    if not _RELEASE.fullmatch(release):
        raise BuildError(f"{kernel}: {path}: states no release")
    return release


def _made(kernel: str, tree: Path, name: str, most_mb: int) -> Path:
    """A file by its path below the objects of a tree, when make has ended."""
    objects = tree / OBJECTS
    path = Path(os.path.realpath(objects / name))
    if not path.is_relative_to(objects.resolve()) or not path.is_file():
        raise BuildError(f"{kernel}: {objects / name}: the build did not make this file")
    if path.stat().st_size > most_mb * 1_000_000:
        raise BuildError(f"{kernel}: {objects / name}: has more than {most_mb} MB")
    return path
