from __future__ import annotations

from pathlib import Path

import pytest

from khoci.errors import UsageError
from khoci.mailer.settings import STARTTLS, Server, Settings, sender, settings

WHO = "[user]\n name = J\N{LATIN SMALL LETTER O WITH DIAERESIS}rg\n email = me@example.net\n"


def configure(folder: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """What git hears, and nothing else of this machine."""
    (folder / "config").write_text(text, encoding="utf-8")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(folder / "config"))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.chdir(folder)


def test_a_server_with_all_that_git_knows_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(
        tmp_path,
        monkeypatch,
        WHO
        + """
[sendemail]
    from = Me <list@example.net>
    smtpServer = mail.example.net
    smtpServerPort = 587
    smtpEncryption = tls
    smtpUser = me
    smtpPass = secret
    smtpSSLCertPath = /etc/ca
    smtpDomain = here.example.net
[khoci]
    allowRecipient = *@example.org
    allowRecipient = list@example.com
    maxPerHour = 2
""",
    )
    found = settings()
    assert found == Settings(
        sender=("Me", "list@example.net"),
        server=Server(
            *("mail.example.net", 587, STARTTLS, "me", "secret", "/etc/ca", "here.example.net")
        ),
        command="",
        allowed=("*@example.org", "list@example.com"),
        most_an_hour=2,
    )
    assert "secret" not in repr(found)


def test_an_identity_goes_before_what_is_common(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(
        tmp_path,
        monkeypatch,
        WHO
        + """
[sendemail]
    identity = work
    smtpServer = mail.example.net
    smtpUser = me
[sendemail "work"]
    smtpServer = mail.example.com
""",
    )
    server = settings().server
    assert server == Server("mail.example.com", user="me")


@pytest.mark.parametrize(
    ("text", "command"),
    [("sendmailCmd = msmtp -a x", "msmtp -a x"), ("smtpServer = /usr/bin/msmtp", "/usr/bin/msmtp")],
)
def test_a_command(
    text: str, command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(tmp_path, monkeypatch, f"{WHO}[sendemail]\n {text}\n")
    assert (settings().command, settings().server) == (command, None)


def test_who_sends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    configure(tmp_path, monkeypatch, WHO)
    assert sender() == ("J\N{LATIN SMALL LETTER O WITH DIAERESIS}rg", "me@example.net")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "git does not say who you are"),
        (WHO, "git does not say how mail is sent"),
        (f"{WHO}[sendemail]\n smtpServer = x\n smtpEncryption = rot13\n", "it is tls or ssl"),
        (f"{WHO}[sendemail]\n smtpServer = x\n smtpServerPort = smtp\n", "it is a number"),
        (f"{WHO}[sendemail]\n smtpServer = x\n[khoci]\n maxPerHour = -1\n", "it is a number"),
        ("[user\n", "git config"),
    ],
)
def test_what_is_wrong_is_said(
    text: str, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = "" if text else "[sendemail]\n smtpServer = x\n"
    configure(tmp_path, monkeypatch, text + server)
    with pytest.raises(UsageError, match=says):
        settings()
