from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from khoci.series.hunks import FileDiff, Hunk, misfit, parse_diff, pieces, places

DIFF = b"""\
Words: diff --git a/no b/no

diff --git a/kernel/a.c b/kernel/a.c
index 1234567..89abcde 100644
--- a/kernel/a.c
+++ b/kernel/a.c
@@ -3,4 +3,4 @@ int f(void)
 three
-four
+4
 five
 six
@@ -10 +10,2 @@
 ten
+diff --git a/evil b/evil
diff --git a/old b/new
similarity index 90%
rename from old
rename to new
--- a/old
+++ b/new
@@ -1,2 +1 @@
-- a/word
 two
diff --git "a/sp\\303\\244t\\t\\".c" "b/sp\\303\\244t\\t\\".c"
new file mode 100644
--- /dev/null
+++ "b/sp\\303\\244t\\t\\".c"
@@ -0,0 +1 @@
+x
\\ No newline at end of file
diff --git a/with space.bin b/with space.bin
index 1..2 100644
GIT binary patch
literal 0
"""
EVIL = b"diff --git a/evil b/evil"
TEN = b"one\ntwo\nthree\nfour\nfive\nsix\nseven\neight\nnine\nten\n"


def test_the_files_and_hunks_of_a_patch() -> None:
    assert parse_diff(DIFF) == (
        FileDiff(
            "kernel/a.c",
            False,
            (
                Hunk(
                    start=3,
                    before=(b"three", b"four", b"five", b"six"),
                    after=(b"three", b"4", b"five", b"six"),
                    added=(b"4",),
                    after_start=3,
                    heading=b"int f(void)",
                ),
                Hunk(10, (b"ten",), (b"ten", EVIL), (EVIL,), 10),
            ),
            ("1234567", "89abcde"),
        ),
        FileDiff("old", False, (Hunk(1, (b"- a/word", b"two"), (b"two",), (), 1),), None, "new"),
        FileDiff('spät\t".c', True, (Hunk(0, (), (b"x",), (b"x",), 1),)),
        FileDiff("with space.bin", False, ()),
    )


def test_what_fits_wherever_it_is() -> None:
    first = parse_diff(DIFF)[0]
    assert misfit(first, TEN) is None
    assert misfit(first, b"more\n" * 50 + TEN) is None


@pytest.mark.parametrize(
    ("content", "hunks", "why", "lacks"),
    [
        (TEN.replace(b"four", b"4"), (1,), "hunk 1 of 2 does not fit (line 3 on)", ("four",)),
        (TEN.replace(b"ten", b"10"), (2,), "hunk 2 of 2 does not fit (line 10 on)", ("ten",)),
        (b"", (1, 2), "hunks 1, 2 of 2 do not fit (line 3 on)", ("three", "four", "five")),
        (TEN.replace(b"four\n", b"") + b"four\n", (1,), "hunk 1 of 2 does not fit (line 3 on)", ()),
        (None, (), "is not in the base", ()),
    ],
)
def test_what_does_not(
    content: bytes | None, hunks: tuple[int, ...], why: str, lacks: tuple[str, ...]
) -> None:
    found = misfit(parse_diff(DIFF)[0], content)
    assert found is not None
    assert (found.path, found.hunks, found.of) == ("kernel/a.c", hunks, 2)
    assert (found.why, found.lacks) == (why, lacks)


def test_a_new_file() -> None:
    new = parse_diff(DIFF)[2]
    assert misfit(new, None) is None
    found = misfit(new, b"")
    assert found is not None
    assert found.why == "is in the base already"


def test_what_strangers_write_is_shown_in_one_plain_line() -> None:
    diff = FileDiff("a\x1b[2J\udcff\nb", False, (Hunk(1, (b"x\x1b]0;y\x07\xff",)),))
    found = misfit(diff, b"")
    assert found is not None
    assert found.line.isprintable()


@given(st.lists(st.sampled_from([*DIFF.split(b"\n"), b"@@ -1,99999 +1 @@", b""]), max_size=30))
def test_no_patch_makes_it_fail(lines: list[bytes]) -> None:
    for diff in parse_diff(b"\n".join(lines)):
        misfit(diff, TEN)


@pytest.mark.parametrize(
    ("head", "path", "new"),
    [
        (b"--- a/mm/c.c\n+++ b/mm/c.c\n", "mm/c.c", False),
        (b"--- linux.orig/mm/c.c\t2025-01-01\n+++ linux/mm/c.c\t2025-01-02\n", "mm/c.c", False),
        (b"--- a/mm/c.c.orig\n+++ b/mm/c.c\n", "mm/c.c", False),
        (b"--- /dev/null\n+++ b/mm/new.c\n", "mm/new.c", True),
        (b"--- a/mm/c.c\n+++ /dev/null\n", "mm/c.c", False),
    ],
)
def test_a_file_without_a_line_of_git(head: bytes, path: str, new: bool) -> None:
    text = b"words\n--- a/words\n+++ that are no patch\n\n" + head + b"@@ -1 +1 @@\n-a\n+b\n"
    [file] = parse_diff(text + b"-- \n2.39\n")
    assert (file.path, file.new, len(file.hunks)) == (path, new, 1)
    assert pieces(text) == (head + b"@@ -1 +1 @@\n-a\n+b\n",)


def test_files_of_both_kinds() -> None:
    bare = b"--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n"
    assert [file.path for file in parse_diff(DIFF[: DIFF.index(b'diff --git "')] + bare * 2)] == [
        "kernel/a.c",
        "old",
        "x",
        "x",
    ]


def test_many_hunks_that_do_not_fit_take_no_time() -> None:
    content = b"}\n" * 100_000 + b"q\n"
    hunks = b"".join(b"@@ -%d,4 +%d,4 @@\n }\n-q\n+y\n }\n }\n" % (n, n) for n in range(2000))
    [file] = parse_diff(b"--- a/x\n+++ b/x\n" + hunks)
    began = time.process_time()
    found = misfit(file, content)
    assert time.process_time() - began < 0.5
    assert found is not None
    assert found.why.startswith("hunks 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 and maybe more of 2000 do not")


def test_where_lines_are() -> None:
    assert list(places((b"two", b"three"), TEN)) == [2]
    assert list(places((b"a", b"b"), b"a\nb\na\nb")) == [1, 3]
    assert list(places((b"a", b"a"), b"a\na\na\n")) == [1, 2]
    assert list(places((b"wo",), TEN)) == []
