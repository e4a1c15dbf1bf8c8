"""Processes that never outlive khoci."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from khoci.errors import HarnessError

PARENT_DEATH = "setpriv"
"""Of util-linux: its parent-death signal survives its exec."""


def require_tool(name: str) -> str:
    """The path of a program.

    Raises:
        HarnessError: it is not installed.
    """
    path = shutil.which(name)
    if path is None:
        raise HarnessError(f"{name} is not installed: run 'khoci doctor --install'")
    return path


def dying_with_parent(command: Sequence[str]) -> list[str]:
    """The same command, killed by the kernel when khoci dies, by SIGKILL too."""
    guard = (require_tool(PARENT_DEATH), "--pdeathsig", "KILL")
    return [*guard, require_tool(command[0]), *command[1:]]


def start_group(
    command: Sequence[str],
    folder: Path,
    environment: Mapping[str, str],
    keep: Collection[int] = (),
) -> subprocess.Popen[bytes]:
    """Start a command in a process group of its own, told to end when khoci dies.

    All output is in ``stdout``. The command inherits the files ``keep``.

    Raises:
        FileNotFoundError: it is not installed.
    """
    guard = [PARENT_DEATH, "--pdeathsig", "TERM", "--"] if shutil.which(PARENT_DEATH) else []
    return subprocess.Popen(
        [*guard, *command],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        pass_fds=keep,
    )
