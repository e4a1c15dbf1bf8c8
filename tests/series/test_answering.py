from __future__ import annotations

from pathlib import Path

import pytest

from khoci.errors import UsageError
from khoci.series.answering import thread_to_answer
from khoci.series.fetch import Fetched
from khoci.series.model import Series
from khoci.series.plumbing import Git
from khoci.series.store import Stored, save
from khoci.thread import Thread

COVER = """\
From: =?utf-8?q?Zo=C3=AB?= <zoe@example.org>
To: kexec@lists.example.org, "Last, First" <first@example.org>
Cc: ZOE@example.org, broken@, First <FIRST@example.org>,
 =?utf-8?q?a=40b=2C_c?= <c@example.org>
Subject: [PATCH v2 0/1] kho: a long
 subject
Message-ID: <cover@x>
References: <v1@x> <v1@x>
In-Reply-To: <v1-reply@x>

It is better.
"""
PATCH = """\
From: zoe@example.org
Subject: [PATCH v2 1/1] kho: a
Message-ID: <patch@x>
In-Reply-To: <cover@x>

From here on it is better.
"""


def stored(folder: Path, cover: str = COVER, msgid: str = "cover@x") -> Stored:
    mbox = "".join(f"From x Thu Jan  1 00:00:00 1970\n{mail}\n" for mail in (cover, PATCH))
    series = Series("", 2, 1, (), msgid, "kho: a")
    return save(folder, Fetched(series, mbox.encode(), b""))


def answered(kept: Stored, *others: tuple[str, str]) -> Thread:
    return thread_to_answer(kept, Git(kept.folder), others)


def test_the_answer_goes_to_whom_the_patch_went(tmp_path: Path) -> None:
    thread = answered(stored(tmp_path), ("KHO", "kho@example.org"), ("", "c@EXAMPLE.org"))
    assert thread.author == ("Zo\N{LATIN SMALL LETTER E WITH DIAERESIS}", "zoe@example.org")
    assert thread.to == (
        thread.author,
        ("", "kexec@lists.example.org"),
        ("Last, First", "first@example.org"),
    )
    assert thread.cc == (("a@b, c", "c@example.org"), ("KHO", "kho@example.org"))


def test_a_name_whose_bytes_are_no_characters_is_left_out(tmp_path: Path) -> None:
    cover = COVER.replace("Cc: ZOE@example.org", "Cc: =?utf-8?q?Wei=DF?= <weiss@example.org>")
    assert answered(stored(tmp_path, cover)).cc[0] == ("", "weiss@example.org")


def test_it_knows_its_place_in_the_thread(tmp_path: Path) -> None:
    thread = answered(stored(tmp_path))
    assert thread.msgid == "cover@x"
    assert thread.subject == "[PATCH v2 0/1] kho: a long subject"
    assert thread.references == ("v1@x", "v1-reply@x")
    assert thread.answered == {"cover@x", "patch@x"}


def test_who_wants_answers_elsewhere_gets_them_there(tmp_path: Path) -> None:
    cover = COVER.replace("To: kexec", "Reply-To: list@example.org\nTo: kexec")
    assert answered(stored(tmp_path, cover)).to[0] == ("", "list@example.org")


def test_without_a_thread_there_is_nothing_to_answer(tmp_path: Path) -> None:
    kept = stored(tmp_path, msgid="other@x")
    with pytest.raises(UsageError, match="kho-a:v2: its thread is not kept"):
        answered(kept)
