"""Mails as they are sent; each golden one was read by a person."""

from __future__ import annotations

import email
import os
import subprocess
from dataclasses import replace
from email import policy
from email.message import EmailMessage
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from khoci.report.mail import Mail, fingerprint, mail
from khoci.report.mailbody import NEW, body
from khoci.report.model import Report
from khoci.report.series import changes_of
from khoci.results import CellResult
from khoci.thread import Thread
from khoci.verdicts import Verdict
from tests.report.situations import (
    BASE,
    ME,
    OLD,
    PATCHED,
    SCENARIOS,
    SITUATIONS,
    THREAD,
    cell,
    report,
)

GOLDEN = Path(__file__).parent / "golden"
TESTED = "Tested-by: Me Myself <me@example.net>"
DATE = 1_795_000_000.0


def made(name: str, trailers: tuple[str, ...] = ()) -> Mail:
    found = SITUATIONS[name]()
    return mail(found, body(found, trailers), ME, THREAD if found.series else None, DATE)


def parsed(content: bytes) -> EmailMessage:
    found = email.message_from_bytes(content, policy=policy.default)
    assert isinstance(found, EmailMessage)
    return found


@pytest.mark.parametrize("name", SITUATIONS)
def test_it_is_the_golden_one(name: str) -> None:
    content, file = made(name).to_bytes(), GOLDEN / f"{name}.eml"
    if os.environ.get("KHOCI_GOLDEN") == "write":
        file.write_bytes(content)
    assert content.decode() == file.read_bytes().decode()


@pytest.mark.parametrize("name", SITUATIONS)
def test_its_lines_are_short_and_visible(name: str) -> None:
    for line in made(name).body.splitlines():
        assert len(line) <= 75
        assert line == line.rstrip()
        assert line.isprintable()
        assert not line.startswith(("From ", "-- "))
        assert line != "---"
    head = made(name).to_bytes().partition(b"\n\n")[0]
    assert max(map(len, head.splitlines())) <= 75


@pytest.mark.parametrize("name", SITUATIONS)
def test_a_mail_parser_gives_back_what_was_put_in(name: str) -> None:
    sent = made(name)
    read = parsed(sent.to_bytes())
    assert read.get_content() == sent.body
    assert read["Subject"] == sent.subject
    assert read["Message-ID"] == f"<{sent.msgid}>"
    for header, people in (("To", sent.to), ("Cc", sent.cc)):
        found = read[header].addresses if read[header] else ()
        assert [(each.display_name, each.addr_spec) for each in found] == list(people)
    assert not read.is_multipart()
    assert read["Content-Transfer-Encoding"] in ("7bit", "8bit")
    assert read.defects == []


@pytest.mark.parametrize("name", [name for name in SITUATIONS if name != "no-series"])
def test_it_answers_the_patch(name: str) -> None:
    read = parsed(made(name).to_bytes())
    assert read["In-Reply-To"] == f"<{THREAD.msgid}>"
    assert read["References"].split() == [f"<{THREAD.references[0]}>", f"<{THREAD.msgid}>"]
    assert read["Subject"].startswith("Re: [PATCH v2 0/2] kho: ")
    everybody = [each.addr_spec for header in ("To", "Cc") for each in read[header].addresses]
    assert everybody == [
        "ada@example.org",
        "kexec@lists.example.org",
        "joerg@example.org",
        "kho@example.org",
    ]


@pytest.mark.parametrize("name", SITUATIONS)
@pytest.mark.parametrize("trailers", [(), (TESTED,)])
def test_git_finds_the_trailers_that_were_asked_for_and_no_others(
    name: str, trailers: tuple[str, ...]
) -> None:
    done = subprocess.run(
        ["git", "interpret-trailers", "--parse"],
        input=made(name, trailers).to_bytes(),
        capture_output=True,
        check=True,
    )
    assert done.stdout.decode().splitlines() == list(trailers)


def test_errors_come_first() -> None:
    text = made("harness-errors").body
    assert text.startswith("NOT COMPLETE: 2 of 24 cells could not be run and 1 cell without")


def test_what_a_series_breaks_is_marked_and_has_its_patch() -> None:
    lines = made("regression").body.splitlines()
    at = lines.index(f"{NEW} v7.3.4 -> kho-leaves-v2: restored -> panic (kho-test, memfd,")
    assert lines[at + 2] == "     since 2/2 kho: halve it"


def test_a_subject_is_answered_once() -> None:
    found = SITUATIONS["no-change"]()
    thread = replace(THREAD, subject="RE: [PATCH] kho: x")
    assert mail(found, "x\n", ME, thread, DATE).subject == "Re: [PATCH] kho: x"


def test_the_same_result_has_the_same_id_and_another_one_another() -> None:
    first, again = (
        mail(r, "x\n", ME, THREAD, date)
        for r, date in (
            (SITUATIONS["regression"](), 0.0),
            (replace(SITUATIONS["regression"](), run="other"), 9.0),
        )
    )
    assert first.msgid == again.msgid
    others = {made(name).msgid for name in SITUATIONS}
    assert len(others) == len(SITUATIONS)


def test_another_thread_has_another_id() -> None:
    found = SITUATIONS["no-change"]()
    assert fingerprint(found, THREAD) != fingerprint(found, replace(THREAD, msgid="other@x"))


def test_many_changes_of_a_pair_are_told_together() -> None:
    names = tuple(f"memfd:size={size}M" for size in range(1, 20))
    wrong = {(BASE, PATCHED, name): cell(BASE, PATCHED, name, Verdict.HANG) for name in names}
    base = [cell(BASE, BASE, name, Verdict.RESTORED) for name in names]
    plain = report({})
    many = with_cells(plain, [*base, *wrong.values()], names)
    text = body(many)
    assert text.count(NEW) == 1
    assert "memfd:size=9M)" in text
    assert max(map(len, text.splitlines())) <= 75


def with_cells(plain: Report, cells: list[CellResult], names: tuple[str, ...]) -> Report:
    assert plain.series
    results = (*plain.results, *cells)
    changes = tuple(changes_of(results, plain.series, plain.order))
    return replace(plain, results=results, scenarios=(*SCENARIOS, *names), changes=changes)


@given(st.text(), st.text(), st.text())
def test_no_text_leaves_its_place(text: str, subject: str, name: str) -> None:
    wrong = {(BASE, PATCHED, "memfd"): cell(BASE, PATCHED, "memfd", Verdict.PANIC, text=text)}
    found = report(wrong, log=f"{text}\n{text}")
    thread: Thread = replace(THREAD, subject=subject, cc=((name, "x@example.org"),))
    sent = mail(found, body(found), ME, thread, DATE)
    read = parsed(sent.to_bytes())
    assert list(read) == [
        *("From", "To", "Cc", "Subject", "Date", "Message-ID", "In-Reply-To", "References"),
        *("MIME-Version", "Content-Type", "Content-Transfer-Encoding"),
    ]
    assert all(len(line) <= 75 for line in sent.body.splitlines())
    assert OLD in read.get_content() or read.get_content()
