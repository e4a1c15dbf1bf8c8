from __future__ import annotations

import email
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from email import policy
from pathlib import Path

import pytest
import trustme

from khoci.errors import HarnessError, UsageError
from khoci.mailer.guards import HOUR
from khoci.mailer.once import Done, is_answered, send_once, to_self
from khoci.mailer.send import MaybeSentError
from khoci.mailer.sent import SENDING, SENT, Entry, SentMails
from khoci.mailer.settings import STARTTLS, Server, Settings
from khoci.report.mail import Mail
from tests.mailer.server import Delivered, listening

ME = ("J\N{LATIN SMALL LETTER O WITH DIAERESIS}rg", "me@example.net")
MAIL = Mail(
    sender=ME,
    to=(("Ada", "ada@example.org"),),
    cc=(("", "list@example.org"), ("", "ada@example.org")),
    subject="Re: [PATCH] kho: x",
    msgid="khoci.0123@example.net",
    body="gr\N{LATIN SMALL LETTER U WITH DIAERESIS}n\n.\nFrom here\n",
    answers="patch@x",
    references=("patch@x",),
)
NOW = 1_795_000_000.0


def by_server(port: int, **more: str) -> Settings:
    server = Server("127.0.0.1", port, **more)
    return Settings(ME, server, "", allowed=("*@example.org",), most_an_hour=5)


@pytest.fixture
def sent(tmp_path: Path) -> SentMails:
    return SentMails(tmp_path / "mails")


@pytest.fixture
def delivered() -> Delivered:
    return Delivered()


def test_it_arrives_as_it_was_made(sent: SentMails, delivered: Delivered) -> None:
    with listening(delivered) as port:
        assert send_once(MAIL, by_server(port), sent, NOW) == Done(sent=True)
    (envelope,) = delivered.mails
    assert envelope.mail_from == "me@example.net"
    assert envelope.rcpt_tos == ["ada@example.org", "list@example.org"]
    assert isinstance(envelope.content, bytes)
    assert envelope.content.replace(b"\r\n", b"\n") == MAIL.to_bytes()
    assert sent.all() == [
        Entry("khoci.0123", SENT, NOW, "patch@x", ("ada@example.org", "list@example.org"))
    ]


def test_a_second_time_sends_nothing(sent: SentMails, delivered: Delivered) -> None:
    with listening(delivered) as port:
        send_once(MAIL, by_server(port), sent, NOW)
        elsewhere = replace(MAIL, msgid="khoci.0123@other.example")
        assert send_once(elsewhere, by_server(port), sent, NOW + 9) == Done(sent=False)
    assert len(delivered.mails) == 1


def test_it_goes_only_to_those_who_are_allowed(sent: SentMails, delivered: Delivered) -> None:
    with listening(delivered) as port:
        nobody = replace(by_server(port), allowed=())
        with pytest.raises(UsageError, match=r"nothing allows mail to ada@example.org: look at"):
            send_once(MAIL, nobody, sent, NOW)
        some = replace(by_server(port), allowed=("ADA@example.org",))
        with pytest.raises(UsageError, match=r"nothing allows mail to list@example.org"):
            send_once(MAIL, some, sent, NOW)
        assert delivered.mails == []
        assert send_once(to_self(MAIL), nobody, sent, NOW).sent
    assert delivered.mails[0].rcpt_tos == ["me@example.net"]


def test_a_look_at_it_is_not_the_answer(sent: SentMails, delivered: Delivered) -> None:
    with listening(delivered) as port:
        for number in range(2):
            assert send_once(to_self(MAIL), by_server(port), sent, NOW + number).sent
        assert send_once(MAIL, by_server(port), sent, NOW + 3).sent
    assert not is_answered(MAIL, [to_self(MAIL).msgid])


def test_there_are_not_too_many_in_an_hour(sent: SentMails, delivered: Delivered) -> None:
    with listening(delivered) as port:
        few = replace(by_server(port), most_an_hour=2)
        for number in range(2):
            send_once(replace(MAIL, msgid=f"khoci.{number}@x"), few, sent, NOW + number)
        with pytest.raises(UsageError, match=r"2 mails in the last hour, .* wait 60 min"):
            send_once(MAIL, few, sent, NOW + 60)
        assert send_once(MAIL, few, sent, NOW + HOUR).sent
    assert len(delivered.mails) == 3


def test_a_thread_that_has_it_is_known_whoever_sent_it() -> None:
    assert is_answered(MAIL, {"other@x", "khoci.0123@somebody.example"})
    assert not is_answered(MAIL, {"other@x", "khoci.01234@example.net"})


@pytest.mark.parametrize("answer", ["554 no", "451 later", "421 going down"])
def test_what_was_refused_can_be_sent_again(
    answer: str, sent: SentMails, delivered: Delivered
) -> None:
    delivered.answer = answer
    with listening(delivered) as port:
        with pytest.raises(HarnessError, match=f"not sent: 127.0.0.1:{port}: {answer}"):
            send_once(MAIL, by_server(port), sent, NOW)
        assert sent.all() == []
        delivered.answer = "250 ok"
        assert send_once(MAIL, by_server(port), sent, NOW).sent


def test_who_was_refused_is_told(sent: SentMails, delivered: Delivered) -> None:
    delivered.refuse = lambda address: address.startswith("list@")
    with listening(delivered) as port:
        done = send_once(MAIL, by_server(port), sent, NOW)
        assert done == Done(sent=True, refused=("list@example.org",))
        delivered.refuse = lambda _: True
        with pytest.raises(
            HarnessError, match=r"takes mail for none of them: ada@example.org: 550"
        ):
            send_once(replace(MAIL, msgid="khoci.2@x"), by_server(port), sent, NOW)


def test_a_server_that_is_not_there_is_told(sent: SentMails) -> None:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    with pytest.raises(HarnessError, match=f"not sent: 127.0.0.1:{port}: .*refused"):
        send_once(MAIL, by_server(port), sent, NOW)
    assert sent.all() == []


@contextmanager
def dying_with_the_mail() -> Iterator[int]:
    """A server whose line breaks when it has the mail and before it says so."""

    def serve() -> None:
        connection, _ = listener.accept()
        with connection, connection.makefile("rwb", buffering=0) as line:
            line.write(b"220 hello\r\n")
            for word in line:
                if word.upper().startswith(b"DATA"):
                    line.write(b"354 go\r\n")
                    while line.readline() != b".\r\n":
                        pass
                    return
                line.write(
                    b"250-hello\r\n250 8BITMIME\r\n"
                    if word.upper().startswith(b"EHLO")
                    else b"250 ok\r\n"
                )

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()[1]
        thread.join()


def test_a_line_that_breaks_on_the_way_leaves_a_doubt(
    sent: SentMails, delivered: Delivered
) -> None:
    with dying_with_the_mail() as port, pytest.raises(MaybeSentError, match="the connection broke"):
        send_once(MAIL, by_server(port), sent, NOW)
    assert [entry.state for entry in sent.all()] == [SENDING]
    with listening(delivered) as port:
        with pytest.raises(UsageError, match="may have been sent before"):
            send_once(MAIL, by_server(port), sent, NOW)
        assert send_once(MAIL, by_server(port), sent, NOW, again=True).sent


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


def secured(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context


def test_it_logs_in_over_tls_and_checks_who_it_talks_to(
    sent: SentMails, delivered: Delivered, authority: trustme.CA, tmp_path: Path
) -> None:
    file = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(file))
    more = {"encryption": STARTTLS, "user": "me", "password": "secret"}
    with listening(delivered, secured(authority), login=True) as port:
        assert send_once(MAIL, by_server(port, **more, certificates=str(file)), sent, NOW).sent
        assert delivered.user == b"me"
        other = replace(MAIL, msgid="khoci.2@x")
        with pytest.raises(HarnessError, match="CERTIFICATE_VERIFY_FAILED"):
            send_once(other, by_server(port, **more), sent, NOW)
        wrong = by_server(port, **{**more, "password": "no"}, certificates=str(file))
        with pytest.raises(HarnessError, match=r"not sent: .*: 535"):
            send_once(other, wrong, sent, NOW)
    assert len(delivered.mails) == 1


def test_a_command_sends_as_git_would_have_it(sent: SentMails, tmp_path: Path) -> None:
    script = tmp_path / "send mail"
    script.write_text(f'#!/bin/sh\necho "$@" > "{tmp_path}/to"\ncat > "{tmp_path}/mail"\n')
    script.chmod(0o755)
    settings = Settings(ME, None, f"'{script}'", allowed=("*",), most_an_hour=5)
    assert send_once(MAIL, settings, sent, NOW).sent
    assert (tmp_path / "to").read_text() == "-i ada@example.org list@example.org\n"
    assert (tmp_path / "mail").read_bytes() == MAIL.to_bytes()


def test_a_command_that_fails_is_told(sent: SentMails) -> None:
    settings = Settings(ME, None, "echo no queue >&2; false", allowed=("*",), most_an_hour=5)
    with pytest.raises(HarnessError, match=r"not sent: .*: exit 1: no queue"):
        send_once(MAIL, settings, sent, NOW)
    assert sent.all() == []


def test_a_server_of_seven_bits_gets_the_same_text() -> None:
    content = MAIL.to_bytes(quoted=True)
    assert content.isascii()
    read = email.message_from_bytes(content, policy=policy.default)
    assert isinstance(read, email.message.EmailMessage)
    assert read.get_content() == MAIL.body
