"""Writing files so that nobody ever sees half of one."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from khoci.errors import HarnessError, UsageError


@contextmanager
def atomic_path(target: Path) -> Iterator[Path]:
    """Yield a path beside ``target`` to write to; rename it to ``target`` if all went well.

    Readers see the old file or the whole new one. On any exception the temporary file is removed.

    Raises:
        HarnessError: the disk is full.
    """
    temporary: Path | None = None
    try:
        temporary = _beside(target)
        yield temporary
        temporary.chmod(0o644)
        temporary.replace(target)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise HarnessError(f"{target}: {error.strerror}, make room and run again") from None
        raise
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def _beside(target: Path) -> Path:
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    os.close(handle)
    return Path(name)


def write_output(target: Path, content: str) -> None:
    """Write what a user wants in ``target``: a file by atomic rename, to all else directly.

    A symbolic link stays one; what it points to is written.

    Raises:
        UsageError: there is no such folder, or it cannot be written.
    """
    try:
        if target.exists() and not target.is_file():
            target.write_text(content, encoding="utf-8")
        elif target.resolve().parent.is_dir():
            write_atomic(target.resolve(), content)
        else:
            raise UsageError(f"{target}: there is no folder {target.resolve().parent}")
    except OSError as error:
        raise UsageError(f"{target}: cannot be written: {error.strerror}") from None


def write_atomic(target: Path, content: bytes | str) -> None:
    """Write ``content`` to ``target`` by atomic rename."""
    data = content.encode() if isinstance(content, str) else content
    with atomic_path(target) as temporary:
        temporary.write_bytes(data)
