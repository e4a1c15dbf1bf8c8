"""What a patch made of a tree, looked at once more: what it did may not stand in its mail.

A link is moved without being named one, or gets another target from a diff that tells no mode.
"""

from __future__ import annotations

import os
import posixpath
from dataclasses import dataclass
from typing import TYPE_CHECKING

from khoci.errors import UsageError
from khoci.series.hostile import BINARY, LINK, SUBMODULE, link_reason
from khoci.series.hunks import shown
from khoci.series.plumbing import contents

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from khoci.series.plumbing import Git

_TEXT_BYTES = 8000
"""git takes a file for binary that has a zero in so many bytes."""


@dataclass(frozen=True, slots=True)
class _Change:
    """A file that a commit changed: mode and blob after it, and the blob before it."""

    path: str
    mode: str
    blob: str
    before: str


def refuse_made(where: Git, parent: str, commit: str, who: str) -> None:
    """Raise if a commit did to its parent what no patch may do.

    Args:
        where: the repository.
        parent: what to compare with.
        commit: what was made.
        who: names the patch in messages.

    Raises:
        UsageError: with the reason.
        HarnessError: git fails.
    """
    listed = where.tell(
        "diff-tree", "-r", "-z", "--raw", "--no-renames", "--no-abbrev", parent, commit
    )
    changes = list(_changes(listed))
    for why in _reasons(changes, commit, where):
        raise UsageError(f"{who} is refused: {why}")


def _changes(listed: bytes) -> Iterator[_Change]:
    words = iter(listed.split(b"\0"))
    for head, name in zip(words, words, strict=False):
        _, mode, before, blob, _ = head.decode().split(" ")
        yield _Change(os.fsdecode(name), mode, blob, before)


def _reasons(changes: Sequence[_Change], commit: str, where: Git) -> Iterator[str]:
    there = [change for change in changes if change.blob.strip("0")]
    for change in there:
        if change.mode == SUBMODULE:
            yield f"it adds a submodule, '{shown(change.path)}'"
    known = {change.before for change in changes}
    files = [c for c in there if c.mode not in (SUBMODULE, LINK) and c.blob not in known]
    links = [c for c in there if c.mode == LINK]
    texts = contents(where, [change.blob for change in (*files, *links)])
    for change in files:
        if b"\0" in texts[change.blob][:_TEXT_BYTES]:
            yield f"{BINARY} ('{shown(change.path)}')"
    for change in links:
        target = os.fsdecode(texts[change.blob])
        why = link_reason(change.path, target)
        if why:
            yield why
        elif through := _through(change.path, target, commit, where):
            yield f"the link '{shown(change.path)}' leads through another, '{shown(through)}'"


def _through(path: str, target: str, commit: str, where: Git) -> str:
    """The first folder on the way to where a link leads that is a link itself; '' if none is."""
    names = posixpath.normpath(posixpath.join(posixpath.dirname(path), target)).split("/")
    folders = ["/".join(names[:end]) for end in range(1, len(names))]
    if not folders:
        return ""
    listed = where.tell("ls-tree", "-z", "--full-tree", commit, "--", *folders)
    entries = (entry.partition(b"\t") for entry in listed.split(b"\0"))
    return next((os.fsdecode(name) for head, _, name in entries if head.startswith(b"12")), "")
