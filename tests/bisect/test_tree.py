from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import git
import pytest

from khoci.bisect.history import NoRevertError
from khoci.bisect.tree import TreeHistory, between, open_tree, reopened
from khoci.bisection import Mark, narrow
from khoci.config.kernels import GitSource, KernelSpec
from khoci.errors import UsageError
from khoci.kernel.gittree import export
from khoci.kernel.patches import apply_patches, touched_by
from khoci.kernel.unpack import everything
from tests.series.small import AUTHOR, TEXT, commit, files_of

if TYPE_CHECKING:
    from collections.abc import Collection

TEMPLATE = KernelSpec("v6.19", (GitSource("v6.19"),), series="6.19", cmdline="quiet")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """v1 .. c3, a branch from c1 merged, c4: text, binary, a move, a mode, a link, a removal."""
    folder = tmp_path_factory.mktemp("made") / "linux"
    repo = git.Repo.init(folder, initial_branch="master")
    (folder / "photo.png").write_bytes(bytes(range(256)))
    commit(repo, "base", {"a.c": TEXT, "b.c": "b\n", "old.c": TEXT + "old\n"}, "v1")
    commit(repo, "c1", {"a.c": changed(3)}, "c1")
    (folder / "logo.png").write_bytes(bytes(range(256)))
    commit(repo, "c2 binary", {"a.c": changed(3, 9)}, "c2")
    (folder / "b.c").chmod(0o755)
    (folder / "link").symlink_to("a.c")
    commit(repo, "c3 move", {"old.c": None, "new.c": TEXT + "old\n"}, "c3")
    repo.git.checkout("--quiet", "-b", "side", "c1")
    commit(repo, "s1\n\nLink: https://example.org/s1", {"s.c": "one\n"}, "s1")
    commit(repo, "s2", {"s.c": "one\ntwo\n"}, "s2")
    repo.git.checkout("--quiet", "master")
    repo.git.merge("--quiet", "--no-ff", "-m", "merge side", "side", env=AUTHOR)
    repo.git.tag("m")
    (folder / "photo.png").write_bytes(bytes(reversed(range(256))))
    commit(repo, "c4", {"a.c": changed(3, 9, 30)}, "c4")
    commit(repo, "c5", {"a.c": changed(4, 9, 30)}, "c5")
    return folder


def changed(*lines: int) -> str:
    return "".join(
        f"changed {number}\n" if number in lines else f"line {number}\n" for number in range(1, 41)
    )


@pytest.fixture
def history(made: Path, tmp_path: Path) -> TreeHistory:
    return of(made, tmp_path, "v1", "c5")


def of(tree: Path, folder: Path, good: str, bad: str, *, first_parent: bool = False) -> TreeHistory:
    opened = open_tree(tree, TEMPLATE, folder / "cache")
    made = between(opened, good, bad, first_parent=first_parent)
    return made.kept_in(folder / "patches")


def id_of(history: TreeHistory, name: str) -> str:
    return history.repository.git.line("rev-parse", f"{name}^{{commit}}")


def search(history: TreeHistory, culprit: str, skipped: str = "") -> tuple[str, ...]:
    """What is found if the culprit and all that has it in are bad."""

    def test(id_: str, _suspects: int) -> Mark:
        if id_ == skipped:
            return Mark.SKIP
        has_it = history.repository.git.ask("merge-base", "--is-ancestor", culprit, id_)
        return Mark.BAD if has_it.status == 0 else Mark.GOOD

    return narrow(history.suspects, history.good, history.bad, test)


@pytest.mark.parametrize("culprit", ["c1", "c2", "c3", "s1", "s2", "m", "c4", "c5"])
def test_any_commit_is_found_behind_merges_too(history: TreeHistory, culprit: str) -> None:
    assert search(history, id_of(history, culprit)) == (id_of(history, culprit),)


@pytest.mark.parametrize(("culprit", "found"), [("s1", "m"), ("c3", "c3"), ("c5", "c5")])
def test_along_the_first_parents_a_merge_is_one_change(
    made: Path, tmp_path: Path, culprit: str, found: str
) -> None:
    history = of(made, tmp_path, "v1", "c5", first_parent=True)
    assert search(history, id_of(history, culprit)) == (id_of(history, found),)


def test_what_is_skipped_stays_a_suspect(history: TreeHistory) -> None:
    first, second = id_of(history, "c2"), id_of(history, "c3")
    assert set(search(history, first, skipped=first)) == {first, second}
    assert set(search(history, second, skipped=first)) == {first, second}
    assert set(search(history, first, skipped=second)) == {first}


@pytest.mark.parametrize("name", ["c1", "c2", "c3", "s2", "m", "c4", "c5"])
def test_a_candidate_is_the_good_end_with_a_patch(
    history: TreeHistory, made: Path, tmp_path: Path, name: str
) -> None:
    spec = history.kernel(id_of(history, name))
    assert spec.name == f"g{id_of(history, name)[:12]}"
    assert (spec.series, spec.cmdline) == (None, "quiet")
    assert built(spec, tmp_path / "built") == tree_of(made, name, tmp_path / "tree")


def test_modes_are_those_of_the_commit(history: TreeHistory, tmp_path: Path) -> None:
    for name, bits in (("c2", 0), ("c3", 0o111)):
        built(history.kernel(id_of(history, name)), tmp_path / name)
        assert (tmp_path / name / "b.c").stat().st_mode & 0o111 == bits


def test_the_good_end_has_no_patch(history: TreeHistory, made: Path, tmp_path: Path) -> None:
    spec = history.kernel(history.good)
    assert spec.patches == ()
    assert spec == history.base
    assert built(spec, tmp_path / "built") == tree_of(made, "v1", tmp_path / "tree")


def test_what_a_candidate_touches_is_known(history: TreeHistory) -> None:
    spec = history.kernel(id_of(history, "c3"))
    touched = touched_by(spec.name, spec.patches)
    assert touched.names == {"a.c", "b.c", "link", "logo.png", "new.c", "old.c"}
    assert touched.created == {"link", "logo.png", "new.c"}


def built(spec: KernelSpec, folder: Path) -> dict[str, bytes]:
    """The source tree that would be built."""
    folder.mkdir()
    (source,) = spec.sources
    assert isinstance(source, GitSource)
    export(source, folder, everything)
    apply_patches(spec.name, spec.patches, folder)
    return files_of(folder)


def tree_of(made: Path, name: str, folder: Path) -> dict[str, bytes]:
    folder.mkdir()
    export(GitSource(name, made), folder, everything)
    return files_of(folder)


def test_a_commit_is_told_with_its_author_and_link(history: TreeHistory) -> None:
    change = history.change(id_of(history, "s1"))
    assert change.id == id_of(history, "s1")
    assert (change.what, change.subject) == ("commit", "s1")
    assert change.author == "Zoë Łukasz <zoe@example.org>"
    assert change.date == "Mon Sep 1 10:00:00 2025 +0200"
    assert change.link == "https://example.org/s1"
    assert history.change(id_of(history, "c1")).link == ""


def test_a_subject_cannot_reach_the_terminal(made: Path, tmp_path: Path) -> None:
    shutil.copytree(made, tmp_path / "linux", symlinks=True)
    commit(git.Repo(tmp_path / "linux"), "red \x1b[31m", {"z.c": "z\n"}, "red")
    history = of(tmp_path / "linux", tmp_path, "v1", "red")
    assert history.change(history.bad).subject == "red \\x1b[31m"


# reverting


def test_a_commit_is_reverted_from_the_bad_end(
    history: TreeHistory, made: Path, tmp_path: Path
) -> None:
    spec = history.without(id_of(history, "c2"))
    assert spec.name == f"g{history.bad[:12]}-without-g{id_of(history, 'c2')[:12]}"
    files = built(spec, tmp_path / "built")
    assert files["a.c"].decode() == changed(4, 30)
    assert files["s.c"] == b"one\ntwo\n"


def test_a_move_is_reverted(history: TreeHistory, tmp_path: Path) -> None:
    files = built(history.without(id_of(history, "c3")), tmp_path / "built")
    assert "old.c" in files
    assert not {"new.c", "link"} & files.keys()


def test_a_revert_that_does_not_apply(history: TreeHistory) -> None:
    with pytest.raises(NoRevertError, match=r"^reverting does not apply: conflict in a\.c$"):
        history.without(id_of(history, "c1"))


def test_a_change_that_is_taken_back_already(made: Path, tmp_path: Path) -> None:
    shutil.copytree(made, tmp_path / "linux", symlinks=True)
    repo = git.Repo(tmp_path / "linux")
    commit(repo, "d1", {"d.c": "d\n"}, "d1")
    commit(repo, "d2", {"d.c": None}, "d2")
    history = of(tmp_path / "linux", tmp_path, "v1", "d2")
    with pytest.raises(NoRevertError, match="nothing left of it"):
        history.without(id_of(history, "d1"))


def test_a_merge_is_reverted_where_it_is_one_change(made: Path, tmp_path: Path) -> None:
    merge = id_of(of(made, tmp_path, "v1", "c5"), "m")
    with pytest.raises(NoRevertError, match="is a merge"):
        of(made, tmp_path, "v1", "c5").without(merge)
    whole = of(made, tmp_path, "v1", "c5", first_parent=True)
    assert "s.c" not in built(whole.without(merge), tmp_path / "built")


@pytest.mark.parametrize("kind", ["checkout", "bare", "worktree"])
def test_the_repository_is_only_read(made: Path, tmp_path: Path, kind: str) -> None:
    shutil.copytree(made, tmp_path / "linux", symlinks=True)
    repo, tree = git.Repo(tmp_path / "linux"), tmp_path / kind
    commit(repo, "more", {"more.c": "more\n"})
    (tmp_path / "linux/a.c").write_text("not committed\n")
    if kind == "bare":
        repo.clone(tree, bare=True)
    elif kind == "worktree":
        repo.git.worktree("add", "--quiet", "--detach", tree, "c4")
    else:
        tree = tmp_path / "linux"
    before = files_of(tree), files_of(tmp_path / "linux")
    history = of(tree, tmp_path, "v1", "c5")
    search(history, id_of(history, "s1"))
    built(history.kernel(history.bad), tmp_path / "bad")
    built(history.without(id_of(history, "c2")), tmp_path / "without")
    with pytest.raises(NoRevertError):
        history.without(id_of(history, "c1"))
    assert (files_of(tree), files_of(tmp_path / "linux")) == before
    assert not [path for path in (tmp_path / "cache").rglob("*") if path.is_dir()]


# the ends


@pytest.mark.parametrize(
    ("good", "bad", "message"),
    [
        ("v1", "v2", "'v2' is no commit of "),
        ("--all", "c5", "'--all' is no commit of "),
        ("c5", "c5", "are the same commit"),
        ("c5", "v1", "--good c5 is no ancestor of --bad v1: try --good "),
        ("s2", "c3", "--good s2 is no ancestor of --bad c3: try --good "),
    ],
)
def test_ends_that_do_not_do(made: Path, tmp_path: Path, good: str, bad: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        of(made, tmp_path, good, bad)


def test_ends_without_a_common_commit(made: Path, tmp_path: Path) -> None:
    shutil.copytree(made, tmp_path / "linux", symlinks=True)
    repo = git.Repo(tmp_path / "linux")
    repo.git.checkout("--quiet", "--orphan", "other")
    commit(repo, "other", {"o.c": "o\n"}, "other")
    with pytest.raises(UsageError, match=r"is no ancestor of --bad c5$"):
        of(tmp_path / "linux", tmp_path, "other", "c5")


def test_no_repository(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is no git repository"):
        open_tree(tmp_path, TEMPLATE, tmp_path)


def test_the_same_history_later(history: TreeHistory) -> None:
    """Also where a branch has moved, and the tree was named by a path that is relative."""
    again = reopened(history.to_json(), history.template, history.folder, history.cache)
    assert replace(again, repository=history.repository) == history


def suspects_of(history: TreeHistory, goods: Collection[str]) -> set[str]:
    return set(history.suspects(goods, history.bad))


def test_suspects_are_what_no_good_one_has(history: TreeHistory) -> None:
    names = {name: id_of(history, name) for name in ("c1", "c2", "c3", "s1", "s2", "m", "c4", "c5")}
    assert suspects_of(history, [history.good]) == set(names.values())
    known = [history.good, names["s1"], names["c2"]]
    assert suspects_of(history, known) == {names[name] for name in ("c3", "s2", "m", "c4", "c5")}
