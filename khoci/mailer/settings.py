"""How the user sends mail: ``git config`` as ``git send-email`` reads it."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass, field
from email.utils import parseaddr

from khoci.errors import UsageError
from khoci.proc import require_tool
from khoci.thread import Address

PLAIN, STARTTLS, TLS = "", "tls", "ssl"
"""The words of ``sendemail.smtpEncryption``."""


@dataclass(frozen=True)
class Server:
    """An SMTP server.

    Attributes:
        host: its name.
        port: None for the usual one.
        encryption: one of `PLAIN`, `STARTTLS` and `TLS`.
        user: whom to log in as; empty to not log in.
        password: empty to ask git's credential helper.
        certificates: a file or folder of authorities; empty for those of the system.
        domain: what to say in EHLO; empty for this machine's name.
    """

    host: str
    port: int | None = None
    encryption: str = PLAIN
    user: str = ""
    password: str = field(default="", repr=False)
    certificates: str = ""
    domain: str = ""


@dataclass(frozen=True)
class Settings:
    """All that git says of sending mail.

    Attributes:
        sender: name and address.
        server: None where a command sends.
        command: what sends a mail from its stdin, as a shell takes it; empty where a server does.
        allowed: patterns of the addresses that khoci may send to; ``*`` stands for anything.
        most_an_hour: of mails that khoci sends.
    """

    sender: Address
    server: Server | None
    command: str
    allowed: tuple[str, ...]
    most_an_hour: int


_USUAL_RATE = 5


def sender() -> Address:
    """Who sends: ``sendemail.from``, else ``user.name`` and ``user.email``.

    Raises:
        UsageError: git says neither.
    """
    said = _get("sendemail.from")
    name, address = parseaddr(said) if said else (_get("user.name"), _get("user.email"))
    if "@" not in address:
        raise UsageError("git does not say who you are: git config --global user.email YOU@EXAMPLE")
    return name, address


def settings() -> Settings:
    """What is set up, with the identity of ``sendemail.identity`` if there is one.

    Raises:
        UsageError: a value is wrong, or nothing is set up that sends.
    """
    command = _of_identity("sendmailCmd")
    host = _of_identity("smtpServer")
    if not command and host.startswith("/"):
        command, host = host, ""
    if not command and not host:
        raise UsageError(
            "git does not say how mail is sent: set sendemail.smtpServer or sendemail.sendmailCmd, "
            "see git-send-email(1)"
        )
    return Settings(
        sender=sender(),
        server=None if command else _server(host),
        command=command,
        allowed=tuple(_get_all("khoci.allowRecipient")),
        most_an_hour=_number("khoci.maxPerHour") or _USUAL_RATE,
    )


def _server(host: str) -> Server:
    encryption = _of_identity("smtpEncryption").lower()
    if encryption not in (PLAIN, "none", STARTTLS, "starttls", TLS):
        raise UsageError(f"sendemail.smtpEncryption is '{encryption}': it is tls or ssl")
    known = {"none": PLAIN, "starttls": STARTTLS}
    return Server(
        host=host,
        port=_number("sendemail.smtpServerPort") or None,
        encryption=known.get(encryption, encryption),
        user=_of_identity("smtpUser"),
        password=_of_identity("smtpPass"),
        certificates=_of_identity("smtpSSLCertPath"),
        domain=_of_identity("smtpDomain"),
    )


def _of_identity(key: str) -> str:
    """A value of the chosen identity, else the common one."""
    identity = _get("sendemail.identity")
    own = _get(f"sendemail.{identity}.{key}") if identity else ""
    return own or _get(f"sendemail.{key}")


def _number(key: str) -> int:
    value = _of_identity(key.removeprefix("sendemail.")) if "sendemail" in key else _get(key)
    if value and not (value.isascii() and value.isdigit()):
        raise UsageError(f"git config {key} is '{value}': it is a number")
    return int(value or 0)


def _get(key: str) -> str:
    values = _get_all(key)
    return values[-1] if values else ""


def _get_all(key: str) -> list[str]:
    """All values of a key, the nearest configuration last; none if it is not set."""
    done = subprocess.run(
        [require_tool("git"), "config", "--null", "--get-all", key],
        capture_output=True,
        check=False,
    )
    if done.returncode > 1:
        raise UsageError(f"git config {key}: {done.stderr.decode(errors='replace').strip()}")
    return [value.decode(errors="replace") for value in done.stdout.split(b"\0")[:-1]]
