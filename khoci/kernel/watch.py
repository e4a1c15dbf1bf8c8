"""Watching what a sandboxed build takes, and ending it when that is too much."""

from __future__ import annotations

import os
import shutil
import signal
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Self

from khoci.errors import BuildError
from khoci.kernel.limits import Usage, available_mb, exceeded, running_below, size_below

if TYPE_CHECKING:
    from pathlib import Path
    from subprocess import Popen

    from khoci.kernel.limits import Limits

_EVERY_SECONDS = 0.25
_SHARE = 0.05
"""Of the time at most, that looking through the objects takes."""


class Watch:
    """Kills a process and all it started when it takes more than the limits allow.

    A context manager around the time that the process runs.

    Raises:
        BuildError: at the end of the block, if a limit was exceeded; it names kernel and limit.
    """

    def __init__(self, process: Popen[bytes], objects: Path, kernel: str, limits: Limits) -> None:
        self._process = process
        self._objects = objects
        self._kernel = kernel
        self._limits = limits
        self._began = time.monotonic()
        self._disk = (0.0, 0)
        self._next_look = 0.0
        self._broken: str | None = None
        self._failure: Exception | None = None
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="khoci-watch", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._over.set()
        self._thread.join()
        if kind is not None:
            return
        if self._failure is not None:
            raise self._failure
        self._next_look = 0.0
        if broken := self._broken or exceeded(self._usage(), self._limits):
            raise over_limit(self._kernel, broken)

    def _watch(self) -> None:
        try:
            while self._broken is None and not self._over.wait(_EVERY_SECONDS):
                self._broken = exceeded(self._usage(), self._limits)
        except Exception as error:
            self._failure = error
        if self._broken or self._failure:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)

    def _usage(self) -> Usage:
        began = time.monotonic()
        if began >= self._next_look:
            self._disk = size_below(self._objects)
            now = time.monotonic()
            self._next_look = now + (now - began) / _SHARE
        processes, memory_mb = running_below(self._process.pid)
        return Usage(
            seconds=began - self._began,
            processes=processes,
            memory_mb=memory_mb,
            spare_mb=available_mb(),
            disk_mb=self._disk[0],
            depth=self._disk[1],
            free_mb=shutil.disk_usage(self._objects).free / 1e6,
        )


def over_limit(kernel: str, phrase: str) -> BuildError:
    """The error of a build that took what ``phrase`` says."""
    return BuildError(
        f"{kernel}: its build was stopped: it took {phrase}, the limit of the sandbox"
    )
