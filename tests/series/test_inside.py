from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from khoci.series.apply import apply_series
from khoci.series.hunks import Hunk
from khoci.series.inside import NEAR, is_placed
from khoci.series.model import Outcome
from tests.series.small import commit, on

if TYPE_CHECKING:
    from collections.abc import Mapping

    import git

    from khoci.series.model import Series
    from khoci.series.plumbing import Repository

D = "kernel/d.c"
FIRST = "int first(void)\n{\n\tint err;\n\n\terr = get();\n%s\tif (err)\n\t\treturn err;\n\n}\n"
OTHER = (FIRST % "").replace("first(void)\n{\n", "other(void)\n{\n\tlong x;\n")
CHECK = "\tcheck_old();\n"


def dropping(linux: git.Repo) -> Series:
    """One patch that only deletes a line; it was made on v6.18 with a file of one function."""
    linux.git.checkout("--quiet", "-b", "work", "v6.18")
    at = commit(linux, "d", {D: FIRST % CHECK + "\n"}, "made-on")
    linux.git.checkout("--quiet", "master")
    return on(linux, at, {D: FIRST % "" + "\n"})


def unknown(series: Series) -> Series:
    """The same, made on a file that nobody has."""
    mail = re.sub(rb"^index .*\n", b"", series.patches[0].mail, flags=re.MULTILINE)
    return replace(series, patches=(replace(series.patches[0], mail=mail, blobs=()),))


def outcome(
    series: Series, files: Mapping[str, str | None], linux: git.Repo, tree: Repository, place: Path
) -> Outcome:
    linux.git.checkout("--quiet", "-B", "taken", "v6.18")
    at = commit(linux, "taken", files)
    return apply_series(series, at, tree, place, set_branch=False).outcome


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (FIRST % "" + "\n", Outcome.ALREADY_IN),
        ("new\n" * 50 + FIRST % "" + "\n", Outcome.ALREADY_IN),
        (FIRST % "" + "\n" + "new\n" * 50, Outcome.ALREADY_IN),
        (FIRST % "\tcheck_renamed();\n" + "\n" + OTHER, Outcome.CONFLICT),
    ],
)
def test_a_line_that_is_gone(
    known: bool,
    content: str,
    expected: Outcome,
    linux: git.Repo,
    tree: Repository,
    place: Path,
) -> None:
    series = dropping(linux) if known else unknown(dropping(linux))
    assert outcome(series, {D: content}, linux, tree, place) is expected


def test_nothing_tells_the_place(linux: git.Repo, tree: Repository, place: Path) -> None:
    series = unknown(dropping(linux))
    for content in (OTHER, "new\n" * 50 + OTHER):
        assert outcome(series, {D: content}, linux, tree, place) is Outcome.CONFLICT


def test_a_merge_tells_what_is_elsewhere(linux: git.Repo, tree: Repository, place: Path) -> None:
    """The same line was added in another function with the same lines around it."""
    linux.git.checkout("--quiet", "-b", "work", "v6.18")
    two = FIRST % "" + "\n" + OTHER
    at = commit(linux, "d", {D: two})
    linux.git.checkout("--quiet", "master")
    series = on(linux, at, {D: FIRST % CHECK + "\n" + OTHER})
    elsewhere = FIRST % "\tsomething();\n" + "\n" + OTHER.replace("get();\n", f"get();\n{CHECK}")
    assert outcome(series, {D: elsewhere}, linux, tree, place) is Outcome.CONFLICT


AFTER = (b"one", b"two", b"three")
TEXT = b"f()\nx\none\ntwo\nthree\n"


@pytest.mark.parametrize(
    ("hunk", "content", "placed"),
    [
        (Hunk(9, (), AFTER, (b"two",), 9), TEXT, True),
        (Hunk(9, (), AFTER, (b"two",), 9), TEXT + TEXT, False),
        (Hunk(9, (), AFTER, (b"two",), 4 + NEAR), TEXT, False),
        (Hunk(9, (), AFTER, (), 9), TEXT, False),
        (Hunk(9, (), AFTER, (b"", b"\t}"), 9), TEXT, False),
        (Hunk(9, (), AFTER, (), 3), TEXT, True),
        (Hunk(9, (), AFTER, (), 9, b"f()"), TEXT, False),
        (Hunk(9, (), AFTER, (), 9, b"f()"), TEXT.replace(b"\nx", b"\n\tx"), True),
        (Hunk(9, (), AFTER, (), 9, b"f()"), TEXT.replace(b"\nx", b"\nout: // x"), True),
        (Hunk(9, (), (), (), 3), TEXT, False),
    ],
)
def test_where_a_hunk_may_be(hunk: Hunk, content: bytes, placed: bool) -> None:
    assert is_placed(hunk, content) is placed
