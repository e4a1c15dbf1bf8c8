from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from khoci.series.mails import Tag, bare, body, footer, header, is_plain, tag, tag_of, with_tag


@pytest.mark.parametrize(
    ("subject", "expected"),
    [
        ("[PATCH] x", Tag(1, 1, 1, counted=False)),
        ("[PATCH 3] x", Tag(1, 1, 1, counted=False)),
        ("[PATCH 2 of 3] x", Tag(1, 2, 3)),
        ("[RESEND][PATCH v2 1/3] x", Tag(2, 1, 3, resend=True)),
        ("[RFC v2 1/3] x", Tag(2, 1, 3)),
        ("[External] [PATCH v2 1/3] x", Tag(2, 1, 3)),
        ("[net-next,v2,1/3] x", Tag(2, 1, 3)),
        ("[PATCH][v2 1/3] x", Tag(2, 1, 3)),
        ("[PATCH rdma-rev2 1/3] x", Tag(1, 1, 3)),
        ("[PATCH 6.12.y 1/3] x", Tag(1, 1, 3)),
        ("[PATCH 2/3] x", Tag(1, 2, 3)),
        ("[PATCH v2 0/3] x", Tag(2, 0, 3)),
        ("[PATCHv7 0/7] x", Tag(7, 0, 7)),
        ("[PATCH RFC v2 01/11] x", Tag(2, 1, 11)),
        ("[RFC PATCH net-next v3 0/5] x", Tag(3, 0, 5)),
        ("Re: [PATCH 2/3] x", None),
        ("[GIT PULL] x", None),
        ("x", None),
    ],
)
def test_what_stands_in_brackets(subject: str, expected: Tag | None) -> None:
    assert tag(subject) == expected


@pytest.mark.parametrize(
    ("subject", "plain"),
    [
        ("[PATCH v2 01/11] x", True),
        ("[PATCHv2 1/3] x", True),
        ("[RESEND][PATCH v2 1/3] x", True),
        ("x", True),
        ("[net-next,v2,1/3] x", False),
        ("[PATCH 1 of 3] x", False),
    ],
)
def test_subjects_that_b4_reads_as_khoci_does(subject: str, *, plain: bool) -> None:
    meant = tag(subject) or Tag(1, 1, 1, counted=False)
    assert is_plain(subject, meant) is plain
    mail = f"Subject: {subject}\n and: größe\nX: y\n\nSubject: z\n".encode()
    again = with_tag(mail, meant)
    assert tag(header(again, "Subject")) == replace(meant, resend=False)
    assert bare(header(again, "Subject")) == "x and: größe"
    assert header(again, "X") == "y"
    assert again.endswith(b"\n\nSubject: z\n")
    assert is_plain(header(again, "Subject"), meant)


@pytest.mark.parametrize(
    ("subject", "body_", "is_patch"),
    [
        ("mm: x", "diff --git a/x b/x\n", True),
        ("mm: x", "text\n--- a/x\n+++ b/x\n", True),
        ("mm: x", "text\n", False),
        ("Re: mm: x", "diff --git a/x b/x\n", False),
        ("Re: [PATCH] mm: x", "diff --git a/x b/x\n", False),
    ],
)
def test_a_diff_makes_a_patch(subject: str, body_: str, *, is_patch: bool) -> None:
    found = tag_of(subject, f"Subject: {subject}\n\n{body_}".encode())
    assert found == (Tag(1, 1, 1, counted=False) if is_patch else None)


def test_half_a_character_in_a_header() -> None:
    assert header(b"Subject: =?utf-7?q?x=2B2AA-y?=\n\n", "Subject") == "x?y"


def test_a_subject_without_them() -> None:
    assert bare("[PATCH v2 1/3] [RFC] kho: x [y]") == "kho: x [y]"


def test_what_stands_below_a_series() -> None:
    text = "base-commit: " + "a" * 40 + "\nprerequisite-patch-id: " + "b" * 40 + "\n"
    text += "prerequisite-patch-id: " + "c" * 40 + "\nchange-id: 20261110-x-1\n"
    found = footer(["", text])
    assert (found.base_commit, found.wrong_base) == ("a" * 40, "")
    assert found.prerequisites == ("b" * 40, "c" * 40)
    assert found.change_id == "20261110-x-1"


@pytest.mark.parametrize("name", ["v6.16", "next-20251101", "a" * 12])
def test_a_base_that_is_no_commit_id(name: str) -> None:
    found = footer([f"base-commit: {name}\n"])
    assert (found.base_commit, found.wrong_base) == (None, name)


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"Subject: =?utf-8?q?gr=C3=BC=C3=9Fe?= x", "grüße x"),
        ("Subject: grüße x".encode(), "grüße x"),
        (b"Subject: =?klingon?q?x=FF?=", "=?klingon?q?x=FF?="),
        (b"Subject: two\n lines", "two lines"),
        (b"From: x", ""),
    ],
)
def test_headers(raw: bytes, expected: str) -> None:
    assert header(raw + b"\n\nbody\n", "Subject") == expected


@given(st.binary(max_size=200))
def test_no_mail_makes_it_fail(noise: bytes) -> None:
    for mail in (noise, b"Subject: " + noise, b"Content-Transfer-Encoding: base64\n\n" + noise):
        header(mail, "Subject")
        body(mail)


@pytest.mark.parametrize(
    ("folded", "line"),
    [
        ("a long\n one", "a long one"),
        (
            "a long\n one of =?utf-8?q?Zo=C3=AB?=",
            "a long one of Zo\N{LATIN SMALL LETTER E WITH DIAERESIS}",
        ),
        ("=?utf-8?q?one?=\n =?utf-8?q?_word?=", "one word"),
        ("=?utf-8?q?in_two?=\r\n\tparts", "in two parts"),
    ],
)
def test_a_folded_header_is_one_line(folded: str, line: str) -> None:
    assert header(f"Subject: {folded}\n\n".encode(), "Subject") == line
