"""A real SMTP server on loopback."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session


@dataclass
class Delivered:
    """What came in, and what is refused."""

    mails: list[Envelope] = field(default_factory=list)
    refuse: Callable[[str], bool] = lambda _: False
    answer: str = "250 Message accepted for delivery"
    user: bytes = b""

    async def handle_RCPT(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if self.refuse(address):
            return "550 nobody of that name"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        if self.answer.startswith("250"):
            self.mails.append(envelope)
        return self.answer

    def logged_in(
        self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: object
    ) -> AuthResult:
        good = isinstance(data, LoginPassword) and data.password == b"secret"
        if isinstance(data, LoginPassword) and good:
            self.user = data.login
        return AuthResult(success=good, handled=False)


@contextmanager
def listening(
    delivered: Delivered, tls: ssl.SSLContext | None = None, *, login: bool = False
) -> Iterator[int]:
    """A server that delivers; its port. With ``tls`` it wants STARTTLS."""
    controller = Controller(
        delivered,
        hostname="127.0.0.1",
        port=_free_port(),
        ready_timeout=30,
        tls_context=tls,
        require_starttls=tls is not None,
        authenticator=delivered.logged_in,
        auth_required=login,
        auth_require_tls=tls is not None,
    )
    controller.start()
    try:
        yield controller.port
    finally:
        controller.stop()


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])
