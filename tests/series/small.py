"""A small linux.git with three releases, and series made of what is committed on them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import git

from khoci.series.model import Blob, Patch, Series

if TYPE_CHECKING:
    from collections.abc import Mapping

TEXT = "".join(f"line {number}\n" for number in range(1, 41))
OTHER = TEXT.replace("line", "row")
THIRD = TEXT.replace("line", "item")
AUTHOR = {
    "GIT_AUTHOR_NAME": "Zoë Łukasz",
    "GIT_AUTHOR_EMAIL": "zoe@example.org",
    "GIT_AUTHOR_DATE": "2025-09-01T10:00:00+0200",
    "GIT_COMMITTER_NAME": "A Committer",
    "GIT_COMMITTER_EMAIL": "committer@example.org",
    "GIT_COMMITTER_DATE": "2025-09-02T10:00:00+0000",
}
_DIFF = re.compile(
    r"^diff --git a/.+? b/(.+)\n(?:(?!diff |index ).+\n)*index ([0-9a-f]+)\.\.([0-9a-f]+)", re.M
)


def commit(repo: git.Repo, subject: str, files: Mapping[str, str | None], tag: str = "") -> str:
    """Commit files with these contents (None: removed) on what is checked out; return the id."""
    folder = Path(repo.working_dir)
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if content is None:
            path.unlink()
        else:
            path.write_text(content)
    repo.git.add("--all")
    with repo.git.custom_environment(**AUTHOR):
        repo.git.commit("--quiet", "-m", subject)
    if tag:
        repo.git.tag(tag)
    return str(repo.git.rev_parse("HEAD"))


def linux(folder: Path) -> git.Repo:
    """Three releases: 6.18 changes line 5 of a.c, 6.19 moves b.c and changes line 20 of a.c."""
    repo = git.Repo.init(folder, initial_branch="master")
    first = {"kernel/a.c": TEXT, "kernel/b.c": OTHER, "mm/c.c": THIRD, "Makefile": "VERSION = 6\n"}
    commit(repo, "Linux 6.17", first, "v6.17")
    second = TEXT.replace("line 5\n", "line five\n")
    commit(repo, "Linux 6.18", {"kernel/a.c": second}, "v6.18")
    third = second.replace("line 20\n", "line twenty\n")
    files = {"kernel/a.c": third, "kernel/b.c": None, "kernel/live/b.c": OTHER}
    commit(repo, "Linux 6.19", files, "v6.19")
    return repo


def on(repo: git.Repo, base: str, *changes: Mapping[str, str | None]) -> Series:
    """A series of one patch a change, made on ``base``; the repository is then as before."""
    before = repo.active_branch.name
    repo.git.checkout("--quiet", "--detach", base)
    ids = [
        commit(
            repo, f"kernel: change {number}\n\nBy Zoë.\n\nSigned-off-by: Zoë <zoe@example.org>", c
        )
        for number, c in enumerate(changes, 1)
    ]
    patches = [_patch(repo, id_, number, len(ids)) for number, id_ in enumerate(ids, 1)]
    repo.git.checkout("--quiet", before)
    return Series("change", 1, len(ids), tuple(patches), patches[0].msgid, "kernel: changes")


def _patch(repo: git.Repo, id_: str, number: int, of: int) -> Patch:
    msgid = f"2025-{number}/{of}+x@example.org"
    mail = repo.git.format_patch(
        "--stdout",
        "-1",
        id_,
        f"--subject-prefix=PATCH {number}/{of}",
        f"--add-header=Message-ID: <{msgid}>",
        stdout_as_string=False,
        strip_newline_in_stdout=False,
    )
    blobs = tuple(Blob(*found) for found in _DIFF.findall(mail.decode()))
    author = f"{AUTHOR['GIT_AUTHOR_NAME']} <{AUTHOR['GIT_AUTHOR_EMAIL']}>"
    return Patch(number, msgid, f"kernel: change {number}", author, "", blobs, mail)


def files_of(folder: Path) -> dict[str, bytes]:
    """All files below a folder (links by their target), with their bytes."""
    return {
        str(path.relative_to(folder)): (
            bytes(path.readlink()) if path.is_symlink() else path.read_bytes()
        )
        for path in folder.rglob("*")
        if path.is_symlink() or path.is_file()
    }
