"""From a thread in a public-inbox to the table: the whole way, on real kernels."""

from __future__ import annotations

import json
import mailbox
import os
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from khoci.verdicts import Verdict
from tests.mailer.server import Delivered, listening
from tests.series.inbox import Inbox, serving, thread
from tests.vm.caches import cache_with_kernels
from tests.vm.conftest import command

pytestmark = [pytest.mark.vm, pytest.mark.timeout(1200)]

SILENT, BUMPED = "20261110-leaf-silent-v1-0@example.org", "20261110-leaf-bumped-v{}-0@example.org"
SCENARIOS = ("--kernels", "7.3", "--scenarios", "kho-test,reserve-mem")
BROKEN = {Verdict.CORRUPT, Verdict.PANIC, Verdict.RESET}

Khoci = Callable[..., "subprocess.CompletedProcess[str]"]


@dataclass(frozen=True)
class Around:
    """A finished `khoci matrix run --series`."""

    status: int
    text: str
    folder: Path
    cells: dict[tuple[str, str, str], dict[str, Any]]

    def verdicts(self, producer: str, consumer: str) -> set[str]:
        return {
            c["verdict"] for (p, q, _), c in self.cells.items() if (p, q) == (producer, consumer)
        }

    def predicted(self, producer: str, consumer: str) -> set[Verdict]:
        """The worst that was predicted in each of a pair's cells."""
        of_pair = (c for (p, q, _), c in self.cells.items() if (p, q) == (producer, consumer))
        words = ([Verdict(i["verdict"]) for i in c["prediction"].values()] for c in of_pair)
        return {max(each, key=lambda verdict: verdict.rank) for each in words}


@pytest.fixture(scope="module")
def inbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Inbox]:
    names = ("leaf-silent", "leaf-bumped", "leaf-bumped-v2", "merged", "incomplete", "words")
    mails = [mail for name in names for mail in thread(name)]
    with serving(tmp_path_factory.mktemp("inbox"), mails) as found:
        yield found


@pytest.fixture(scope="module")
def khoci(linux_git: Path, tmp_path_factory: pytest.TempPathFactory) -> Khoci:
    """khoci with series and a linux.git of its own; kernels are those of the usual cache."""
    folder = tmp_path_factory.mktemp("series")
    own = {"KHOCI_CACHE": str(cache_with_kernels(folder, linux_git)), "COLUMNS": "80"}

    def run(*words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        env = {**os.environ, **own}
        env.pop("KHOCI_LINUX_GIT", None)
        return subprocess.run(
            command(*words),
            cwd=folder,
            env=env,
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
        )

    made = run("tree", "init", "7.3")
    assert made.returncode == 0, made.stderr
    return run


def around(khoci: Khoci, series: str, *words: str) -> Around:
    done = khoci("matrix", "run", *SCENARIOS, "--series", series, *words)
    assert "results: " in done.stdout, done.stderr
    named = done.stdout.rpartition("results: ")[2].split("\n")[0]
    where = khoci("series", "show", series, "--json")
    folder = Path(json.loads(where.stdout)["folder"]).parents[3] / named
    loaded = [json.loads(path.read_text()) for path in folder.glob("*.json")]
    cells = {(each["producer"], each["consumer"], each["scenario"]): each for each in loaded}
    return Around(done.returncode, done.stdout + done.stderr, folder, cells)


@pytest.fixture(scope="module")
def silent(khoci: Khoci, inbox: Inbox) -> Around:
    applied = khoci("apply-series", SILENT, *inbox.config)
    assert applied.returncode == 0, applied.stderr
    assert "  2/3 applied: kho: let a leaf of the radix tree take half a page" in applied.stdout
    return around(khoci, "kho-smaller-leaves", "--each-patch")


@pytest.fixture(scope="module")
def bumped(khoci: Khoci, inbox: Inbox) -> Around:
    for revision in ("1", "2"):
        applied = khoci("apply-series", BUMPED.format(1), "--revision", revision, *inbox.config)
        assert applied.returncode == 0, applied.stderr
    return around(khoci, "kho-half-page-leaves")


def test_a_layout_that_changed_silently_breaks_both_ways(silent: Around) -> None:
    series = "kho-smaller-leaves-v1"
    for pair in (("v7.3.4", series), (series, "v7.3.4")):
        assert silent.verdicts(*pair) <= BROKEN
        assert silent.predicted(*pair) <= BROKEN
    assert silent.verdicts(series, series) == {"restored"}
    assert silent.predicted(series, series) == {Verdict.RESTORED}
    assert silent.status == 1


def test_the_patch_that_breaks_it_is_named(silent: Around) -> None:
    assert "what it changes against its base:\n\nREGRESSED\n\n" in silent.text
    assert "since patch 2/3: kho: let a leaf of the radix tree take half a page" in silent.text
    assert "since patch 1/3" not in silent.text
    first = "kho-smaller-leaves-v1-1of3"
    assert silent.verdicts("v7.3.4", first) == silent.verdicts(first, "v7.3.4") == {"restored"}


def test_with_a_new_version_it_is_refused_both_ways(bumped: Around) -> None:
    series = "kho-half-page-leaves-v2"
    for pair in (("v7.3.4", series), (series, "v7.3.4")):
        assert bumped.verdicts(*pair) == {"refused"}
        assert bumped.predicted(*pair) == {Verdict.REFUSED}
    assert bumped.status == 0, bumped.text
    assert "restored -> refused" in bumped.text
    assert "incompatible with 'kho-v5'" in " ".join(bumped.text.split())


def test_the_revision_before_it_is_held_against_it(bumped: Around) -> None:
    first, second = "kho-half-page-leaves-v1", "kho-half-page-leaves-v2"
    for pair in ((first, second), (second, first), (second, second)):
        assert bumped.verdicts(*pair) == {"restored"}
        assert bumped.predicted(*pair) == {Verdict.RESTORED}
    assert not bumped.verdicts(first, "v7.3.4")


@pytest.mark.parametrize(
    ("msgid", "status", "words"),
    [
        (SILENT, "fail", "4 of 6 cells are worse than on v7.3.4: "),
        (BUMPED.format(2), "warn", "4 of 6 cells are worse than on v7.3.4: refused"),
        ("nobody@example.org", "warn", "not tried: khoci apply-series nobody@example.org"),
    ],
)
def test_what_b4_review_shows(
    khoci: Khoci, silent: Around, bumped: Around, msgid: str, status: str, words: str
) -> None:
    done = khoci("b4-check", stdin=f"Message-ID: <{msgid}>\nSubject: [PATCH 0/3] x\n\n")
    (entry,) = json.loads(done.stdout)
    assert (entry["tool"], entry["status"]) == ("khoci", status)
    assert entry["summary"].startswith(words)


def test_b4_itself_runs_it(khoci: Khoci, silent: Around) -> None:
    code = """
import sys
from b4.review.checks import _run_external_cmd
from email.message import EmailMessage
message = EmailMessage()
message["Message-ID"], message["Subject"] = sys.argv[1], "[PATCH 0/3] x"
(found,) = _run_external_cmd(sys.argv[2:], message, ".")
print(found["status"], found["details"])
"""
    words = command("b4-check")
    where = khoci("series", "show", "kho-smaller-leaves", "--json")
    folder = Path(json.loads(where.stdout)["folder"]).parents[3]
    done = subprocess.run(
        [sys.executable, "-c", code, f"<{SILENT}>", *words],
        cwd=folder,
        env={**os.environ, "KHOCI_CACHE": str(folder / "cache")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.startswith("fail kho-smaller-leaves-v1 on v7.3.4: kho: smaller leaves")


def test_it_is_resumed_as_it_began(khoci: Khoci, silent: Around) -> None:
    done = khoci("matrix", "run", "--resume", "--series", "x")
    assert done.returncode == 2
    assert "a run is resumed as it began: leave out series" in done.stderr


def test_the_kernel_of_a_series_is_one_like_others(khoci: Khoci, bumped: Around) -> None:
    done = khoci("cell", "run", "kho-half-page-leaves-v2", "7.3", "reserve-mem")
    assert "refused" in done.stdout, done.stderr


@pytest.fixture
def git_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Sets a value that git and khoci hear, and no other of this machine."""
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "gitconfig"))
    monkeypatch.setenv("KHOCI_STATE", str(tmp_path / "state"))

    def set_(key: str, value: str) -> None:
        subprocess.run(["git", "config", "--global", "--add", key, value], check=True)

    set_("user.name", "A Tester")
    set_("user.email", "tester@example.net")
    return set_


def test_the_answer_gets_into_the_thread_once(
    khoci: Khoci, silent: Around, inbox: Inbox, git_config: Callable[..., None]
) -> None:
    words = ("post", str(silent.folder), "--send", *inbox.config)
    delivered = Delivered()
    with listening(delivered) as port:
        git_config("sendemail.smtpServer", "127.0.0.1")
        git_config("sendemail.smtpServerPort", str(port))
        refused = khoci(*words)
        assert refused.returncode == 2
        assert "nothing allows mail to" in refused.stderr
        git_config("khoci.allowRecipient", "*")
        sent = khoci(*words)
        assert sent.returncode == 0, sent.stderr
        (envelope,) = delivered.mails
        assert "kexec@lists.infradead.org" in envelope.rcpt_tos, "get_maintainer.pl knows it"
        assert isinstance(envelope.content, bytes)
        inbox.deliver(envelope.content.replace(b"\r\n", b"\n"))
        again = khoci(*words)
    msgid = sent.stdout.split()[-1]
    assert again.returncode == 0, again.stderr
    assert again.stdout == f"not sent: the thread has this result already: {msgid}\n"
    assert len(delivered.mails) == 1
    _is_in_its_place(inbox, msgid)


def test_another_machine_knows_that_the_thread_is_answered(
    khoci: Khoci, silent: Around, inbox: Inbox, git_config: Callable[..., None]
) -> None:
    mail = khoci("post", str(silent.folder), *inbox.config).stdout
    inbox.deliver(mail.encode())
    git_config("sendemail.smtpServer", "127.0.0.1")
    git_config("user.email", "other@example.com")
    done = khoci("post", str(silent.folder), "--send", *inbox.config)
    assert done.stdout.startswith("not sent: the thread has this result already: ")


def _is_in_its_place(inbox: Inbox, msgid: str) -> None:
    """Under the cover letter as the archive shows the thread, and in what b4 fetches of it."""
    with urllib.request.urlopen(f"{inbox.url}/{SILENT}/t.atom") as feed:  # noqa: S310  (loopback)
        thread = ET.fromstring(feed.read())  # noqa: S314  (of our own inbox)
    name = "{http://www.w3.org/2005/Atom}"
    replies = {
        entry.findtext(f"{name}title", ""): [
            each.get("href", "").rstrip("/").rpartition("/")[2]
            for each in entry.iter("{http://purl.org/syndication/thread/1.0}in-reply-to")
        ]
        for entry in thread.iter(f"{name}entry")
    }
    assert replies["Re: [RFC PATCH 0/3] kho: smaller leaves"] == [SILENT]
    with tempfile.TemporaryDirectory() as folder:
        b4 = Path(sys.executable).with_name("b4")
        subprocess.run(
            [b4, "-n", *inbox.config, "mbox", "-C", "-o", folder, "-n", "t.mbx", SILENT],
            env={**os.environ, "HOME": folder, "XDG_DATA_HOME": folder, "XDG_CACHE_HOME": folder},
            check=True,
            capture_output=True,
        )
        with closing(mailbox.mbox(Path(folder) / "t.mbx")) as box:
            found = {mail["Message-ID"]: mail for mail in box}
    assert len(found) == 5
    assert found[f"<{msgid}>"]["In-Reply-To"] == f"<{SILENT}>"
