"""A cache of a test's own that has the kernels, and what they are built of, of the usual one."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from khoci.paths import cache_dir

SHARED = ("accelerator.json", "agent", "definitions", "downloads", "initramfs", "kernels", "trees")


def cache_with_kernels(folder: Path, linux: Path | None = None) -> Path:
    """Make it below ``folder``, with a copy of the linux.git that `khoci tree init` made."""
    cache = folder / "cache"
    cache.mkdir()
    for name in SHARED:
        real = cache_dir() / name
        if not name.endswith(".json"):
            real.mkdir(exist_ok=True)
        (cache / name).symlink_to(real)
    if linux:
        linked(linux, cache / "linux.git")
    return cache


def linked(one: Path, other: Path) -> None:
    """Make ``other`` have the same files by hard links: for those that nobody changes in place."""
    shutil.copytree(one, other, copy_function=os.link, symlinks=True, dirs_exist_ok=True)
