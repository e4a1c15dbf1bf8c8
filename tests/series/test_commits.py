from __future__ import annotations

import git
import pytest

from khoci.errors import UsageError
from khoci.series import commits
from khoci.series.mails import header, split
from khoci.series.plumbing import Repository
from tests.series import small


@pytest.mark.parametrize(
    ("name", "is_one"),
    [
        ("v6.18..topic", True),
        ("0a1b2c..HEAD~3", True),
        ("a..b@example.org", False),
        ("../patches", False),
        ("folder/../patches", False),
        ("v6.18", False),
        ("..topic", False),
    ],
)
def test_what_names_commits(name: str, is_one: bool) -> None:
    assert commits.is_range(name) is is_one


def test_commits_are_mails_in_their_order(linux: git.Repo, tree: Repository) -> None:
    linux.git.checkout("--quiet", "-b", "topic", "v6.18")
    small.commit(linux, "kernel: one", {"kernel/a.c": "1\n"})
    small.commit(linux, "kernel: two", {"mm/c.c": "2\n"})
    found = commits.in_tree("v6.18..topic", tree.git)
    assert found.base == linux.git.rev_parse("v6.18")
    mails = split(commits.as_mbox(found, tree.git), tree.git)
    assert [header(mail, "Subject") for mail in mails] == [
        "[PATCH 1/2] kernel: one",
        "[PATCH 2/2] kernel: two",
    ]


def test_a_base_that_went_on_is_followed_down(linux: git.Repo, tree: Repository) -> None:
    linux.git.checkout("--quiet", "-b", "topic", "v6.18")
    small.commit(linux, "kernel: one", {"mm/c.c": "1\n"})
    assert commits.in_tree("master..topic", tree.git).base == linux.git.rev_parse("v6.18")


def test_what_is_no_series(linux: git.Repo, tree: Repository) -> None:
    linux.git.checkout("--quiet", "-b", "topic", "v6.18")
    small.commit(linux, "kernel: one", {"mm/c.c": "1\n"})
    with linux.git.custom_environment(**small.AUTHOR):
        linux.git.merge("--quiet", "-m", "merged", "master")
    with pytest.raises(UsageError, match="is a merge: rebase"):
        commits.in_tree("v6.18..topic", tree.git)
    with pytest.raises(UsageError, match="nothing-here: is no commit of"):
        commits.in_tree("v6.18..nothing-here", tree.git)
    with pytest.raises(UsageError, match="is no commit"):
        commits.in_tree("v6.18..v6.17", tree.git)
