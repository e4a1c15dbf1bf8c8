from __future__ import annotations

import mailbox
import socket
import subprocess
from collections.abc import Callable, Iterator
from email import message_from_bytes
from pathlib import Path

import pytest

from khoci.errors import HarnessError, UsageError
from khoci.progress import NoProgress
from khoci.series import b4
from khoci.series.b4 import NotFoundError
from khoci.series.fetch import Fetched, Wanted, fetch
from khoci.series.plumbing import Git
from khoci.series.store import save
from tests.series.inbox import THREADS, Inbox, serving, thread

V1, V2 = "20261110-leaf-bumped-v1-{}@example.org", "20261110-leaf-bumped-v2-{}@example.org"
REVIEW = """\
From: Rita Reviewer <rita@example.org>
Date: Wed, 11 Nov 2026 12:00:00 +0000
Subject: Re: [PATCH v2 2/3] kho: let a leaf of the radix tree take half a page
Message-ID: <review-1@example.org>
In-Reply-To: <20261110-leaf-bumped-v2-2@example.org>
References: <20261110-leaf-bumped-v2-0@example.org> <20261110-leaf-bumped-v2-2@example.org>
To: Ada Example <ada@example.org>

> The other half will hold the owners of the blocks.

Good.

Reviewed-by: Rita Reviewer <rita@example.org>
"""
TALK = """\
From: Rita Reviewer <rita@example.org>
Date: Wed, 11 Nov 2026 12:00:00 +0000
Subject: a question
Message-ID: <talk-1@example.org>
To: kho-test@example.org

Who checks?
"""
HOSTILE = """\
From: Eve <eve@example.org>
Date: Wed, 11 Nov 2026 12:00:00 +0000
Subject: [PATCH] $(touch /tmp/x); `id` ../../etc
Message-ID: <hostile-1@example.org>
To: kho-test@example.org

Signed-off-by: Eve <eve@example.org>
---
diff --git a/.git/hooks/post-checkout b/.git/hooks/post-checkout
new file mode 100755
index 0000000..1111111
--- /dev/null
+++ b/.git/hooks/post-checkout
@@ -0,0 +1 @@
+touch /tmp/x
"""
UTF_8 = "Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n"
Fetching = Callable[..., Fetched]


@pytest.fixture(scope="session")
def inbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Inbox]:
    names = [path.stem for path in sorted(THREADS.glob("*.mbox"))]
    mails = [mail for name in names for mail in thread(name)]
    more = [text.encode() for text in (REVIEW, TALK, HOSTILE)]
    with serving(tmp_path_factory.mktemp("inbox"), [*mails, *more]) as found:
        yield found


@pytest.fixture
def fetching(inbox: Inbox, tmp_path: Path) -> Fetching:
    subprocess.run(["git", "init", "-q", "--bare", str(tmp_path / "git")], check=True)
    config = tuple(inbox.config[1::2])

    def run(name: str, **wanted: object) -> Fetched:
        asked = Wanted(**{"name": name, "config": config, **wanted})  # type: ignore[arg-type]
        return fetch(asked, tmp_path / "b4", Git(tmp_path / "git"), NoProgress())

    return run


@pytest.mark.parametrize("number", [0, 2])
def test_the_newest_revision_by_any_mail_of_an_older_one(fetching: Fetching, number: int) -> None:
    series = fetching(V1.format(number)).series
    assert (series.revision, series.newest, series.expected) == (2, 2, 3)
    assert series.msgid == V2.format(0)
    assert series.subject == "kho: half-page leaves"
    assert [patch.number for patch in series.patches] == [1, 2, 3]
    assert [patch.msgid for patch in series.patches] == [V2.format(n) for n in (1, 2, 3)]
    assert series.patches[1].author == "Ada Example <ada@example.org>"
    assert series.base_commit == "8fb99cb2e14816ec664fbafed4771dc082b7e41a"
    assert series.patches[0].blobs[0].path == "kernel/liveupdate/kexec_handover.c"
    assert len(series.patches[0].patch_id) == 40
    assert series.missing == ()


def test_the_revision_that_is_asked_for(fetching: Fetching) -> None:
    found = fetching(V1.format(1), revision=1).series
    assert (found.revision, found.newest, found.msgid) == (1, 2, V1.format(0))


def test_what_others_said_is_told_and_not_applied(fetching: Fetching) -> None:
    patches = fetching(V2.format(0)).series.patches
    said = "Reviewed-by: Rita Reviewer <rita@example.org>"
    assert [patch.trailers for patch in patches] == [(), (said,), ()]
    assert all(b"Rita" not in patch.mail for patch in patches)


def test_the_thread_is_kept_as_it_is(fetching: Fetching) -> None:
    fetched = fetching(V2.format(0))
    assert b"Good." in fetched.thread
    assert b"Good." not in fetched.mbox


@pytest.mark.parametrize("rest", ["", "/", "/T/#u", "/raw", "/t.mbox.gz"])
def test_an_address_in_an_archive(fetching: Fetching, inbox: Inbox, rest: str) -> None:
    address = f"{inbox.url}/20261110-merged-v1-1@example.org{rest}"
    config = ("b4.midmask=http://127.0.0.1:9/nobody/%s", "b4.attestation-policy=off")
    series = fetching(address, config=config).series
    assert series.subject == "kho: test: include what is used"
    assert series.origin == inbox.url


def test_a_password_in_an_address_is_used_and_not_kept(fetching: Fetching, inbox: Inbox) -> None:
    secret = inbox.url.replace("//", "//ada:secret@")
    config = ("b4.attestation-policy=off",)
    found = fetching(f"{secret}/20261110-merged-v1-1@example.org/", config=config)
    assert found.series.origin == inbox.url
    with pytest.raises(NotFoundError) as lost:
        fetching(f"{secret}/nobody@example.org/", config=config)
    assert "secret" not in str(lost.value)
    with pytest.raises(HarnessError) as gone:
        fetching("http://ada:secret@127.0.0.1:9/x/nobody@example.org/", config=config)
    assert "secret" not in str(gone.value)


def test_an_archive_that_sends_too_much(
    fetching: Fetching, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(b4, "MOST_BYTES", 1000)
    with pytest.raises(UsageError, match=r"more than 0 MiB of mail"):
        fetching(V1.format(0))


def test_names_that_are_not_ascii(fetching: Fetching) -> None:
    series = fetching("20261110-words-v1-1@example.org").series
    assert series.subject == "kho: test: ein Wörtchen mehr: „Übergabe“"
    assert series.patches[0].author == "Zoë Łukasiewicz <zoe@example.org>"
    assert series.patches[0].blobs[0].path == "Documentation/core-api/kho/grüße.rst"


def test_a_patch_is_missing(fetching: Fetching) -> None:
    series = fetching("20261110-incomplete-v1-0@example.org").series
    assert (series.expected, series.missing) == (3, (2,))


def test_what_is_not_there(fetching: Fetching) -> None:
    with pytest.raises(NotFoundError, match=r"nobody@example\.org: the archive does not have it"):
        fetching("nobody@example.org")
    with pytest.raises(NotFoundError, match=r"has no v7: there is v1, v2$"):
        fetching(V1.format(0), revision=7)
    with pytest.raises(NotFoundError, match=r"talk-1@example\.org: there is no patch"):
        fetching("talk-1@example.org")


def test_a_hostile_patch_is_refused(fetching: Fetching) -> None:
    with pytest.raises(UsageError, match=r"patch 1 \(hostile-1@example\.org\) is refused: .*\.git"):
        fetching("hostile-1@example.org")


@pytest.mark.parametrize(
    "name",
    [
        "--help@x.org",
        "-o@x",
        "a b@example.org",
        "nothing",
        "",
        "ftp://x/a@b",
        "http://x/",
        "a@b;id",
    ],
)
def test_what_is_no_name(fetching: Fetching, name: str) -> None:
    with pytest.raises(UsageError, match=r"is no message-id|is the address of no message"):
        fetching(name)


def test_the_archive_does_not_answer(fetching: Fetching) -> None:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    config = (f"b4.midmask=http://127.0.0.1:{port}/x/%s", "b4.attestation-policy=off")
    with pytest.raises(HarnessError, match=r"b4 could not fetch it: Connection refused .*--mbox"):
        fetching(V1.format(0), config=config)
    with pytest.raises(UsageError, match="--offline: was not fetched before; name a mailbox"):
        fetching(V1.format(0), offline=True)


def test_what_was_fetched_before_is_there_offline(fetching: Fetching, tmp_path: Path) -> None:
    before = fetching(V1.format(0))
    save(tmp_path / "store", before)
    again = fetching(V1.format(2), offline=True, store=tmp_path / "store")
    assert again.series.patches == before.series.patches
    assert again.thread == before.thread


def test_a_mailbox(fetching: Fetching, tmp_path: Path) -> None:
    both = [*thread("merged"), *thread("leaf-silent")]
    file = tmp_path / "all.mbox"
    file.write_bytes(b"".join(b"From x Thu Jan  1 00:00:00 1970\n" + m + b"\n\n" for m in both))
    msgid = "20261110-leaf-silent-v1-2@example.org"
    found = fetching(msgid, mbox=file, offline=True).series
    assert (found.subject, len(found.patches)) == ("kho: smaller leaves", 3)
    with pytest.raises(NotFoundError, match=r"nobody@example\.org: is not in .*all\.mbox"):
        fetching("nobody@example.org", mbox=file)
    with pytest.raises(UsageError, match="does not exist"):
        fetching(msgid, mbox=tmp_path / "none")


def test_a_path(fetching: Fetching, tmp_path: Path) -> None:
    whole = fetching(str(THREADS / "leaf-silent.mbox"), offline=True).series
    maildir = mailbox.Maildir(tmp_path / "maildir")
    for mail in thread("leaf-silent"):
        maildir.add(mail)
    assert fetching(str(tmp_path / "maildir")).series.patches == whole.patches


def test_a_folder_of_patches_without_message_ids(fetching: Fetching, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    for number, mail in enumerate(thread("leaf-silent")):
        parsed = message_from_bytes(mail)
        for name in ("Message-ID", "In-Reply-To", "References"):
            del parsed[name]
        head = b"From 0000000000000000000000000000000000000000 Mon Sep 17 00:00:00 2001\n"
        (folder / f"{number:04}-x.patch").write_bytes(head + parsed.as_bytes())
    first, again = (fetching(str(folder)).series for _ in range(2))
    assert (first.subject, first.missing, first.expected) == ("kho: smaller leaves", (), 3)
    assert [patch.msgid for patch in first.patches] == [patch.msgid for patch in again.patches]
    (folder / "0002-x.patch").unlink()
    assert fetching(str(folder)).series.missing == (2,)


def test_an_empty_folder(fetching: Fetching, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"has no mail and no \*\.patch"):
        fetching(str(tmp_path))


@pytest.mark.parametrize(
    ("sender", "line", "why"),
    [
        ("Eve", "/* \u200b */", "characters that nobody can see"),
        ("=?utf-8?q?Eve=0Aparent_x?=", "x", "of its author"),
    ],
)
def test_what_b4_would_end_at_is_refused_with_a_reason(
    fetching: Fetching, tmp_path: Path, sender: str, line: str, why: str
) -> None:
    mail = HOSTILE.replace("Eve", sender, 1).replace(".git/hooks/post-checkout", "mm/x.c")
    mail = mail.replace("touch /tmp/x\n", f"{line}\n").replace("To: ", f"{UTF_8}To: ")
    (tmp_path / "mails.mbox").write_text(f"From x Mon Sep 17 00:00:00 2001\n{mail}")
    with pytest.raises(UsageError, match=f"patch 1 .hostile-1@example.org. is refused: .*{why}"):
        fetching(str(tmp_path / "mails.mbox"))
