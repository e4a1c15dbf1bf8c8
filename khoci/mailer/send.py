"""One mail, sent by SMTP or by a command, as ``git send-email`` does."""

from __future__ import annotations

import smtplib
import socket
import ssl
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from khoci.errors import HarnessError, KhociError
from khoci.mailer.settings import STARTTLS, TLS, Server, Settings
from khoci.proc import require_tool
from khoci.report.mail import Mail

_SECONDS = 60.0


class MaybeSentError(HarnessError):
    """The connection broke when the mail was on its way: nobody knows whether it arrived."""


def send(mail: Mail, settings: Settings) -> tuple[str, ...]:
    """Send a mail; the addresses that were refused, if others were not, are returned.

    Raises:
        MaybeSentError: it may have been sent.
        HarnessError: it was not sent.
    """
    if settings.server is None:
        _by_command(mail, settings.command)
        return ()
    return _by_smtp(mail, settings.server)


def _by_command(mail: Mail, command: str) -> None:
    """As git does: the mail is the command's stdin, the recipients are its last arguments."""
    words = ["sh", "-c", f'{command} "$@"', "-", "-i", *mail.recipients]
    done = subprocess.run(words, input=mail.to_bytes(), capture_output=True, check=False)
    if done.returncode:
        said = _words(done.stderr.decode(errors="replace"))
        raise HarnessError(f"not sent: {command}: exit {done.returncode}: {said}")


def _by_smtp(mail: Mail, server: Server) -> tuple[str, ...]:
    place = f"{server.host}:{server.port}" if server.port else server.host
    connection: smtplib.SMTP | None = None
    try:
        connection = _connected(server)
        _log_in(connection, server)
        refused = _hand_over(connection, mail)
    except MaybeSentError:
        raise
    except smtplib.SMTPRecipientsRefused as error:
        raise HarnessError(
            f"not sent: {place} takes mail for none of them: {_why(error)}"
        ) from None
    except (smtplib.SMTPException, OSError) as error:
        raise HarnessError(f"not sent: {place}: {_why(error)}") from None
    finally:
        if connection is not None:
            with suppress(smtplib.SMTPException, OSError):
                connection.quit()
    return refused


def _connected(server: Server) -> smtplib.SMTP:
    name = server.domain or socket.getfqdn()
    port = server.port or 0
    context = _context(server) if server.encryption else None
    if server.encryption == TLS:
        return smtplib.SMTP_SSL(server.host, port, name, timeout=_SECONDS, context=context)
    connection = smtplib.SMTP(server.host, port, name, timeout=_SECONDS)
    if server.encryption == STARTTLS:
        try:
            connection.starttls(context=context)
        except (smtplib.SMTPException, OSError):
            connection.close()
            raise
    return connection


def _context(server: Server) -> ssl.SSLContext:
    """Certificates are always verified."""
    if not server.certificates:
        return ssl.create_default_context()
    path = Path(server.certificates)
    try:
        if path.is_dir():
            return ssl.create_default_context(capath=path)
        return ssl.create_default_context(cafile=path)
    except (OSError, ssl.SSLError) as error:
        raise HarnessError(f"sendemail.smtpSSLCertPath {path}: {error}") from None


def _log_in(connection: smtplib.SMTP, server: Server) -> None:
    if server.user:
        connection.login(server.user, server.password or _password(server))


def _password(server: Server) -> str:
    """What git's credential helper knows of the user.

    Raises:
        HarnessError: it knows nothing.
    """
    port = f":{server.port}" if server.port else ""
    asked = f"protocol=smtp\nhost={server.host}{port}\nusername={server.user}\n\n"
    done = subprocess.run(
        [require_tool("git"), "credential", "fill"],
        input=asked.encode(),
        capture_output=True,
        check=False,
    )
    lines = done.stdout.decode(errors="replace").splitlines()
    known = dict(line.partition("=")[::2] for line in lines)
    if not known.get("password"):
        raise HarnessError(
            f"not sent: no password of {server.user} at {server.host}: set sendemail.smtpPass or a "
            "credential helper of git"
        )
    return known["password"]


def _hand_over(connection: smtplib.SMTP, mail: Mail) -> tuple[str, ...]:
    """Send, and tell apart what failed before the mail and what failed with it on the way."""
    connection.ehlo_or_helo_if_needed()
    eight_bit = connection.has_extn("8bitmime")
    content = mail.to_bytes(quoted=not eight_bit).replace(b"\n", b"\r\n")
    options: Sequence[str] = () if content.isascii() else ("BODY=8BITMIME",)
    try:
        refused = connection.sendmail(mail.sender[1], mail.recipients, content, options)
    except (smtplib.SMTPServerDisconnected, OSError) as error:
        if isinstance(error, smtplib.SMTPResponseException | smtplib.SMTPRecipientsRefused):
            raise
        raise MaybeSentError(
            f"{mail.msgid}: the connection broke while it was sent ({_why(error)}): look whether "
            "it is in the thread; --again sends it once more"
        ) from None
    return tuple(refused)


def _why(error: Exception) -> str:
    """What a server or the system said, on one line."""
    if isinstance(error, KhociError):
        return str(error)
    if isinstance(error, smtplib.SMTPResponseException):
        said = error.smtp_error
        text = said.decode(errors="replace") if isinstance(said, bytes) else str(said)
        return f"{error.smtp_code} {_words(text)}"
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        each = (f"{who}: {code} {said!r}" for who, (code, said) in error.recipients.items())
        return "; ".join(each)
    return _words(str(error)) or type(error).__name__


def _words(text: str) -> str:
    line = " ".join(text.split())
    return "".join(char if char.isprintable() else "?" for char in line)[:300]
