from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from khoci.errors import HarnessError, UsageError
from khoci.series.apply import apply_series
from khoci.series.model import Outcome
from khoci.series.plumbing import open_repository
from tests.series.small import OTHER, TEXT, THIRD, commit, files_of, on

if TYPE_CHECKING:
    import git

    from khoci.series.model import Series
    from khoci.series.plumbing import Repository

CLEAN = TEXT.replace("line 30\n", "line thirty\n")
NEAR = TEXT.replace("line 7\n", "line seven\n")
"""Has line 5, which v6.18 changes, as context."""
CLASH = TEXT.replace("line 20\n", "line XX\n")
"""Changes what v6.19 changes."""
MOVED = OTHER.replace("row 30\n", "row thirty\n")
NEW = THIRD.replace("item 30\n", "item thirty\n")
A, B, C = "kernel/a.c", "kernel/b.c", "mm/c.c"


def test_a_clean_series_becomes_a_branch(linux: git.Repo, tree: Repository, place: Path) -> None:
    series = on(linux, "v6.17", {A: CLEAN}, {A: f"{CLEAN}end\n", "mm/new.c": "new\n"})
    done = apply_series(series, "v6.19", tree, place)
    assert (done.outcome, done.applied, done.of, done.why) == (Outcome.APPLIED, 2, 2, "")
    assert [step.outcome for step in done.steps] == [Outcome.APPLIED] * 2
    assert not any(step.three_way for step in done.steps)
    assert done.branch == "khoci/change/v1"
    assert linux.git.rev_parse(done.branch) == done.head == done.steps[1].commit
    assert linux.git.rev_parse(f"{done.head}~2") == linux.git.rev_parse("v6.19")
    assert linux.git.show(f"{done.head}:mm/new.c") == "new"
    assert "line thirty\n" in linux.git.show(f"{done.head}:{A}")
    assert "line twenty\n" in linux.git.show(f"{done.head}:{A}")
    linux.git.fsck("--strict")


def test_who_wrote_it_and_where_it_was_sent(linux: git.Repo, tree: Repository, place: Path) -> None:
    done = apply_series(on(linux, "v6.17", {A: CLEAN}), "v6.17", tree, place)
    show = linux.git.show("-s", "--format=%an|%ae|%aI|%cn|%ce|%cI|%B", done.head)
    who, _, message = show.rpartition("|")
    assert who == (
        "Zoë Łukasz|zoe@example.org|2025-09-01T10:00:00+02:00|"
        "khoci|khoci@localhost|2025-09-01T10:00:00+02:00"
    )
    assert message.strip() == (
        "kernel: change 1\n\nBy Zoë.\n\nSigned-off-by: Zoë <zoe@example.org>\n"
        "Link: https://patch.msgid.link/2025-1%2F1+x@example.org"
    )


def test_a_link_is_not_there_twice(linux: git.Repo, tree: Repository, place: Path) -> None:
    series = on(linux, "v6.17", {A: CLEAN})
    link = b"Link: https://patch.msgid.link/2025-1%2F1+x@example.org\n---\n"
    mail = series.patches[0].mail.replace(b"---\n", link, 1)
    series = replace(series, patches=(replace(series.patches[0], mail=mail),))
    done = apply_series(series, "v6.17", tree, place)
    assert linux.git.show("-s", done.head).count("Link:") == 1


def test_the_same_commits_each_time(linux: git.Repo, tree: Repository, place: Path) -> None:
    series = on(linux, "v6.17", {A: CLEAN}, {B: MOVED})
    heads = {apply_series(series, "v6.18", tree, place / name).head for name in "ab"}
    assert len(heads) == 1


def test_a_merge(linux: git.Repo, tree: Repository, place: Path) -> None:
    series = on(linux, "v6.17", {A: NEAR})
    done = apply_series(series, "v6.18", tree, place)
    assert done.outcome is Outcome.APPLIED
    assert [step.three_way for step in done.steps] == [True]
    content = linux.git.show(f"{done.head}:{A}")
    assert "line five\n" in content
    assert "line seven\n" in content


def test_a_merge_follows_a_file_that_moved(linux: git.Repo, tree: Repository, place: Path) -> None:
    done = apply_series(on(linux, "v6.17", {B: MOVED}, {B: f"{MOVED}end\n"}), "v6.19", tree, place)
    assert done.outcome is Outcome.APPLIED
    changed = linux.git.diff("--name-only", "v6.19", done.head)
    assert changed == "kernel/live/b.c"
    assert [step.elsewhere for step in done.steps] == [("kernel/live/b.c",)] * 2
    assert linux.git.show(f"{done.head}:kernel/live/b.c") == f"{MOVED}end"


def test_a_conflict_names_patch_file_and_hunk(
    linux: git.Repo, tree: Repository, place: Path
) -> None:
    both = CLASH.replace("line 3\n", "line three\n").replace("line 38\n", "line 38!\n")
    series = on(linux, "v6.17", {B: MOVED}, {A: both}, {C: NEW})
    done = apply_series(series, "v6.19", tree, place)
    assert (done.outcome, done.stopped_at, done.applied, done.of) == (Outcome.CONFLICT, 2, 1, 3)
    assert [step.outcome for step in done.steps] == [Outcome.APPLIED, Outcome.CONFLICT, None]
    [found] = done.misfits
    assert (found.path, found.hunks, found.of) == (A, (1, 2), 3)
    assert found.lacks == ("line 5", "line 20")
    assert done.why == (
        "conflict at 2 of 3: kernel/a.c: hunks 1, 2 of 3 do not fit (line 1 on); no line 'line 5'"
    )
    assert not done.head
    assert not done.branch


def test_what_cannot_be_merged_says_why(linux: git.Repo, tree: Repository, place: Path) -> None:
    series = on(linux, "v6.17", {A: f"{TEXT}only here\n"}, {A: f"{TEXT}only there\n"})
    second = replace(series.patches[1], number=1)
    mail = second.mail.replace(b"index ", b"index dead")
    blob = replace(second.blobs[0], old=f"dead{second.blobs[0].old}"[:7])
    second = replace(second, mail=mail, blobs=(blob,))
    done = apply_series(replace(series, expected=1, patches=(second,)), "v6.17", tree, place)
    assert done.why == (
        "conflict at 1 of 1: kernel/a.c: hunk 1 of 1 does not fit (line 38 on); "
        "no line 'only here'; no merge was possible: the tree never had this version of "
        f"kernel/a.c ({blob.old})"
    )


def test_a_file_that_is_not_in_the_base(linux: git.Repo, tree: Repository, place: Path) -> None:
    other = TEXT.replace("line", "word")
    linux.git.checkout("--quiet", "-b", "more")
    commit(linux, "more", {"kernel/more.c": other})
    series = on(linux, "more", {"kernel/more.c": f"{other}end\n"})
    done = apply_series(series, "v6.19", tree, place)
    assert "kernel/more.c: is not in the base" in done.why


def test_a_new_file_that_is_in_the_base(linux: git.Repo, tree: Repository, place: Path) -> None:
    series = on(linux, "v6.18", {"kernel/live/b.c": "another\n"})
    done = apply_series(series, "v6.19", tree, place)
    assert "kernel/live/b.c: is in the base already" in done.why


def test_all_in_already(linux: git.Repo, tree: Repository, place: Path) -> None:
    series = on(linux, "v6.17", {A: CLEAN}, {B: MOVED})
    commit(linux, "taken", {A: linux_a(linux).replace("line 30\n", "line thirty\n")})
    commit(linux, "taken too", {"kernel/live/b.c": MOVED}, "v6.20")
    done = apply_series(series, "v6.20", tree, place)
    assert (done.outcome, done.applied, done.already_in) == (Outcome.ALREADY_IN, 0, (1, 2))
    assert not done.branch
    assert "khoci" not in linux.git.for_each_ref()


def test_all_in_where_one_builds_on_another(linux: git.Repo, tree: Repository, place: Path) -> None:
    steps = ({"mm/new.c": "one\n"}, {"mm/new.c": "two\n"}, {A: CLASH}, {A: NEAR})
    series = on(linux, "v6.19", *steps)
    commit(linux, "taken", {"mm/new.c": "two\n", A: NEAR}, "v6.20")
    done = apply_series(series, "v6.20", tree, place)
    assert (done.outcome, done.already_in) == (Outcome.ALREADY_IN, (1, 2, 3, 4))
    more = on(linux, "v6.19", *steps, {C: NEW})
    done = apply_series(more, "v6.20", tree, place)
    assert (done.outcome, done.applied, done.already_in) == (Outcome.APPLIED, 1, (1, 2, 3, 4))


def linux_a(linux: git.Repo) -> str:
    return (Path(linux.working_dir) / A).read_text()


def test_some_in_already(linux: git.Repo, tree: Repository, place: Path) -> None:
    series = on(linux, "v6.18", {C: NEW}, {B: MOVED})
    commit(linux, "taken", {C: NEW}, "v6.20")
    done = apply_series(series, "v6.20", tree, place)
    assert (done.outcome, done.applied, done.already_in) == (Outcome.APPLIED, 1, (1,))
    assert linux.git.rev_parse(f"{done.head}^") == linux.git.rev_parse("v6.20")


def test_what_is_behind_a_conflict_may_be_in(
    linux: git.Repo, tree: Repository, place: Path
) -> None:
    series = on(linux, "v6.17", {A: CLASH}, {C: NEW})
    commit(linux, "taken", {C: NEW}, "v6.20")
    done = apply_series(series, "v6.20", tree, place)
    assert (done.outcome, done.stopped_at, done.already_in) == (Outcome.CONFLICT, 1, (2,))


def test_a_missing_patch(linux: git.Repo, tree: Repository, place: Path) -> None:
    series = on(linux, "v6.17", {A: CLEAN}, {B: MOVED}, {C: NEW})
    series = replace(series, patches=(series.patches[0], series.patches[2]))
    done = apply_series(series, "v6.17", tree, place)
    assert (done.outcome, done.applied, done.of) == (Outcome.INCOMPLETE, 0, 3)
    assert done.why == "the series is not complete: patch 2 of 3 is missing"


@pytest.mark.parametrize("base", ["v9.9", "0123456789" * 4, "--all", "", "v6.17:kernel", "v6.17\n"])
def test_an_unknown_base(base: str, linux: git.Repo, tree: Repository, place: Path) -> None:
    done = apply_series(on(linux, "v6.17", {A: CLEAN}), base, tree, place)
    assert (done.outcome, done.applied, done.of) == (Outcome.BASE_UNKNOWN, 0, 1)
    assert base in done.why


def test_a_mail_without_a_patch(linux: git.Repo, tree: Repository, place: Path) -> None:
    series = on(linux, "v6.17", {A: CLEAN})
    mail = series.patches[0].mail.partition(b"diff --git")[0]
    series = replace(series, patches=(replace(series.patches[0], mail=mail),))
    done = apply_series(series, "v6.17", tree, place)
    assert (done.outcome, done.why) == (
        Outcome.CONFLICT,
        "conflict at 1 of 1: its mail has no patch",
    )


def test_a_mail_with_two_patches(linux: git.Repo, tree: Repository, place: Path) -> None:
    series = on(linux, "v6.17", {A: CLEAN}, {B: MOVED})
    both = series.patches[0].mail + series.patches[1].mail
    series = replace(series, expected=1, patches=(replace(series.patches[0], mail=both),))
    with pytest.raises(HarnessError, match="its mail holds several patches"):
        apply_series(series, "v6.17", tree, place)


def test_a_mail_with_dos_lines(linux: git.Repo, tree: Repository, place: Path) -> None:
    series = on(linux, "v6.17", {A: CLASH})
    mail = series.patches[0].mail.replace(b"\n", b"\r\n")
    series = replace(series, patches=(replace(series.patches[0], mail=mail),))
    assert apply_series(series, "v6.17", tree, place, set_branch=False).outcome is Outcome.APPLIED
    assert apply_series(series, "v6.19", tree, place).misfits[0].hunks == (1,)


def bare(series: Series, mail: bytes) -> Series:
    """The same with only ``---`` and ``+++`` at the head of each file."""
    mail = re.sub(rb"^(?:diff --git|index) .*\n", b"", mail, flags=re.MULTILINE)
    return replace(series, patches=(replace(series.patches[0], mail=mail, blobs=()),))


def test_a_diff_that_is_not_of_git(linux: git.Repo, tree: Repository, place: Path) -> None:
    series = on(linux, "v6.17", {A: CLASH})
    series = bare(series, series.patches[0].mail)
    assert apply_series(series, "v6.18", tree, place, set_branch=False).outcome is Outcome.APPLIED
    done = apply_series(series, "v6.19", tree, place)
    assert done.why == (
        "conflict at 1 of 1: kernel/a.c: hunk 1 of 1 does not fit (line 17 on); no line 'line 20'"
    )


@pytest.mark.parametrize("path", ["../evil.c", ".git/config", "/tmp/evil.c", "mm/../../evil.c"])
def test_a_patch_that_leaves_the_tree(
    path: str, linux: git.Repo, tree: Repository, place: Path
) -> None:
    series = on(linux, "v6.17", {"mm/new.c": "new\n"})
    mail = series.patches[0].mail.replace(b"mm/new.c", path.encode())
    series = replace(series, patches=(replace(series.patches[0], mail=mail),))
    before = files_of(Path(linux.working_dir))
    assert apply_series(series, "v6.17", tree, place).outcome is Outcome.CONFLICT
    assert files_of(Path(linux.working_dir)) == before


def test_a_bare_repository(linux: git.Repo, tmp_path: Path, place: Path) -> None:
    bare = linux.clone(str(tmp_path / "bare"), bare=True)
    done = apply_series(
        on(linux, "v6.17", {A: CLEAN}), "v6.18", open_repository(tmp_path / "bare"), place
    )
    assert bare.git.rev_parse(done.branch) == done.head


def test_a_shallow_repository(linux: git.Repo, tmp_path: Path, place: Path) -> None:
    series = on(linux, "v6.17", {A: CLEAN})
    url = f"file://{linux.working_dir}"
    shallow = linux.clone_from(url, str(tmp_path / "shallow"), depth=1)
    done = apply_series(series, "HEAD", open_repository(tmp_path / "shallow"), place)
    assert shallow.git.rev_parse(f"{done.branch}^") == shallow.git.rev_parse("HEAD")
    shallow.git.fsck()


def test_no_repository(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is no git repository"):
        open_repository(tmp_path)


def test_a_branch_that_is_checked_out_stays(linux: git.Repo, tree: Repository, place: Path) -> None:
    first, second = on(linux, "v6.17", {A: CLEAN}), on(linux, "v6.17", {A: CLASH})
    apply_series(first, "v6.17", tree, place)
    linux.git.checkout("--quiet", "khoci/change/v1")
    before = files_of(Path(linux.working_dir))
    again = apply_series(first, "v6.17", tree, place)
    assert again.outcome is Outcome.APPLIED
    with pytest.raises(UsageError, match=r"branch khoci/change/v1 is checked out in .*linux"):
        apply_series(second, "v6.17", tree, place)
    assert files_of(Path(linux.working_dir)) == before


def test_a_branch_moves(linux: git.Repo, tree: Repository, place: Path) -> None:
    apply_series(on(linux, "v6.17", {A: CLEAN}), "v6.17", tree, place)
    done = apply_series(on(linux, "v6.17", {A: CLASH}), "v6.18", tree, place)
    assert linux.git.rev_parse("khoci/change/v1") == done.head


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("khoci", r"rename it \('git branch -m khoci NAME'\)$"),
        ("khoci/change", r".* or name the series otherwise \(--slug\)$"),
        ("khoci/change/v1/mine", r".* or name the series otherwise \(--slug\)$"),
    ],
)
def test_a_branch_in_the_way(
    name: str, advice: str, linux: git.Repo, tree: Repository, place: Path
) -> None:
    linux.git.branch(name, "v6.17")
    series = on(linux, "v6.17", {A: CLEAN})
    with pytest.raises(UsageError, match=rf"branch {name} of .* is in the way .*: {advice}"):
        apply_series(series, "v6.17", tree, place)
    assert apply_series(series, "v6.17", tree, place, set_branch=False).head


def test_commits_of_the_user_on_the_branch_stay(
    linux: git.Repo, tree: Repository, place: Path
) -> None:
    series = on(linux, "v6.17", {A: CLEAN})
    first = apply_series(series, "v6.17", tree, place)
    linux.git.checkout("--quiet", first.branch)
    mine = commit(linux, "mine", {"mine": "x\n"})
    linux.git.checkout("--quiet", "master")
    message = rf"branch khoci/change/v1 has commits that khoci did not make \({mine[:7]}\): keep"
    for base in ("v6.17", "v6.18"):
        with pytest.raises(UsageError, match=message):
            apply_series(series, base, tree, place)
    assert str(linux.commit(first.branch)) == mine
    linux.git.branch("mine", mine)
    done = apply_series(series, "v6.18", tree, place)
    assert str(linux.commit(first.branch)) == done.head
