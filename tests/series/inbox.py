"""A real public-inbox on loopback, filled with mails of ours."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

THREADS = Path(__file__).parent / "threads"
SECONDS_TO_START = 30
ADDRESS = "kho-test@example.org"


@dataclass(frozen=True)
class Inbox:
    """An inbox that answers at ``url``."""

    url: str
    home: Path

    @property
    def config(self) -> list[str]:
        """What makes b4 use it, with no DNS for signatures."""
        return ["-c", f"b4.midmask={self.url}/%s", "-c", "b4.attestation-policy=off"]

    def deliver(self, mail: bytes) -> None:
        """Take a mail in as a mail server hands it over."""
        env = {
            **os.environ,
            "HOME": str(self.home),
            "PI_CONFIG": str(self.home / "config"),
            "ORIGINAL_RECIPIENT": ADDRESS,
        }
        done = subprocess.run(
            ["public-inbox-mda", "--no-precheck"],
            env=env,
            input=mail,
            capture_output=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr


def thread(name: str) -> list[bytes]:
    """The mails of one of the threads here."""
    mbox = (THREADS / f"{name}.mbox").read_bytes()
    return [mail.partition(b"\n")[2] for mail in mbox.split(b"\nFrom ") if mail.strip()]


@contextmanager
def serving(folder: Path, mails: Sequence[bytes]) -> Iterator[Inbox]:
    """Serve mails from an inbox below ``folder``."""
    if shutil.which("public-inbox-httpd") is None:
        pytest.fail("public-inbox is not installed: apt-get install public-inbox")
    home, place = folder / "home", folder / "inbox"
    home.mkdir(parents=True)
    env = {**os.environ, "HOME": str(home), "PI_CONFIG": str(home / "config")}
    port = _free_port()
    inbox = Inbox(f"http://127.0.0.1:{port}/khotest", home)
    _fill(place / "git/0.git", mails)
    commands: tuple[list[str], ...] = (
        ["init", "-V2", "-L", "full", "khotest", str(place), inbox.url, ADDRESS],
        ["index", "-L", "full", str(place)],
    )
    for command in commands:
        subprocess.run(
            [f"public-inbox-{command[0]}", *command[1:]], env=env, check=True, capture_output=True
        )
    spam = ["git", "config", "--file", str(home / "config"), "publicinboxmda.spamcheck", "none"]
    subprocess.run(spam, check=True)
    httpd = subprocess.Popen(
        ["public-inbox-httpd", "-W0", "-l", f"127.0.0.1:{port}"],
        env=env,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        _wait_for(f"http://127.0.0.1:{port}/khotest/", httpd)
        yield inbox
    finally:
        os.killpg(httpd.pid, signal.SIGTERM)
        httpd.wait(timeout=10)


def _fill(repository: Path, mails: Sequence[bytes]) -> None:
    """One commit a mail, with one file ``m``: what public-inbox makes of what is delivered."""
    subprocess.run(["git", "init", "-q", "--bare", str(repository)], check=True)
    lines: list[bytes] = []
    for number, mail in enumerate(mails, 1):
        who = f"a <a@example.org> {1_790_000_000 + number} +0000".encode()
        lines += [
            b"commit refs/heads/master\nauthor " + who + b"\ncommitter " + who + b"\n",
            b"data 1\nm\nM 100644 inline m\ndata %d\n" % len(mail) + mail + b"\n",
        ]
    subprocess.run(
        ["git", "-C", str(repository), "fast-import", "--quiet"], input=b"".join(lines), check=True
    )
    head = ["git", "-C", str(repository), "symbolic-ref", "HEAD", "refs/heads/master"]
    subprocess.run(head, check=True)


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def _wait_for(url: str, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + SECONDS_TO_START
    while time.monotonic() < end and process.poll() is None:
        try:
            with urllib.request.urlopen(url):  # noqa: S310  (loopback)
                return
        except urllib.error.URLError:
            time.sleep(0.1)
    pytest.fail(f"public-inbox-httpd does not answer at {url}")
