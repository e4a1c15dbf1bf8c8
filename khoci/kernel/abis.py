"""The ABI of whatever a user names: a kernel, a folder of sources, or a file that has it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from khoci.abi.model import KernelAbi, load
from khoci.config.abi import extracted_folders
from khoci.errors import UsageError
from khoci.kernel.extract import abi_of, abi_of_tree

if TYPE_CHECKING:
    from collections.abc import Callable

    from khoci.config.kernels import Kernels
    from khoci.progress import Progress


def shipped(name: str) -> KernelAbi | None:
    """The ABI that is kept of a kernel, here or in what is installed; None if there is none.

    Raises:
        UsageError: its file cannot be read.
    """
    paths = (folder / f"{name}.json" for folder in extracted_folders())
    return next((load(path) for path in paths if path.is_file()), None)


def find_abi(
    name: str, kernels: Callable[[], Kernels], progress: Progress, *, fresh: bool = False
) -> KernelAbi:
    """The ABI of a kernel, of a tree, or in a file of `khoci abi extract`.

    Args:
        name: of a kernel, or a path.
        kernels: gives the known ones, where they are needed.
        progress: who is told how far it is.
        fresh: whether to read the sources of a kernel whose ABI is kept.

    Raises:
        UsageError: it is none of these.
        BuildError, HarnessError: the sources cannot be had, or do not tell.
    """
    path = Path(name)
    if path.is_dir():
        return abi_of_tree(path, progress)
    if path.suffix == ".json" and path.is_file():
        return load(path)
    exact = None if fresh or "/" in name else _kept(name)
    if exact is not None:
        return exact
    if "/" in name:
        raise UsageError(f"{name}: there is no such folder or file")
    spec = kernels().select(name)
    kept = None if fresh or spec.patches else shipped(spec.name)
    return kept or abi_of(spec, progress)


def _kept(name: str) -> KernelAbi | None:
    """What is kept of exactly this name, with or without the ``v``."""
    return shipped(name) or shipped(f"v{name}")
