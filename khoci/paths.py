"""Where khoci keeps and finds its files."""

from __future__ import annotations

import os
from importlib import resources
from pathlib import Path

import platformdirs


def cache_dir() -> Path:
    """The cache: downloads, built kernels, initramfs images (``$KHOCI_CACHE`` overrides)."""
    override = os.environ.get("KHOCI_CACHE")
    return Path(override) if override else Path(platformdirs.user_cache_dir("khoci"))


def data_dir(name: str) -> Path:
    """A folder of shipped data, ``matrix`` or ``templates``.

    It is inside the package in an installed wheel and beside it in a checkout.
    """
    package = Path(str(resources.files("khoci")))
    installed = package / "data" / name
    return installed if installed.is_dir() else package.parent / name


def state_dir() -> Path:
    """What must outlive the cache: which mails were sent (``$KHOCI_STATE`` overrides)."""
    override = os.environ.get("KHOCI_STATE")
    return Path(override) if override else Path(platformdirs.user_state_dir("khoci"))
