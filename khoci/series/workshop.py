"""A repository of our own to apply patches in, that sees the objects of the user's.

It lies below the cache and borrows objects (``objects/info/alternates``), so that nothing is
written to the user's repository while patches are tried, and none of its configuration counts.
Its work tree holds only the files that patches touch: git leaves out all others, and a linux tree
is ready after 0.2 s.
"""

from __future__ import annotations

import os
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING

from khoci.errors import HarnessError
from khoci.kernel.disk import one_line
from khoci.kernel.trees import work_tree
from khoci.series.plumbing import Git, absent, blobs_at

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from khoci.series.plumbing import Repository

_SPECIAL = re.compile(r"[\\*?\[ ]")
_NO_FILE = ".khoci-checks-out-no-file"
"""For git an empty list means all files."""


@contextmanager
def workshop(repository: Repository, base: str, place: Path, paths: Sequence[str]) -> Iterator[Git]:
    """A repository whose HEAD is the commit ``base``, removed at the end in any case.

    Args:
        repository: whose objects it sees.
        base: a commit id.
        paths: of the files that patches will touch.
        place: the folder that all workshops lie in; what a killed run left there is removed.

    Raises:
        HarnessError: the disk is full, or git fails, or a file's content is not there.
    """
    _require_files(repository.git, base, paths)
    with one_line("applying patches", place), work_tree(place) as folder:
        made = Git(folder / "git", folder / "files")
        set_up(made, repository, base, paths)
        yield made


def set_up(made: Git, repository: Repository, base: str, paths: Sequence[str]) -> None:
    """Make such a repository in folders that are not there yet."""
    made.folder.mkdir(parents=True)
    if made.work:
        made.work.mkdir(parents=True, exist_ok=True)
    _fill(made, repository)
    allow(made, [_NO_FILE, *paths])
    made.tell("update-ref", "--no-deref", "HEAD", base)
    made.tell("read-tree", "-m", "-u", "HEAD")


def allow(made: Git, paths: Sequence[str]) -> None:
    """Let more files be in the work tree; those that the index has are not written there."""
    with (made.folder / "info/sparse-checkout").open("ab") as file:
        file.write(os.fsencode(_patterns(paths)))


def _require_files(where: Git, commit: str, paths: Sequence[str]) -> None:
    """Make sure that the content of these files is there: in a partial clone it may not be."""
    files = blobs_at(where, commit, paths)
    if gone := absent(where, list(files.values())):
        path, blob = next((name, blob) for name, blob in files.items() if blob in gone)
        raise HarnessError(
            f"{path}: its content at {commit[:12]} is not in the git tree (a partial clone?): "
            f"run 'git cat-file blob {blob}' there"
        )


def _patterns(paths: Sequence[str]) -> str:
    """Exactly these files, as lines of gitignore(5)."""
    lines = ("/" + _SPECIAL.sub(r"\\\g<0>", path) for path in paths if "\n" not in path)
    return "".join(f"{line}\n" for line in lines)


def _fill(made: Git, repository: Repository) -> None:
    format_ = repository.git.line("rev-parse", "--show-object-format")
    Git(made.folder).tell("init", "--quiet", "--bare", "--template=", f"--object-format={format_}")
    (made.folder / "objects/info").mkdir(exist_ok=True)
    (made.folder / "objects/info/alternates").write_text(f"{repository.common / 'objects'}\n")
    (made.folder / "info").mkdir(exist_ok=True)
    made.tell("config", "core.sparseCheckout", "true")
    shallow = repository.common / "shallow"
    if shallow.is_file():
        (made.folder / "shallow").write_bytes(shallow.read_bytes())
