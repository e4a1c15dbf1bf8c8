from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from khoci.errors import UsageError
from khoci.series.hostile import reason, reason_in, refuse

GOOD = """\
kho: a word

rename from ../../etc is said in prose, and
Binary files a and b differ too.
---
 lib/a.c | 2 +-

diff --git a/lib/a.c b/lib/a.c
index 1111111..2222222 100644
--- a/lib/a.c
+++ b/lib/a.c
@@ -1,2 +1,2 @@
 diff --git a/../x b/../x
-old
+--- a/../../etc/passwd
"""


def adding(path: str, mode: str = "100644", line: str = "x") -> bytes:
    return (
        f"diff --git a/{path} b/{path}\nnew file mode {mode}\nindex 0000000..1111111\n"
        f"--- /dev/null\n+++ b/{path}\n@@ -0,0 +1 @@\n+{line}\n"
    ).encode()


def test_a_good_one() -> None:
    assert reason_in(GOOD.encode()) is None
    assert reason_in(adding("Documentation/grüße.rst")) is None
    assert reason_in(adding("lib/b.c").replace(b"b/lib/b.c", b'"b/lib/\\303\\274.c"')) is None
    assert reason_in(adding("include/dt/link.h", "120000", "../asm/other.h")) is None
    assert reason_in(adding(".gitignore")) is None


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("../../etc/passwd", "names '..' in a path"),
        ("a/../../x", "names '..' in a path"),
        (".git/hooks/post-checkout", "names '.git' in a path"),
        ("a/.GIT/config", "names '.GIT' in a path"),
        ("git~1/config", "names 'git~1' in a path"),
        (".g\u200cit/config", "names '.g\\u200cit' in a path"),
        (".git./config", "names '.git.' in a path"),
        ("a//b", "is none that git would write"),
        ("a\\b", "or a backslash"),
        ("a\x1bb", "nobody can see"),
        ("a" * 300, "is too long"),
    ],
)
def test_paths(path: str, why: str) -> None:
    assert why in (reason_in(adding(path)) or "")


def test_a_name_that_the_first_line_does_not_tell() -> None:
    for line in ("+++ b/../../etc/passwd", "rename to ../../etc/passwd", "+++ b/.git/config"):
        head = f"diff --git a/x b/x\n--- a/x\n{line}\n@@ -1 +1 @@\n-a\n+b\n"
        assert reason_in(head.encode()) is not None
    bare = b"--- a/../../x\n+++ b/../../x\n@@ -1 +1 @@\n-a\n+b\n"
    assert "leads out of the tree" in (reason_in(bare) or "")
    rooted = b"--- /etc/passwd\n+++ /etc/passwd\n@@ -1 +1 @@\n-a\n+b\n"
    assert "is outside of the tree" in (reason_in(rooted) or "")
    quoted = b'--- a/x\n+++ "b/\\056git/config"\n@@ -1 +1 @@\n-a\n+b\n'
    assert "git's own folder" in (reason_in(quoted) or "")


def test_words_that_look_like_names() -> None:
    words = b"Example:\n\n--- a/../x\n+++ old talk\nand text\n\n"
    assert reason_in(words + adding("lib/b.c")) is None
    assert reason_in(words.replace(b"and text", b"@@ -1 +1 @@") + adding("lib/b.c")) is not None


@pytest.mark.parametrize("target", ["/etc/passwd", "../../outside", "../.git/config"])
def test_links(target: str) -> None:
    assert "the link 'lib/x' leads" in (reason_in(adding("lib/x", "120000", target)) or "")
    changed = (
        f"diff --git a/l b/l\nindex 1..2 120000\n--- a/l\n+++ b/l\n@@ -1 +1 @@\n-a\n+{target}\n"
    )
    assert "the link 'l' leads" in (reason_in(changed.encode()) or "")


def test_submodules_and_binaries() -> None:
    assert reason_in(adding("mod", "160000", "Subproject commit 1")) == "it adds a submodule"
    head = "diff --git a/x b/x\nindex 1111111..2222222 100644\n"
    for line in ("GIT binary patch", "Binary files a/x and b/x differ"):
        assert "a binary file" in (reason_in(f"{head}{line}\n".encode()) or "")


def test_what_it_shows_is_not_what_it_does() -> None:
    assert "direction of text" in (reason_in(adding("a.c", line="x = 1; \u202e")) or "")


HEAD = "From: A <a@example.org>\nSubject: [PATCH] x\nContent-Type: text/plain; charset=utf-8\n\n"


def test_what_nobody_can_see() -> None:
    found = reason(HEAD.encode() + adding("a.c", line="x = 1; /* \u200b */"))
    assert found == "it has characters that nobody can see (U+200B)"
    assert reason(HEAD.encode() + adding("a.txt", line="\u0645\u06cc\u200c\u062e")) is None


def test_an_author_that_is_more_than_a_line() -> None:
    head = HEAD.replace("From: A", "From: =?utf-8?q?A=0Aparent_x?=")
    assert "of its author" in (reason(head.encode() + adding("a.c")) or "")


def test_it_says_which_patch() -> None:
    mail = b"From: A <a@example.org>\nSubject: [PATCH 2/3] x\n\n" + adding("../x")
    with pytest.raises(UsageError, match=r"patch 2 \(id\\n@x\) is refused: it names '\.\.'"):
        refuse(2, "id\n@x", mail)


@given(st.binary(max_size=400))
def test_nothing_makes_it_fail(noise: bytes) -> None:
    for patch in (noise, GOOD.encode() + noise, b"diff --git " + noise, b"--- a\n+++ " + noise):
        reason_in(patch)


@given(st.text(alphabet="ab/.", max_size=12), st.text(alphabet="ab/.", max_size=12))
def test_no_way_out_is_missed(before: str, after: str) -> None:
    for hostile in ("..", ".git"):
        path = "/".join(filter(None, (before.strip("/"), hostile, after.strip("/"))))
        assert reason_in(adding(path)) is not None
