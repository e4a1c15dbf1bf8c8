"""Sources from a git tree of the user's, without touching what is checked out there."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from khoci.errors import HarnessError

os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")  # a host without git just has no git source

import git
from git.exc import (
    GitCommandError,
    InvalidGitRepositoryError,
    NoSuchPathError,
)

if TYPE_CHECKING:
    from khoci.config.kernels import GitSource
    from khoci.kernel.unpack import Choice

TREE_VARIABLE = "KHOCI_LINUX_GIT"
TREE_CONFIG = "khoci.linux"


def configured_tree() -> Path | None:
    """The user's linux.git: ``$KHOCI_LINUX_GIT``, else ``git config khoci.linux``."""
    named = os.environ.get(TREE_VARIABLE)
    if not named:
        try:
            named = git.Git().config("--get", "--type=path", TREE_CONFIG)
        except (GitCommandError, git.GitCommandNotFound):
            return None
    return Path(named).expanduser()


def tree_id(source: GitSource) -> str | None:
    """The id of the git tree object that ``source`` names, or None where it is not available."""
    repo = _repo(source)
    return None if repo is None else _resolve(repo, f"{source.ref}^{{tree}}")


def export(source: GitSource, folder: Path, chosen: Choice) -> None:
    """Put the chosen files of ``source`` into ``folder``, which has none of them yet.

    Raises:
        HarnessError: the tree or the commit is not there, or git fails.
    """
    repo = _repo(source)
    commit = None if repo is None else _resolve(repo, f"{source.ref}^{{commit}}")
    if repo is None or commit is None:
        raise HarnessError(f"git: {source.ref} is not in {source.tree or configured_tree()}")
    try:
        with tempfile.TemporaryDirectory(prefix="khoci-") as own:
            _check_out(Path(repo.git_dir), commit, folder, Path(own), chosen)
    except GitCommandError as error:
        raise HarnessError(f"git: {source.ref} cannot be checked out: {_line(error)}") from error
    finally:
        repo.close()


def _check_out(repo: Path, commit: str, folder: Path, own: Path, chosen: Choice) -> None:
    """As ``git checkout`` does, with the index in the folder ``own`` and not the user's."""
    here = git.Git(folder)
    here.update_environment(
        GIT_DIR=str(repo), GIT_WORK_TREE=str(folder), GIT_INDEX_FILE=str(own / "index")
    )
    here.read_tree(commit)
    names = here.ls_files("-z").split("\0")
    with (own / "files").open("w+", encoding="utf-8") as listed:
        listed.write("\0".join(name for name in names if name and chosen(name)))
        listed.seek(0)
        here.checkout_index("-z", "--stdin", istream=listed)


def _repo(source: GitSource) -> git.Repo | None:
    path = source.tree or configured_tree()
    try:
        return None if path is None else git.Repo(path)
    except (InvalidGitRepositoryError, NoSuchPathError):
        return None


def _resolve(repo: git.Repo, name: str) -> str | None:
    try:
        return str(repo.git.rev_parse("--verify", "--quiet", "--end-of-options", name))
    except GitCommandError:
        return None


def _line(error: GitCommandError) -> str:
    return " ".join(str(error.stderr).split())
