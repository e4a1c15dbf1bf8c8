"""A command on a real pseudo terminal."""

from __future__ import annotations

import errno
import fcntl
import os
import pty
import struct
import subprocess
import termios
from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Seen:
    """What a terminal was sent, and the exit code."""

    text: str
    status: int


def on_terminal(
    command: Sequence[str], environment: Mapping[str, str] | None = None, columns: int = 80
) -> Seen:
    """Run the command with all its output on a terminal so wide."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    variables = {**os.environ, "TERM": "xterm-256color", **(environment or {})}
    for name in ("COLUMNS", "LINES"):
        variables.pop(name, None)
    with subprocess.Popen(
        command, stdin=theirs, stdout=theirs, stderr=theirs, env=variables, close_fds=True
    ) as process:
        os.close(theirs)
        chunks = []
        while chunk := _read(ours):
            chunks.append(chunk)
        os.close(ours)
        status = process.wait(timeout=60)
    return Seen(b"".join(chunks).decode("utf-8", "replace").replace("\r\n", "\n"), status)


def _read(terminal: int) -> bytes:
    """What comes next; nothing when the other end is closed, which Linux calls an error."""
    try:
        return os.read(terminal, 65536)
    except OSError as error:
        if error.errno == errno.EIO:
            return b""
        raise
