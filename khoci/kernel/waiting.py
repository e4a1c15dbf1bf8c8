"""Locks that another khoci may hold for minutes: who waits for one is told."""

from __future__ import annotations

import hashlib
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from khoci.host import this_boot

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from khoci.progress import Progress


@contextmanager
def held(lock: Path, waiting: str, progress: Progress) -> Iterator[None]:
    """Hold the file ``lock``; while another does, progress says ``waiting``."""
    taken = FileLock(lock)
    try:
        taken.acquire(timeout=0)
    except Timeout:
        progress.start(waiting)
        try:
            taken.acquire()
        finally:
            progress.done()
    try:
        yield
    finally:
        taken.release()


@contextmanager
def all_cores(folder: Path, kernel: str, progress: Progress) -> Iterator[None]:
    """Hold the cores that this process may run on, to build ``kernel`` with all of them.

    Two that compile with all of them take more CPU at once than one after the other
    (``bench.builds``). Only those wait for each other that have the same cache, on the same
    machine, and exactly the same cores.

    Args:
        folder: for the lock, below the cache; it exists.
        kernel: its name.
        progress: who is told that another builds.
    """
    cores = f"{this_boot()} {sorted(os.sched_getaffinity(0))}"
    lock = folder / f".cores-{hashlib.sha256(cores.encode()).hexdigest()[:16]}.lock"
    with held(
        lock, f"{kernel}: waiting for another khoci that builds with the same cores", progress
    ):
        yield
