from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import git
import pytest

from khoci.config.kernels import GitSource, Kernels, KernelSpec
from khoci.errors import UsageError
from khoci.kernel.cache import Cache
from khoci.progress import NoProgress
from khoci.series.apply import apply_series
from khoci.series.kernels import kernels_of
from khoci.series.model import Series
from khoci.series.onbase import load, record
from khoci.series.onto import put_on
from khoci.series.origin import MOST, Origin, origin_of
from khoci.series.plumbing import Git, Repository
from tests.series.small import AUTHOR, OTHER, TEXT, commit, on

SEVEN = TEXT.replace("line 7\n", "line seven\n")
KNOWN = Kernels(
    Path("kernels.toml"),
    {name: KernelSpec(name, (GitSource(name),)) for name in ("v6.17", "v6.18", "v6.19")},
)


@pytest.fixture
def applied(linux: git.Repo, tree: Repository, tmp_path: Path) -> str:
    """The head of a series of two that khoci applied on 6.18."""
    series = on(linux, "v6.18", {"kernel/a.c": SEVEN}, {"mm/c.c": "new\n"})
    one = replace(series, slug="one")
    return apply_series(one, "v6.18", tree, tmp_path / "place").head


def on_top(linux: git.Repo, commit: str) -> Series:
    return replace(on(linux, commit, {"mm/d.c": "more\n"}), slug="two", base_commit=commit)


@pytest.mark.parametrize("chosen", [True, False])
def test_a_tag_is_the_users(linux: git.Repo, tree: Repository, chosen: bool) -> None:
    at = linux.commit("v6.17").hexsha
    assert origin_of(tree.git, at, chosen=chosen) == Origin(at)


def test_a_branch_is_the_users_if_the_user_says_so(linux: git.Repo, tree: Repository) -> None:
    tip = commit(linux, "mine", {"mm/c.c": "mine\n"})
    below = linux.commit("v6.19").hexsha
    assert origin_of(tree.git, tip, chosen=True) == Origin(tip)
    assert origin_of(tree.git, tip, chosen=False) == Origin(below, (tip,))
    linux.git.update_ref("refs/remotes/origin/master", tip)
    assert origin_of(tree.git, tip, chosen=False) == Origin(tip)


def test_where_nobody_works_a_branch_is_the_users(
    linux: git.Repo, applied: str, tmp_path: Path
) -> None:
    tip = commit(linux, "mine", {"mm/c.c": "mine\n"})
    git.Repo.clone_from(str(linux.working_dir), tmp_path / "bare", mirror=True)
    assert origin_of(Git(tmp_path / "bare"), tip, chosen=False) == Origin(tip)
    found = origin_of(Git(tmp_path / "bare"), applied, chosen=False)
    assert found is not None
    assert found.root == linux.commit("v6.18").hexsha


@pytest.mark.parametrize("chosen", [True, False])
def test_what_khoci_applied_is_of_strangers(
    linux: git.Repo, tree: Repository, applied: str, chosen: bool
) -> None:
    first = linux.commit(f"{applied}~1").hexsha
    base = linux.commit("v6.18").hexsha
    assert origin_of(tree.git, applied, chosen=chosen) == Origin(base, (first, applied))


def test_what_is_no_row_of_patches(linux: git.Repo, tree: Repository) -> None:
    linux.git.checkout("--quiet", "--detach", "v6.17")
    commit(linux, "side", {"mm/e.c": "e\n"})
    with linux.git.custom_environment(**AUTHOR):
        linux.git.merge("--quiet", "-m", "merge", "v6.19")
    merge = linux.head.commit.hexsha
    assert origin_of(tree.git, merge, chosen=True) is None
    linux.git.checkout("--quiet", "master")
    series = on(linux, "v6.18", {"kernel/a.c": SEVEN})
    with pytest.raises(UsageError, match=r"is on no branch or tag of .*'git branch'"):
        put_on(series, merge, KNOWN, tree, Cache(Path("none")), NoProgress())
    linux.git.checkout("--quiet", "--detach", "v6.17")
    with linux.git.custom_environment(**AUTHOR):
        for number in range(MOST + 1):
            linux.git.commit("--quiet", "--allow-empty", "-m", f"{number}")
    assert origin_of(tree.git, linux.head.commit.hexsha, chosen=True) is None


def test_a_history_that_is_not_related(linux: git.Repo, tree: Repository) -> None:
    linux.git.checkout("--quiet", "--orphan", "alone")
    alone = commit(linux, "alone", {"mm/e.c": "e\n"})
    linux.git.checkout("--quiet", "master")
    linux.git.branch("-D", "alone")
    assert origin_of(tree.git, alone, chosen=True) is None


@pytest.mark.parametrize("named", [True, False])
def test_a_base_of_strangers_is_built_in_the_sandbox_too(
    linux: git.Repo, tree: Repository, applied: str, tmp_path: Path, named: bool
) -> None:
    """A mail can name what khoci made of another: the ids are no secret."""
    series = on_top(linux, applied)
    cache = Cache(tmp_path / "cache")
    base, done = put_on(series, applied if named else None, KNOWN, tree, cache, NoProgress())
    assert (base.commit, base.kernel) == (applied, "v6.18")
    assert base.why.endswith(", 2 patches of strangers below")
    on_base = record(tmp_path / "two/v1", tree, base, done)
    assert on_base == load(tmp_path / "two/v1")
    assert [file.subject for file in on_base.below] == ["kernel: change 1", "kernel: change 2"]
    found = kernels_of("two", 1, on_base, KNOWN)
    assert [spec.name for spec in found.specs] == ["two-v1-base", "two-v1"]
    assert [spec.untrusted for spec in found.specs] == [True, True]
    assert [spec.sources for spec in found.specs] == [(GitSource("v6.18"),)] * 2
    assert [len(spec.patches) for spec in found.specs] == [2, 3]
    linux.git.checkout("--quiet", "--detach", "v6.18")
    for path in found.whole.patches:
        linux.git.apply("--index", str(path))
    assert linux.git.write_tree() == linux.commit(done.head).tree.hexsha


def test_a_base_commit_that_cannot_be_taken_apart_is_passed_over(
    linux: git.Repo, tree: Repository, tmp_path: Path
) -> None:
    linux.git.checkout("--quiet", "--orphan", "alone")
    alone = commit(linux, "alone", {"kernel/b.c": OTHER})
    linux.git.checkout("--quiet", "master")
    linux.git.branch("-D", "alone")
    series = replace(on(linux, "v6.18", {"kernel/a.c": SEVEN}), base_commit=alone)
    base, _ = put_on(series, None, KNOWN, tree, Cache(tmp_path / "cache"), NoProgress())
    assert base.kernel == "v6.18"
    assert base.why.startswith(f"base-commit {alone[:12]} is on no tag or remote branch of the git")
