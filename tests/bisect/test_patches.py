from __future__ import annotations

import json
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from khoci.bisect.patches import Patched, PatchHistory, between, change_of, reopened, series_of
from khoci.bisection import Change
from khoci.config.kernels import DebianSource, GitSource, ImageSource, KernelSpec, Package
from khoci.errors import UsageError

OWN = Path("/own.patch")
BASE = KernelSpec("v6.19", (GitSource("v6.19"),), series="6.19", patches=(OWN,), cmdline="quiet")
HEAD = """From 0123456789012345678901234567890123456789 Mon Sep 17 00:00:00 2001
From: =?utf-8?q?Zo=C3=AB?= <zoe@example.org>
Date: Mon, 1 Sep 2025 10:00:00 +0200
Subject: [RFC PATCH v2 1/3] kho: a subject that is
 folded
Message-ID: <1@example.org>

Why.
"""


@pytest.fixture
def series(tmp_path: Path) -> Patched:
    patches = tuple(tmp_path / f"{word}.patch" for word in ("one", "two", "three"))
    for patch in patches:
        patch.write_text(f"--- {patch.name}\n")
    changes = tuple(Change(str(number), "patch", f"s{number}") for number in (1, 2, 3))
    return Patched("my-series", BASE, patches, changes)


def test_what_a_patch_says_of_itself(tmp_path: Path) -> None:
    (tmp_path / "x.patch").write_text(HEAD)
    assert change_of(tmp_path / "x.patch", 1) == Change(
        id="1",
        what="patch",
        subject="kho: a subject that is folded",
        author="Zoë <zoe@example.org>",
        date="Mon, 1 Sep 2025 10:00:00 +0200",
        link="<1@example.org>",
    )


def test_a_bare_diff_is_called_by_its_name(tmp_path: Path) -> None:
    (tmp_path / "x.patch").write_text("diff --git a/a.c b/a.c\n--- a/a.c\n+++ b/a.c\n")
    assert change_of(tmp_path / "x.patch", 7) == Change("7", "patch", "x.patch")


def test_what_a_patch_says_cannot_reach_the_terminal(tmp_path: Path) -> None:
    (tmp_path / "x.patch").write_bytes(b"Subject: red \x1b[31m\xff\nFrom: a\x07b <a@b>\n\n")
    change = change_of(tmp_path / "x.patch", 1)
    assert (change.subject + change.author).isprintable()


@given(
    st.sampled_from(["Subject", "From", "Date", "Message-ID"]),
    st.text(alphabet='<>@,;:"()[]=?\\ \t.aé\x00\x1b_utf8qBQ').map(str.encode) | st.binary(),
)
def test_whatever_a_patch_says_is_shown(name: str, value: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        patch = Path(folder) / "x.patch"
        patch.write_bytes(name.encode() + b": " + value + b"\n\n")
        change = change_of(patch, 1)
    assert (change.subject + change.author + change.date + change.link).isprintable()


def test_a_candidate_has_so_many_patches(series: Patched) -> None:
    history = between(series, None, None)
    assert (history.good, history.bad) == ("0", "3")
    specs = [history.kernel(str(number)) for number in range(4)]
    assert [spec.name for spec in specs] == [f"my-series+{number}" for number in range(4)]
    assert [spec.patches for spec in specs] == [(OWN, *series.patches[:at]) for at in range(4)]
    assert {(spec.series, spec.cmdline) for spec in specs} == {(None, "quiet")}


def test_one_is_left_out(series: Patched) -> None:
    one, two, three = series.patches
    assert between(series, "0", "3").without("2").patches == (OWN, one, three)
    assert between(series, "0", "2").without("1").patches == (OWN, two)
    assert between(series, "0", "3").without("2").name == "my-series+3-without-2"


def test_suspects_lie_between(series: Patched) -> None:
    history = between(series, None, None)
    assert sorted(history.suspects(["0"], "3")) == ["1", "2", "3"]
    assert sorted(history.suspects(["0", "1"], "3")) == ["2", "3"]
    assert history.suspects(["0", "1"], "2") == ["2"]


@pytest.mark.parametrize(
    ("good", "bad"), [("3", "3"), ("3", "1"), ("0", "4"), ("-1", "2"), ("x", "2"), ("0", "²")]
)
def test_ends_that_are_none(series: Patched, good: str, bad: str) -> None:
    with pytest.raises(UsageError):
        between(series, good, bad)


def test_the_same_history_later(series: Patched, tmp_path: Path) -> None:
    history = between(series, "1", "3").kept_in(tmp_path / "kept")
    for patch in series.patches:
        patch.unlink()
    data = json.loads(json.dumps(history.to_json()))
    again: PatchHistory = reopened(data, BASE, tmp_path / "kept")
    assert again == history
    assert again.kernel("2").patches[-1].read_text() == "--- two.patch\n"


def test_a_kernel_with_patches_is_a_series(tmp_path: Path) -> None:
    (tmp_path / "x.patch").write_text(HEAD)
    source = DebianSource(Package("linux-source-6.19", "1", "0" * 64))
    spec = KernelSpec("mine", (source,), patches=(tmp_path / "x.patch",))
    made = series_of(spec)
    assert (made.name, made.base.patches, made.patches) == ("mine", (), spec.patches)
    assert made.changes[0].link == "<1@example.org>"


def test_a_kernel_that_is_no_series() -> None:
    with pytest.raises(UsageError, match="has no patches"):
        series_of(KernelSpec("mine", (GitSource("x"),)))
    with pytest.raises(UsageError, match="is a ready image"):
        series_of(KernelSpec("mine", (ImageSource(Path("bzImage")),), patches=(Path("x"),)))


def test_a_series_on_a_base_that_has_patches(tmp_path: Path) -> None:
    files = tuple(tmp_path / f"{name}.patch" for name in "abc")
    for file in files:
        file.write_text(f"Subject: [PATCH 1/1] {file.stem}\n\n")
    base = KernelSpec("mine", (GitSource("HEAD"),), patches=files[:1])
    whole = replace(base, name="rfc-v1", patches=files, untrusted=True)
    history = between(series_of(whole, base), None, None)
    assert (history.good, history.bad) == ("0", "2")
    assert [history.change(number).subject for number in "12"] == ["b", "c"]
    assert (history.base.patches, history.base.untrusted) == (files[:1], False)
    assert (history.kernel("2").patches, history.kernel("2").untrusted) == (files, True)
    again = reopened(json.loads(json.dumps(history.to_json())), history.base, tmp_path)
    assert again.kernel("1").untrusted
    assert history.without("1").patches == (files[0], files[2])
    assert between(series_of(whole), None, None).bad == "3"
