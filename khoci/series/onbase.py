"""A series that is on a base, as it is kept: what came of it, and its patches as files to build.

The files hold the commits as they are on the base, after any merge, so they apply exactly there.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from email.header import Header
from pathlib import Path
from typing import TYPE_CHECKING, Any

from khoci.errors import UsageError
from khoci.files import write_atomic
from khoci.series.mails import MADE_UP
from khoci.series.origin import Origin
from khoci.series.store import mails_in

if TYPE_CHECKING:
    from collections.abc import Mapping

    from khoci.series.applied import Application
    from khoci.series.base import Base
    from khoci.series.plumbing import Git, Repository

SCHEMA = 2
FILE, PATCHES = "applied.json", "patches"

_AS_TEXT = (
    *("diff-tree", "-p", "--no-commit-id", "--full-index", "--no-renames", "--no-ext-diff"),
    *("--no-textconv", "--no-color", "--src-prefix=a/", "--dst-prefix=b/"),
)


@dataclass(frozen=True, slots=True)
class PatchFile:
    """A patch of a series as a file.

    Attributes:
        number: as the patch says, from 1.
        msgid: without angle brackets.
        subject: of the patch.
        commit: what it became.
        path: of the file.
    """

    number: int
    msgid: str
    subject: str
    commit: str
    path: Path


@dataclass(frozen=True, slots=True)
class OnBase:
    """A series on its base.

    Attributes:
        tree: the git folder with the commits.
        commit: the id of the base.
        root: the id of the commit below it that is not of strangers: mostly the base itself.
        kernel: the name of the kernel that the root is, '' if it is none.
        why: why this base, in a few words.
        branch: what points to the last commit.
        head: the last commit.
        below: what is between root and base.
        patches: those that became commits, in order.
    """

    tree: Path
    commit: str
    root: str
    kernel: str
    why: str
    branch: str
    head: str
    patches: tuple[PatchFile, ...]
    below: tuple[PatchFile, ...] = ()


def record(folder: Path, repository: Repository, base: Base, done: Application) -> OnBase:
    """Write the patches of a series that was applied into its folder, and what came of it.

    What an earlier call wrote there is replaced; a reader sees the one or the other.

    Raises:
        HarnessError: git fails or the disk is full.
    """
    place = Path(PATCHES) / done.head[:12]
    files = [
        PatchFile(step.number, step.msgid, step.subject, step.commit, place / _name(step.number))
        for step in done.steps
        if step.commit
    ]
    origin = base.origin or Origin(done.base)
    strange = []
    for number, commit in enumerate(origin.strange, 1):
        path = place / f"base-{_name(number)}"
        strange.append(PatchFile(number, "", _subject(repository.git, commit), commit, path))
    for count, group in ((done.of, files), (len(strange), strange)):
        for each in group:
            text = _head(each, count) + _text(repository.git, each.commit)
            write_atomic(folder / each.path, text)
    kept = OnBase(
        tree=repository.folder,
        commit=done.base,
        root=origin.root,
        kernel=base.kernel,
        why=base.why,
        branch=done.branch,
        head=done.head,
        patches=tuple(files),
        below=tuple(strange),
    )
    data = {"schema": SCHEMA, "mails": mails_in(folder), **asdict(kept)}
    write_atomic(folder / FILE, json.dumps(data, indent=2, default=str) + "\n")
    return load(folder)


def load(folder: Path) -> OnBase:
    """What `record` wrote, with the paths of patches made whole.

    Raises:
        UsageError: the series was never applied, or by another version of khoci, or has other
            patches since.
    """
    name = f"series {folder.parent.name} {folder.name}"
    try:
        data = json.loads((folder / FILE).read_text(encoding="utf-8"))
        if data["mails"] != mails_in(folder):
            raise UsageError(f"{name}: has other patches than when it was applied: apply it again")
        return _from_json(folder, data)
    except FileNotFoundError:
        raise UsageError(f"{name}: is on no base: khoci apply-series") from None
    except (ValueError, KeyError, TypeError):
        raise UsageError(
            f"{folder / FILE}: this khoci cannot read it: apply the series again"
        ) from None


def _from_json(folder: Path, data: Mapping[str, Any]) -> OnBase:
    if data["schema"] != SCHEMA:
        raise ValueError
    patches, below = (
        tuple(_patch(folder, item) for item in data[key]) for key in ("patches", "below")
    )
    names = ("commit", "root", "kernel", "why", "branch", "head")
    words = {name: str(data[name]) for name in names}
    return OnBase(tree=Path(data["tree"]), patches=patches, below=below, **words)


def _patch(folder: Path, data: Mapping[str, Any]) -> PatchFile:
    words = {name: str(data[name]) for name in ("msgid", "subject", "commit")}
    return PatchFile(number=int(data["number"]), path=folder / data["path"], **words)


def _name(number: int) -> str:
    return f"{number:04}.patch"


def _subject(git: Git, commit: str) -> str:
    return git.line("show", "--no-patch", "--format=%s", commit)


def _head(patch: PatchFile, of: int) -> bytes:
    """Lines that say what a patch is; who applies it passes over them."""
    subject = Header(f"[PATCH {patch.number}/{of}] {' '.join(patch.subject.split())}", "utf-8")
    known = patch.msgid and not patch.msgid.endswith(MADE_UP)
    named = (f"Message-ID: <{patch.msgid}>",) if known else ()
    lines = (f"Subject: {subject.encode()}", *named, "", "")
    return "\n".join(lines).encode(errors="replace")


def _text(git: Git, commit: str) -> bytes:
    return git.tell(*_AS_TEXT, commit)
