"""Mailboxes in which it is not plain what the series is."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from io import BytesIO, TextIOWrapper
from pathlib import Path

import pytest

from khoci.errors import UsageError
from khoci.progress import NoProgress
from khoci.series import b4
from khoci.series.b4 import NotFoundError
from khoci.series.fetch import Fetched, Wanted, fetch
from khoci.series.plumbing import Git
from khoci.series.store import save

ANN, EVE = "Ann <ann@example.org>", "Eve <eve@example.org>"
DIFF = """\
Signed-off-by: Ann <ann@example.org>
---
diff --git a/mm/{0}.c b/mm/{0}.c
index 1111111..2222222 100644
--- a/mm/{0}.c
+++ b/mm/{0}.c
@@ -1 +1 @@
-old
+new
"""
Fetching = Callable[..., Fetched]


def letter(
    subject: str,
    msgid: str = "",
    answers: str = "",
    sender: str = ANN,
    **more: str,
) -> bytes:
    """A mail; it has a diff of the file that its message-id, or its subject, names."""
    head = {
        "From": sender,
        "Date": "Mon, 01 Sep 2025 10:00:00 +0000",
        "Subject": subject,
        **({"Message-ID": f"<{msgid}@x.org>"} if msgid else {}),
        **({"In-Reply-To": f"<{answers}@x.org>"} if answers else {}),
    }
    text = more.pop("body", DIFF.format(msgid or subject.rpartition(" ")[2]))
    head |= {name.capitalize(): value for name, value in more.items()}
    return "".join(f"{k}: {v}\n" for k, v in head.items()).encode() + b"\n" + text.encode()


def threaded(form: str, mark: str = "") -> list[bytes]:
    """A cover letter and three patches; ``form`` is filled with the number."""
    cover = letter(form.format(0) + " mm: things", f"c{mark}", body="why\n")
    numbers = (1, 2, 3)
    return [
        cover,
        *(letter(f"{form.format(n)} mm: {n}", f"p{n}{mark}", f"c{mark}") for n in numbers),
    ]


def mbox(mails: Sequence[bytes]) -> bytes:
    return b"".join(b"From x Thu Jan  1 00:00:00 1970\n" + mail + b"\n\n" for mail in mails)


@pytest.fixture
def fetching(tmp_path: Path) -> Fetching:
    subprocess.run(["git", "init", "-q", "--bare", str(tmp_path / "git")], check=True)

    def run(name: str, **wanted: object) -> Fetched:
        asked = Wanted(**{"name": name, "offline": True, **wanted})  # type: ignore[arg-type]
        return fetch(asked, tmp_path / "b4", Git(tmp_path / "git"), NoProgress())

    return run


@pytest.fixture
def of(fetching: Fetching, tmp_path: Path) -> Fetching:
    """Fetches from a mailbox of mails, all of it or by a message-id."""

    def run(mails: Sequence[bytes], msgid: str = "", **wanted: object) -> Fetched:
        file = tmp_path / "some.mbox"
        file.write_bytes(mbox(mails))
        if msgid:
            return fetching(f"{msgid}@x.org", mbox=file, **wanted)
        return fetching(str(file), **wanted)

    return run


def subjects(fetched: Fetched) -> list[str]:
    return [patch.subject for patch in fetched.series.patches]


@pytest.mark.parametrize("form", ["[PATCH]", "[PATCH {}]", "[PATCH v2]", "mm fix"])
@pytest.mark.parametrize("named", [True, False])
def test_patches_without_a_count_are_numbered_as_they_come(
    of: Fetching, form: str, *, named: bool
) -> None:
    mails = [letter(f"{form.format(n)} mm: {n}", f"p{n}" if named else "") for n in (1, 2, 3)]
    found = of(mails)
    assert [each[-5:] for each in subjects(found)] == ["mm: 1", "mm: 2", "mm: 3"]
    assert [patch.number for patch in found.series.patches] == [1, 2, 3]
    assert (found.series.expected, found.series.missing) == (3, ())
    assert any("numbered in the order of the input" in note for note in found.series.notes)


def test_a_folder_without_counts(fetching: Fetching, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    for number in (1, 2, 3):
        (folder / f"{number:04}-x.patch").write_bytes(letter(f"[PATCH] mm: {number}"))
    assert subjects(fetching(str(folder))) == ["mm: 1", "mm: 2", "mm: 3"]


def test_two_patches_with_one_number(of: Fetching) -> None:
    mails = [
        letter(f"[PATCH {n}/2] mm: {name}", name) for n, name in ((1, "a"), (2, "b"), (2, "c"))
    ]
    assert subjects(of(mails)) == ["mm: a", "mm: b", "mm: c"]
    with pytest.raises(UsageError, match=r"have one number.*mm: b.*\(b@x\.org\).*mm: c.*mailbox"):
        of(
            [
                mails[0],
                *(m.replace(b"\n\n", b"\nIn-Reply-To: <a@x.org>\n\n", 1) for m in mails[1:]),
            ],
            "a",
        )


def test_a_thread_of_patches_without_a_count(of: Fetching) -> None:
    mails = [letter("[PATCH] mm: a", "a"), letter("[PATCH] mm: b", "b", "a")]
    with pytest.raises(UsageError, match=r"or none: '\[PATCH\] mm: a' by ann@example\.org"):
        of(mails, "a")


@pytest.mark.parametrize(
    ("form", "revision"),
    [
        ("[PATCH {} of 3]", 1),
        ("[RESEND][PATCH v2 {}/3]", 2),
        ("[RFC v2 {}/3]", 2),
        ("[External] [PATCH v2 {}/3]", 2),
        ("[net-next,v2,{}/3]", 2),
        ("[PATCH][v2 {}/3]", 2),
        ("[PATCH rdma-rev2 {}/3]", 1),
    ],
)
def test_ways_to_write_a_subject(of: Fetching, form: str, revision: int) -> None:
    found = of(threaded(form)).series
    assert (found.revision, found.expected, found.missing) == (revision, 3, ())
    assert (found.subject, found.msgid) == ("mm: things", "c@x.org")


def test_a_diff_without_any_tag(of: Fetching) -> None:
    assert subjects(of([letter("mm: x", "p")])) == ["mm: x"]


@pytest.mark.parametrize("msgid", ["", "c", "p2", "eve"])
@pytest.mark.parametrize("subject", ["[PATCH v5] other", "[PATCH] fixup", "[PATCH 2/3] better"])
def test_a_strangers_patch_in_the_thread(of: Fetching, subject: str, msgid: str) -> None:
    eve = letter(subject, "eve", "p2", EVE)
    found = of([*threaded("[PATCH {}/3]"), eve], msgid).series
    if msgid == "eve" and "/" not in subject:
        assert [patch.msgid for patch in found.patches] == ["eve@x.org"]
    elif msgid != "eve":
        assert [patch.msgid for patch in found.patches] == [f"p{n}@x.org" for n in (1, 2, 3)]
        assert (found.revision, found.newest, found.missing) == (1, 1, ())
        assert found.notes == (
            f"not of this series, and left out: '{subject}' by eve@example.org (eve@x.org)",
        )


def test_a_stranger_does_not_fill_a_gap(of: Fetching) -> None:
    mails = [mail for mail in threaded("[PATCH {}/3]") if b"mm: 2" not in mail]
    found = of([*mails, letter("[PATCH] fixup", "eve", "p1", EVE)]).series
    assert (found.expected, found.missing, len(found.patches)) == (3, (2,), 2)


@pytest.mark.parametrize("msgid", ["", "c", "p2"])
def test_a_patch_that_is_sent_anew_in_the_thread(of: Fetching, msgid: str) -> None:
    found = of([*threaded("[PATCH {}/3]"), letter("[PATCH v2 2/3] mm: 2", "again", "p2")], msgid)
    ids = [patch.msgid for patch in found.series.patches]
    assert ids == ["p1@x.org", "again@x.org", "p3@x.org"]
    assert (found.series.revision, found.series.missing) == (2, ())


def test_a_mailbox_with_another_series_by_the_same_author(of: Fetching) -> None:
    other = [letter(f"[PATCH v4 {n}/2] net: {n}", f"n{n}") for n in (1, 2)]
    newer = [letter(f"[PATCH v2 {n}/3] mm: {n}", f"q{n}", "q1" if n > 1 else "") for n in (1, 2, 3)]
    fetched = of([*threaded("[PATCH {}/3]"), *other, *newer], "p2")
    found = fetched.series
    assert [patch.msgid for patch in found.patches] == [f"q{n}@x.org" for n in (1, 2, 3)]
    assert b"<p1@x.org>" in fetched.thread
    assert b"<n1@x.org>" not in fetched.thread


@pytest.mark.parametrize(
    "bad",
    [
        letter("Re: x", "r", "p1", EVE, body="no\n", date="Mon, 01 Sep 2025 10:77:00 +0000"),
        letter("Re: =?utf-7?q?x=2B2AA-y?=", "r", "p1", EVE, body="no\n"),
        letter("Re: x", "r", "p1", "=?utf-7?q?x=2B2AA-y?= <s@s>", body="no\n"),
    ],
)
def test_a_reply_that_b4_cannot_read(of: Fetching, bad: bytes) -> None:
    found = of([*threaded("[PATCH {}/3]"), bad], "c").series
    assert len(found.patches) == 3
    assert not any(patch.trailers for patch in found.patches)


def test_bytes_that_no_charset_explains(of: Fetching) -> None:
    mail = letter("[PATCH] mm: x", "p").replace(b"+new", b"+caf\xe9")
    (note,) = of([mail]).series.notes
    assert "patch 1: has bytes that its mail does not declare" in note
    whole = letter("[PATCH] mm: x", "p").replace(b"+new", "+\ufffd".encode())
    assert of([whole]).series.notes == ()


def test_mails_without_message_ids(
    fetching: Fetching, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = mbox([letter(f"[PATCH {n}/2] mm: {n}") for n in (1, 2)])
    file = tmp_path / "x.patch"
    file.write_bytes(content)
    whole = fetching(str(file)).series
    assert (len(whole.patches), whole.missing) == (2, ())
    monkeypatch.setattr(sys, "stdin", TextIOWrapper(BytesIO(content)))
    assert fetching("-").series.patches == whole.patches
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(content,))
    writer.start()
    assert fetching(str(pipe)).series.patches == whole.patches
    writer.join()


def test_what_is_empty(fetching: Fetching, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "empty").touch()
    for name in (str(tmp_path / "empty"), "/dev/null"):
        with pytest.raises(NotFoundError, match=f"{name}: is empty"):
            fetching(name)
    monkeypatch.setattr(sys, "stdin", TextIOWrapper(BytesIO(b"")))
    with pytest.raises(NotFoundError, match="stdin: is empty"):
        fetching("-")


def test_more_than_anyone_sends(of: Fetching, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(b4, "MOST_BYTES", 100)
    with pytest.raises(UsageError, match="MiB of mail"):
        of(threaded("[PATCH {}/3]"))


def test_a_revision_that_is_elsewhere(of: Fetching, tmp_path: Path) -> None:
    store = tmp_path / "store"
    first = of(threaded("[PATCH {}/3]"), "c")
    second = threaded("[PATCH v2 {}/3]", "v2")
    with pytest.raises(NotFoundError, match=r"has no v1: there is v2 \(name the message-id of v1"):
        of(second, "p1v2", revision=1, store=store)
    save(store, first)
    save(store, of(second, "cv2"))
    found = of(second, "p1v2", revision=1, store=store)
    assert (found.series.revision, found.series.msgid) == (1, "c@x.org")


def test_a_revision_that_is_in_the_thread_of_a_newer_one(of: Fetching, tmp_path: Path) -> None:
    second = threaded("[PATCH v2 {}/3]", "v2")
    store = tmp_path / "store"
    save(store, of([*threaded("[PATCH {}/3]"), *second]))
    found = of(second, "p1v2", revision=1, store=store)
    assert (found.series.revision, found.series.msgid) == (1, "c@x.org")


@pytest.mark.parametrize(
    "name",
    [
        "mid:p1@x.org",
        "id:p1@x.org",
        "https://patchwork.kernel.org/project/linux-mm/patch/p1@x.org/",
        "https://patchwork.example.org/patch/project/linux-mm/patch/p1@x.org/mbox/",
    ],
)
def test_other_names_of_a_message(fetching: Fetching, tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match=r"^p1@x\.org: --offline: was not fetched before"):
        fetching(name, store=tmp_path / "store")


def test_a_password_is_not_shown(fetching: Fetching) -> None:
    for name in ("https://ada:secret@example.org/none/", "ftp://ada:secret@example.org/"):
        with pytest.raises(UsageError) as wrong:
            fetching(name)
        assert "secret" not in str(wrong.value)


def test_a_name_that_is_too_long_for_a_file(fetching: Fetching) -> None:
    with pytest.raises(UsageError, match="is no message-id"):
        fetching("x" * 5000)
