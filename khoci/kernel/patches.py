"""Patches on a source tree: the files they touch, applying them, and taking them back."""

from __future__ import annotations

import os
import re
import subprocess
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from khoci.errors import BuildError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

_CREATED = re.compile(r"^ create mode \d+ (.+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Touched:
    """The files that patches name, before or after.

    ``created`` are those they bring along, ``moved`` both names of those that are renamed or
    copied.
    """

    names: frozenset[str] = frozenset()
    created: frozenset[str] = frozenset()
    moved: frozenset[str] = frozenset()


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
    moved: set[str] = set()
    for patch in patches:
        new, old = _numstat(name, patch), _numstat(name, patch, "--reverse")
        names |= new | old
        moved |= new ^ old
        created.update(_CREATED.findall(_git_apply(name, patch, Path("/"), "--summary")))
    return Touched(frozenset(names), frozenset(created), frozenset(moved))


def _numstat(name: str, patch: Path, *direction: str) -> set[str]:
    """The files that a patch names; of one that moves, each direction has one name."""
    listed = _git_apply(name, patch, Path("/"), "--numstat", "-z", *direction)
    return {line.split("\t", 2)[2] for line in listed.split("\0") if line}


def apply_patches(
    name: str, patches: Sequence[Path], tree: Path, only: Collection[str] = ()
) -> None:
    """Apply patches in order; with ``only``, to these files of those they touch.

    Raises:
        BuildError: one does not apply.
    """
    for patch in patches:
        included = (f"--include={_literal(file)}" for file in only)
        _git_apply(name, patch, tree, "--whitespace=nowarn", *included)


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


def renew_hidden(created: Collection[str], tree: Path, folders: Iterable[str]) -> list[str]:
    """Make headers newer that new ones hide, and return their paths.

    What was compiled with the one of ``include/uapi`` does not depend on the new one of ``include``
    of the same name, and make would not see that it has to.

    Args:
        created: the paths of new files.
        tree: the tree they are in.
        folders: where the compiler looks for headers, as patterns below the tree.
    """
    parts = [PurePosixPath(path).parts for path in created]
    names = {"/".join(path[at:]) for path in parts for at in range(len(path))}
    places = [place for folder in folders for place in tree.glob(folder) if place.is_dir()]
    files = (place / name for place in places for name in names)
    there = {file for file in files if file.is_file() and not file.is_symlink()}
    hidden = sorted(there - {tree / path for path in created})
    for file in hidden:
        _put(file, _look(file))
    return [str(file.relative_to(tree)) for file in hidden]


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


def _literal(path: str) -> str:
    """The path as a pattern that matches nothing else."""
    return re.sub(r"([\\*?\[])", r"\\\1", path)


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
