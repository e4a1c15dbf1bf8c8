from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import git
import pytest

from khoci.series.plumbing import Repository, open_repository
from tests.series import small

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def nobodys_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "gitconfig"))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")


@pytest.fixture(scope="session")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("once") / "linux"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
        small.linux(folder).close()
    return folder


@pytest.fixture
def linux(made_once: Path, tmp_path: Path) -> git.Repo:
    """The small linux.git of `tests.series.small`, with v6.19 checked out on master."""
    shutil.copytree(made_once, tmp_path / "linux", symlinks=True)
    return git.Repo(tmp_path / "linux")


@pytest.fixture
def tree(linux: git.Repo, tmp_path: Path) -> Repository:
    return open_repository(tmp_path / "linux")


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "cache/series"
