"""Disks that are full or cannot be written: said in one line."""

from __future__ import annotations

import errno
import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING

from khoci.errors import HarnessError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_FULL = (errno.ENOSPC, errno.EDQUOT)
_FORBIDDEN = (errno.EACCES, errno.EPERM, errno.EROFS)
_ADVICE = "free some space (khoci kernel gc) or set KHOCI_CACHE to another disk"


@contextmanager
def one_line(what: str, folder: Path) -> Iterator[None]:
    """Turn a full or unwritable disk, met while working on ``what``, into a HarnessError."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise full(what, folder) from error
        if error.errno in _FORBIDDEN:
            where = error.filename or folder
            raise HarnessError(
                f"{what}: {where} cannot be written: {error.strerror}; "
                "set KHOCI_CACHE to a folder of yours"
            ) from error
        raise


def full(what: str, folder: Path) -> HarnessError:
    """The error of a disk that filled up while working on ``what``."""
    return HarnessError(f"{what}: the disk of {folder} is full; {_ADVICE}")


def require_space(folder: Path, need_mb: int, name: str) -> None:
    """Raise HarnessError unless the disk of ``folder`` has ``need_mb`` MB left for ``name``."""
    free = shutil.disk_usage(folder).free // 1_000_000
    if free < need_mb:
        raise HarnessError(
            f"{name}: building needs {need_mb} MB in {folder}, only {free} MB are free; {_ADVICE}"
        )
