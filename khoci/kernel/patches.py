"""Patches on a source tree: the files they touch, applying them, and taking them back."""

from __future__ import annotations

import os
import re
import subprocess
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from khoci.errors import BuildError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

_CREATED = re.compile(r"^ create mode \d+ (.+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Touched:
    """The files that patches name, before or after; ``created`` are those they bring along."""

    names: frozenset[str] = frozenset()
    created: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class _File:
    """A file as it was: its mode, and its bytes or, of a symbolic link, its target."""

    mode: int
    content: bytes | Path


def touched_by(name: str, patches: Sequence[Path]) -> Touched:
    """What the patches of the kernel ``name`` touch.

    Raises:
        BuildError: one is no patch.
    """
    names: set[str] = set()
    created: set[str] = set()
    for patch in patches:
        for direction in ((), ("--reverse",)):  # of a file that moves, each knows one name
            listed = _git_apply(name, patch, Path("/"), "--numstat", "-z", *direction)
            names.update(line.split("\t", 2)[2] for line in listed.split("\0") if line)
        created.update(_CREATED.findall(_git_apply(name, patch, Path("/"), "--summary")))
    return Touched(frozenset(names), frozenset(created))


def apply_patches(name: str, patches: Sequence[Path], tree: Path) -> None:
    """Apply patches in order.

    Raises:
        BuildError: one does not apply.
    """
    for patch in patches:
        _git_apply(name, patch, tree, "--whitespace=nowarn")


@contextmanager
def patched(
    name: str, patches: Sequence[Path], names: Collection[str], tree: Path
) -> Iterator[None]:
    """Apply patches that touch the files ``names``, and undo that after the block in any case.

    What was changed and what was changed back is newer than all that was built until then, so
    that make sees both.

    Raises:
        BuildError: one does not apply.
    """
    before = {tree / file: _look(tree / file) for file in names}
    try:
        apply_patches(name, patches, tree)
        for path, file in before.items():
            if _look(path) != file:
                _touch(path)
        yield
    finally:
        for path, file in before.items():
            if _look(path) != file:
                _put(path, file)


def _look(path: Path) -> _File | None:
    if path.is_symlink():
        return _File(0, path.readlink())
    return _File(path.stat().st_mode, path.read_bytes()) if path.is_file() else None


def _put(path: Path, file: _File | None) -> None:
    path.unlink(missing_ok=True)
    if file is None:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(file.content, Path):
        path.symlink_to(file.content)
    else:
        path.write_bytes(file.content)
        path.chmod(file.mode)
    _touch(path)


def _touch(path: Path) -> None:
    """Set the time to this very moment; Linux before 6.13 stamps files with its last tick."""
    if path.is_file() and not path.is_symlink():
        now = time.time_ns()
        os.utime(path, ns=(now, now))


def _git_apply(name: str, patch: Path, folder: Path, *arguments: str) -> str:
    outer = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    result = subprocess.run(
        ["git", "apply", *arguments, str(patch.absolute())],
        cwd=folder,
        env=outer | {"GIT_CEILING_DIRECTORIES": str(folder.parent)},
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        check=False,
    )
    if result.returncode != 0:
        raise BuildError(f"{name}: {patch} does not apply", result.stderr.strip())
    return result.stdout
