from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from khoci.errors import UsageError
from khoci.series.apply import apply_series
from khoci.series.model import Outcome
from tests.series.small import TEXT, commit, files_of, on

if TYPE_CHECKING:
    import git

    from khoci.series.model import Series
    from khoci.series.plumbing import Repository

MOVES = b"""\
diff --git a/inc/deep/link b/link
similarity index 100%
rename from inc/deep/link
rename to link
"""
TURNS = b"""\
--- a/inc/deep/link
+++ b/inc/deep/link
@@ -1 +1 @@
-../../mm/c.c
\\ No newline at end of file
+%b
\\ No newline at end of file
"""
ADDS = b"""\
diff --git a/e b/e
new file mode 120000
index 0000000..1111111
--- /dev/null
+++ b/e
@@ -0,0 +1 @@
+%b
\\ No newline at end of file
"""
PICTURE = (
    b"--- a/picture\n+++ b/picture\n@@ -1,3 +1,3 @@\n \0\1\n-word\n+more\n \2\n"
    b"\\ No newline at end of file\n"
)


@pytest.fixture
def base(linux: git.Repo) -> str:
    """A release with a link, with a folder, and with a link to a folder."""
    linux.git.checkout("--quiet", "-b", "links", "v6.19")
    folder = Path(linux.working_dir)
    (folder / "inc/deep").mkdir(parents=True)
    (folder / "inc/deep/link").symlink_to("../../mm/c.c")
    (folder / "m").symlink_to("mm")
    (folder / "picture").write_bytes(b"\0\1\nword\n\2")
    return commit(linux, "links", {}, "v6.20")


def saying(linux: git.Repo, diff: bytes) -> Series:
    """A series of one patch with this diff."""
    series = on(linux, "v6.20", {"mm/c.c": "x\n"})
    mail = series.patches[0].mail.partition(b"diff --git")[0] + diff + b"-- \n2.39\n"
    return replace(series, patches=(replace(series.patches[0], mail=mail, blobs=()),))


@pytest.mark.parametrize(
    ("diff", "why"),
    [
        (MOVES, r"the link 'link' leads out of the tree, to '\.\./\.\./mm/c\.c'"),
        (TURNS % b"../../../etc/passwd", "the link 'inc/deep/link' leads out of the tree"),
        (TURNS % b"/etc/passwd", "the link 'inc/deep/link' leads out of the tree"),
        (TURNS % b"../../mm/../mm/c.c", "the link 'inc/deep/link' leads down and up again"),
        (TURNS % b"../../.git/config", "leads into git's own folder"),
        (ADDS % b"m/c.c", "the link 'e' leads through another, 'm'"),
        (
            PICTURE,
            r"it changes a binary file, .* \('picture'\)",
        ),
    ],
)
def test_what_a_mail_does_not_tell(
    diff: bytes, why: str, base: str, linux: git.Repo, tree: Repository, place: Path
) -> None:
    series = saying(linux, diff)
    before = files_of(Path(linux.working_dir))
    with pytest.raises(
        UsageError, match=rf"patch 1 \(2025-1/1\+x@example\.org\) is refused: .*{why}"
    ):
        apply_series(series, base, tree, place)
    assert files_of(Path(linux.working_dir)) == before
    assert files_of(place) == {}


def test_what_stays_in_the_tree_is_taken(
    base: str, linux: git.Repo, tree: Repository, place: Path
) -> None:
    moved = (
        b"diff --git a/picture b/new\nsimilarity index 100%\nrename from picture\nrename to new\n"
    )
    for diff in (TURNS % b"../../kernel/a.c", ADDS % b"mm/c.c", moved):
        done = apply_series(saying(linux, diff), base, tree, place, set_branch=False)
        assert done.outcome is Outcome.APPLIED


def test_a_submodule_that_a_merge_brings(
    base: str, linux: git.Repo, tree: Repository, place: Path
) -> None:
    diff = b"diff --git a/s b/s\nnew file mode 160000\nindex 0000000..1111111\n--- /dev/null\n"
    diff += b"+++ b/s\n@@ -0,0 +1 @@\n+Subproject commit " + b"1" * 40 + b"\n"
    with pytest.raises(UsageError, match="it adds a submodule, 's'"):
        apply_series(saying(linux, diff), base, tree, place)


@pytest.mark.parametrize("date", [b"", b"Date: Mon, 1 Jan 1900 00:00:00 +0000\n", b"Date: soon\n"])
def test_a_mail_without_a_date(date: bytes, linux: git.Repo, tree: Repository, place: Path) -> None:
    series = on(linux, "v6.17", {"kernel/a.c": TEXT.replace("line 30\n", "line thirty\n")})
    head, _, rest = series.patches[0].mail.partition(b"Date: ")
    mail = head + date + rest.partition(b"\n")[2]
    series = replace(series, patches=(replace(series.patches[0], mail=mail),))
    done = apply_series(series, "v6.17", tree, place)
    assert done.outcome is Outcome.APPLIED
    assert linux.git.show("-s", "--format=%at %ct", done.head) == "0 0"


def test_no_link_to_a_mail_that_had_no_id(linux: git.Repo, tree: Repository, place: Path) -> None:
    series = on(linux, "v6.17", {"kernel/a.c": TEXT.replace("line 30\n", "line thirty\n")})
    series = replace(series, patches=(replace(series.patches[0], msgid="12ab@khoci.invalid"),))
    done = apply_series(series, "v6.17", tree, place)
    assert "Link:" not in linux.git.show("-s", "--format=%B", done.head)
