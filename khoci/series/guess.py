"""b4's guess at the commit that a series was made on, in a tree of our own that sees the user's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from khoci.kernel.trees import work_tree
from khoci.series.base import Guess
from khoci.series.origin import is_bare
from khoci.series.plumbing import Git, resolve
from khoci.series.workshop import set_up

if TYPE_CHECKING:
    from pathlib import Path

    from khoci.series.b4 import B4
    from khoci.series.model import Series
    from khoci.series.plumbing import Repository

_FORMAT = "%(refname) %(objecttype) %(objectname) %(*objecttype) %(*objectname)"
_OURS = "refs/heads/khoci/"


def guess_base(series: Series, repository: Repository, place: Path, b4: B4) -> Guess | None:
    """The newest commit of the repository with the very files that a series touches.

    A mail must not choose what only the user has: candidates are what tags and branches of remotes
    have and, where nobody works in the repository, its branches; but not what khoci applied there.

    Args:
        series: with at least one patch.
        repository: where to look; nothing is written there.
        place: the folder for workshops.
        b4: how to run it.

    Raises:
        HarnessError: git or b4 fails.
    """
    refs = dict(_refs(repository))
    if not refs:
        return None
    with work_tree(place) as folder:
        tree = folder / "guess"
        made = Git(tree / ".git", tree)
        set_up(made, repository, next(iter(refs.values())), [])
        made.tell("config", "core.bare", "false")
        lines = "".join(f"create {ref} {commit}\n" for ref, commit in refs.items())
        made.tell("update-ref", "--no-deref", "--stdin", stdin=lines.encode())
        named = b4.guess(b"\n".join(patch.mail for patch in series.patches), tree)
        commit = resolve(made, named) if named else None
        return Guess(commit, named) if named and commit else None


def _refs(repository: Repository) -> list[tuple[str, str]]:
    """The refs that lead to candidates; tags are followed."""
    places = ["refs/tags", "refs/remotes", *(["refs/heads"] if is_bare(repository.git) else [])]
    listed = repository.git.line("for-each-ref", f"--format={_FORMAT}", *places).splitlines()
    found = []
    for line in listed:
        ref, kind, name, *peeled = line.split(" ")
        inner = peeled if "commit" in peeled else []
        if not ref.startswith(_OURS) and (kind == "commit" or inner):
            found.append((ref, inner[-1] if inner else name))
    return found
