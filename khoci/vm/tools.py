"""The programs that guests are booted with, and their /init is built with."""

from __future__ import annotations

from collections.abc import Iterable

from khoci.errors import HarnessError, UnfitError
from khoci.guest.build import COMPILER
from khoci.proc import PARENT_DEATH, require_tool
from khoci.vm.machine import QEMU


def check_tools(archs: Iterable[str]) -> None:
    """See that guests of these architectures can be booted.

    Raises:
        UnfitError: a program is not installed.
    """
    for tool in (*sorted({QEMU[arch] for arch in archs}), PARENT_DEATH, COMPILER):
        try:
            require_tool(tool)
        except HarnessError as error:
            raise UnfitError(str(error)) from None
