"""Processes that never outlive khoci."""

from __future__ import annotations

import shutil
from collections.abc import Sequence

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
