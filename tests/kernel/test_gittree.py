from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import git
import pytest

from khoci.config.kernels import GitSource
from khoci.errors import BuildError
from khoci.kernel import store
from khoci.kernel.gittree import configured_tree, export, tree_id
from khoci.kernel.unpack import everything, lean
from tests.kernel.fakelinux import make_tree

if TYPE_CHECKING:
    from khoci.kernel.cache import Cache
    from tests.kernel.conftest import Fake


@pytest.fixture
def linux(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> git.Repo:
    """A user's linux.git with a tag, and work going on in its checkout."""
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{role}_NAME", "A U Thor")
        monkeypatch.setenv(f"GIT_{role}_EMAIL", "author@example.com")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "gitconfig"))
    monkeypatch.delenv("KHOCI_LINUX_GIT", raising=False)
    tree = make_tree(tmp_path / "linux")
    repo = git.Repo.init(tree, initial_branch="topic")
    repo.git.add("--all")
    repo.git.commit("-m", "fake linux")
    repo.git.tag("v6.18.15")
    (tree / "source.c").write_text("staged\n")
    repo.git.add("source.c")
    (tree / "source.c").write_text("unfinished\n")
    (tree / "untracked").write_text("mine\n")
    return repo


def state(repo: git.Repo) -> tuple[str, ...]:
    folder = Path(repo.working_dir)
    return (
        repo.git.status("--porcelain=v2", "--branch"),
        repo.git.diff(),
        repo.git.diff("--cached"),
        repo.git.worktree("list"),
        repo.git.config("--list", "--local"),
        repo.git.for_each_ref(),
        (folder / "untracked").read_text(),
        str((folder / ".git/worktrees").exists()),
    )


def test_a_build_leaves_the_users_checkout_as_it_was(
    linux: git.Repo, fake: Fake, cache: Cache
) -> None:
    before = state(linux)
    spec = replace(fake.kernel(), sources=(GitSource("v6.18.15", Path(linux.working_dir)),))
    built = store.obtain(spec, cache=cache)
    assert b"int main;" in built.image.read_bytes()
    assert state(linux) == before


def test_a_failed_build_leaves_the_users_checkout_as_it_was(
    linux: git.Repo, fake: Fake, cache: Cache
) -> None:
    Path(linux.working_dir, "broken").touch()
    linux.git.add("broken")
    linux.git.commit("-m", "broken", "--only", "broken")
    before = state(linux)
    spec = replace(fake.kernel(), sources=(GitSource("topic", Path(linux.working_dir)),))
    with pytest.raises(BuildError):
        store.obtain(spec, cache=cache)
    assert state(linux) == before


def test_a_lean_checkout_has_no_bulk(linux: git.Repo, tmp_path: Path) -> None:
    source = GitSource("v6.18.15", Path(linux.working_dir))
    for chosen, bulk in ((lean("x86"), False), (everything, True)):
        tree = tmp_path / f"work-{bulk}"
        tree.mkdir()
        export(source, tree, chosen)
        assert (tree / "Makefile").is_file()
        assert (tree / "drivers/gpu/drm/Kconfig").is_file()
        assert (tree / "drivers/gpu/drm/big.c").exists() is bulk
        assert not (tree / ".git").exists()


def test_what_a_tree_lacks_comes_on_top(linux: git.Repo, tmp_path: Path) -> None:
    source = GitSource("v6.18.15", Path(linux.working_dir))
    tree = tmp_path / "lean"
    tree.mkdir()
    export(source, tree, lean("x86"))
    (tree / "source.c").write_text("patched\n")
    export(source, tree, {"drivers/gpu/drm/big.c"}.__contains__)
    assert (tree / "drivers/gpu/drm/big.c").is_file()
    assert (tree / "source.c").read_text() == "patched\n"


def test_a_bare_tree_serves_as_well(linux: git.Repo, tmp_path: Path) -> None:
    linux.clone(str(tmp_path / "bare"), bare=True)
    tree = tmp_path / "tree"
    tree.mkdir()
    export(GitSource("v6.18.15", tmp_path / "bare"), tree, everything)
    assert (tree / "source.c").read_text() == "int main;\n"


def test_the_id_is_that_of_the_content(linux: git.Repo) -> None:
    source = GitSource("v6.18.15", Path(linux.working_dir))
    linux.git.commit("--amend", "-m", "other words", "--only", "Makefile", "--allow-empty")
    linux.git.tag("again")
    assert tree_id(source) == tree_id(replace(source, ref="again"))


def test_where_there_is_no_tree_or_ref(linux: git.Repo, tmp_path: Path) -> None:
    assert tree_id(GitSource("v9.9", Path(linux.working_dir))) is None
    assert tree_id(GitSource("v6.18.15", tmp_path / "none")) is None
    assert tree_id(GitSource("v6.18.15")) is None


def test_the_users_tree_is_configured(
    linux: git.Repo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert configured_tree() is None
    git.Git().config("--global", "khoci.linux", linux.working_dir)
    assert configured_tree() == Path(linux.working_dir)
    assert tree_id(GitSource("v6.18.15")) is not None
    monkeypatch.setenv("KHOCI_LINUX_GIT", str(tmp_path / "other"))
    assert configured_tree() == tmp_path / "other"
