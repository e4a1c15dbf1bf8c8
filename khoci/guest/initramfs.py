"""The initramfs of either side, kept in the cache by its content."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

from khoci.files import write_atomic
from khoci.guest.cpio import Entry, archive, character_device, folder, regular

CONSUMER_KERNEL = "/consumer/kernel"
CONSUMER_INITRD = "/consumer/initrd"


def consumer_initramfs(agent: Path, cache: Path) -> Path:
    """The agent and nothing else."""
    return _kept(_base(agent), cache)


def producer_initramfs(agent: Path, kernel: Path, initrd: Path, cache: Path) -> Path:
    """The agent, with the consumer's kernel image and its initramfs for it to load."""
    consumer = (
        folder("consumer"),
        regular(CONSUMER_KERNEL[1:], kernel.read_bytes()),
        regular(CONSUMER_INITRD[1:], initrd.read_bytes()),
    )
    return _kept((*_base(agent), *consumer), cache)


def _base(agent: Path) -> tuple[Entry, ...]:
    folders = (folder(name) for name in ("dev", "proc", "sys", "tmp"))
    console = character_device("dev/console", 5, 1)
    return (*folders, console, regular("init", agent.read_bytes(), executable=True))


def _kept(entries: Iterable[Entry], cache: Path) -> Path:
    content = archive(entries)
    path = cache / "initramfs" / f"{hashlib.sha256(content).hexdigest()[:32]}.cpio"
    if not path.is_file():
        write_atomic(path, content)
    return path
