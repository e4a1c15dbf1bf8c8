from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from khoci.config.kernels import GitSource, Kernels, KernelSpec
from khoci.kernel.cache import Cache
from khoci.progress import NoProgress
from khoci.series.applied import to_json
from khoci.series.apply import apply_series
from khoci.series.b4 import B4
from khoci.series.base import (
    Base,
    Fit,
    Kernel,
    choose_base,
    fit,
    in_order,
    look,
    onto_all,
    settled,
    wanted_blobs,
)
from khoci.series.guess import guess_base
from khoci.series.model import Blob, Outcome, Patch, Series
from khoci.series.onto import put_on
from tests.series.small import OTHER, TEXT, THIRD, commit, files_of, on

if TYPE_CHECKING:
    import git

    from khoci.series.plumbing import Repository

A, B, C = "kernel/a.c", "kernel/b.c", "mm/c.c"
KERNELS = [Kernel(name, name) for name in ("v6.17", "v6.18", "v6.19")]


def series_of(*blobs: Blob) -> Series:
    patches = tuple(Patch(n, "", "", "", "", (blob,), b"") for n, blob in enumerate(blobs, 1))
    return Series("s", 1, len(patches), patches, "", "")


def test_what_files_were_before_the_series() -> None:
    series = series_of(Blob("a", "11", "22"), Blob("a", "22", "33"), Blob("b", "0000", "44"))
    assert wanted_blobs(series) == {"a": "11", "b": "0000"}


def test_how_near_a_kernel_is() -> None:
    wanted = {"a": "1111", "b": "0000", "c": "3333"}
    there = {"a": "1111222233334444", "c": "9999"}
    assert fit("k", "id", wanted, there) == Fit("k", "id", 2, 3)
    assert fit("k", "id", wanted, {**there, "b": "1"}).same == 1
    assert fit("k", "id", wanted, {"a": "1"}, ["3333"]).gone == ("c",)
    assert fit("k", "id", {"a": "11"}, {"a": "1122"}).exact
    assert not fit("k", "", {}, {}).exact


def test_which_kernel_to_try_first() -> None:
    fits = [
        Fit("oldest", "1", 3, 3),
        Fit("exact", "2", 3, 3),
        Fit("near", "3", 2, 3),
        Fit("unknown", "", 0, 3),
        Fit("hopeless", "5", 2, 3, ("a",)),
        Fit("newest", "6", 0, 3),
    ]
    assert [each.kernel for each in in_order(fits)] == ["exact", "oldest", "newest", "near"]
    tried = settled(series_of(Blob("a", "1", "2")), fits)
    assert [(each.kernel, each.outcome, each.why) for each in tried] == [
        ("hopeless", Outcome.CONFLICT, "has no a"),
        ("unknown", Outcome.BASE_UNKNOWN, "is not in the git tree"),
    ]


def test_the_base_that_a_series_names(linux: git.Repo, tree: Repository, place: Path) -> None:
    series = on(linux, "v6.17", {A: f"{TEXT}end\n"})
    named = replace(series, base_commit=linux.git.rev_parse("v6.18"))
    chosen = choose_base(named, KERNELS, tree, place, NoProgress())
    assert (chosen.commit, chosen.kernel, chosen.tried) == (named.base_commit, "", ())


def test_the_kernel_with_the_very_files(linux: git.Repo, tree: Repository, place: Path) -> None:
    """It would apply to v6.19 also."""
    series = on(linux, "v6.18", {A: TEXT.replace("line 5\n", "line five\n").replace("30", "XXX")})
    chosen = choose_base(replace(series, base_commit="a" * 40), KERNELS, tree, place, NoProgress())
    assert (chosen.commit, chosen.kernel) == (linux.git.rev_parse("v6.18"), "v6.18")
    assert chosen.why == "base-commit aaaaaaaaaaaa is not in the git tree; has the very files"
    assert [(each.kernel, each.outcome) for each in chosen.tried] == [("v6.18", Outcome.APPLIED)]


def test_the_newest_that_takes_it(linux: git.Repo, tree: Repository, place: Path) -> None:
    linux.git.checkout("--quiet", "--detach", "v6.17")
    next_ = commit(linux, "next", {A: f"{TEXT}next\n"})
    linux.git.checkout("--quiet", "master")
    series = on(
        linux, next_, {A: f"{TEXT.replace('line 20', 'line XX')}next\n"}, {C: f"{THIRD}!\n"}
    )
    kernels = [*KERNELS, Kernel("v9.9", "v9.9")]
    before = files_of(Path(linux.working_dir))
    chosen = choose_base(series, kernels, tree, place, NoProgress())
    assert (chosen.kernel, chosen.why) == ("v6.18", "the newest that takes it")
    assert [(each.kernel, each.outcome, each.applied) for each in chosen.tried] == [
        ("v9.9", Outcome.BASE_UNKNOWN, 0),
        ("v6.19", Outcome.CONFLICT, 0),
        ("v6.18", Outcome.APPLIED, 2),
    ]
    assert chosen.tried[1].why.startswith("conflict at 1 of 2: kernel/a.c: hunk 1 of ")
    assert files_of(Path(linux.working_dir)) == before


def test_no_kernel_takes_it(linux: git.Repo, tree: Repository, place: Path) -> None:
    series = on(linux, "v6.19", {"kernel/live/b.c": OTHER.replace("row 7", "row VII")})
    blob = replace(series.patches[0].blobs[0], old="abcdef123456")
    mail = series.patches[0].mail.replace(b"-row 7", b"-row seven")
    patches = (replace(series.patches[0], mail=mail, blobs=(blob,)),)
    chosen = choose_base(replace(series, patches=patches), KERNELS, tree, place, NoProgress())
    assert (chosen.commit, chosen.why) == (None, "it applies to no kernel")
    assert [(each.kernel, each.why) for each in chosen.tried] == [
        ("v6.18", "has no kernel/live/b.c"),
        ("v6.17", "has no kernel/live/b.c"),
        (
            "v6.19",
            (
                "conflict at 1 of 1: kernel/live/b.c: hunk 1 of 1 does not fit (line 4 on); no "
                "line 'row seven'; no merge was possible: the tree never had this version of "
                "kernel/live/b.c (abcdef123456)"
            ),
        ),
    ]


def test_new_files_fit_where_they_are_not(linux: git.Repo, tree: Repository) -> None:
    series = on(linux, "v6.17", {"kernel/live/b.c": "mine\n"})
    assert [each.exact for each in look(series, KERNELS, tree)] == [True, True, False]


@pytest.fixture
def many(linux: git.Repo) -> Series:
    """On v6.17 as it is, to be merged on v6.18, stops at patch 2 on v6.19, in v6.20 already."""
    near = TEXT.replace("line 7\n", "line seven\n")
    clash = near.replace("line 20\n", "line XX\n")
    series = on(linux, "v6.17", {A: near}, {A: clash}, {C: f"{THIRD}end\n"})
    linux.git.checkout("--quiet", "--detach", "v6.17")
    commit(linux, "all of it", {A: clash, C: f"{THIRD}end\n"}, "v6.20")
    linux.git.checkout("--quiet", "master")
    return series


def test_a_series_on_all_kernels(
    many: Series, linux: git.Repo, tree: Repository, place: Path
) -> None:
    kernels = [*KERNELS, Kernel("v6.20", "v6.20"), Kernel("v9.9", "v9.9")]
    rows = onto_all(many, kernels, tree, place, NoProgress())
    told = [to_json(done, kernel.name) for kernel, done in rows]
    keys = ("kernel", "outcome", "applied", "of", "stopped_at", "already_in")
    assert [tuple(row[key] for key in keys) for row in json.loads(json.dumps(told))] == [
        ("v6.17", "applied", 3, 3, None, []),
        ("v6.18", "applied", 3, 3, None, []),
        ("v6.19", "conflict", 1, 3, 2, []),
        ("v6.20", "already in", 0, 3, None, [1, 2, 3]),
        ("v9.9", "base unknown", 0, 3, None, []),
    ]
    assert "khoci" not in linux.git.for_each_ref()


def dated(series: Series, day: bytes) -> Series:
    """The series as if it was sent on another day: b4 guesses by it."""
    mails = (re.sub(rb"(?m)^Date: .*$", b"Date: " + day, patch.mail) for patch in series.patches)
    return replace(
        series,
        patches=tuple(replace(p, mail=m) for p, m in zip(series.patches, mails, strict=True)),
    )


def test_what_b4_guesses(linux: git.Repo, tree: Repository, place: Path, tmp_path: Path) -> None:
    """A commit between releases: no kernel has its files, and v6.19 would take the series."""
    next_ = commit(linux, "next", {C: f"{THIRD}next\n"})
    series = on(linux, next_, {C: f"{THIRD}next\nmine\n"})
    linux.git.reset("--quiet", "--hard", "v6.19")
    linux.git.branch("mine", next_)
    sent = dated(series, b"Wed, 3 Sep 2025 10:00:00 +0000")

    def guess(which: Series) -> Base:
        found = lambda: guess_base(which, tree, place, B4(tmp_path / "b4"))  # noqa: E731
        return choose_base(which, KERNELS, tree, place, NoProgress(), found)

    assert guess(sent).commit is None, "a branch of the user's is nothing for a mail to choose"
    linux.git.update_ref("refs/remotes/next/master", next_)
    before = files_of(tmp_path / "linux")
    chosen = guess(sent)
    assert chosen.commit == next_
    assert chosen.why == "b4's guess (remotes/next/master), it has the very files"
    early = guess(dated(series, b"Tue, 3 Jun 2025 10:00:00 +0000"))
    assert early.commit is None
    assert files_of(tmp_path / "linux") == before
    assert not list(place.iterdir())


def test_b4_does_not_guess_what_khoci_applied(
    linux: git.Repo, tree: Repository, place: Path, tmp_path: Path
) -> None:
    first = on(linux, "v6.19", {C: f"{THIRD}one\n"})
    assert apply_series(first, "v6.19", tree, place).branch == "khoci/change/v1"
    again = on(linux, "khoci/change/v1", {C: f"{THIRD}one\ntwo\n"})
    sent = dated(again, b"Wed, 3 Sep 2025 10:00:00 +0000")
    assert guess_base(sent, tree, place, B4(tmp_path / "b4")) is None


def test_a_named_base_that_does_not_take_it_is_not_the_end(
    linux: git.Repo, tree: Repository, place: Path
) -> None:
    """What it needs besides is in v6.18, and its base-commit is older."""
    series = on(linux, "v6.18", {A: TEXT.replace("line 5\n", "line V\n")})
    old = linux.commit("v6.17").hexsha
    chosen = choose_base(replace(series, base_commit=old), KERNELS, tree, place, NoProgress())
    assert (chosen.kernel, chosen.why) == ("v6.18", "has the very files")
    assert [(each.kernel, each.outcome) for each in chosen.tried] == [
        (f"base-commit {old[:12]}", Outcome.CONFLICT),
        ("v6.18", Outcome.APPLIED),
    ]


def test_a_repository_in_which_b4_cannot_guess(
    linux: git.Repo, tree: Repository, tmp_path: Path
) -> None:
    broken = tree.folder / "refs/tags/broken"
    broken.write_text(f"{'1' * 40}\n")
    series = on(linux, "v6.18", {A: TEXT.replace("line 5\n", "line V\n")})
    known = Kernels(Path("k"), {"v6.18": KernelSpec("v6.18", (GitSource("v6.18"),))})
    base, _ = put_on(series, None, known, tree, Cache(tmp_path / "cache"), NoProgress())
    assert base.kernel == "v6.18"


@pytest.mark.parametrize(
    ("onto", "ref", "kernel"),
    [
        ("v6.18", "v6.18", ""),
        ("v6.18.15", "v6.19", "v6.18.15"),
        ("6.18", "v6.19", "v6.18.15"),
        ("v6.17", "v6.17", ""),
    ],
)
def test_a_ref_of_the_tree_goes_before_a_part_of_a_name(
    linux: git.Repo, tree: Repository, tmp_path: Path, onto: str, ref: str, kernel: str
) -> None:
    linux.git.tag("v6.18.15", "v6.19")
    source = (GitSource("v6.18.15"),)
    known = Kernels(Path("k"), {"v6.18.15": KernelSpec("v6.18.15", source, series="6.18")})
    series = on(linux, "v6.19", {C: f"{THIRD}one\n"})
    base, _ = put_on(series, onto, known, tree, Cache(tmp_path / "cache"), NoProgress())
    assert (base.commit, base.kernel) == (linux.commit(ref).hexsha, kernel)
