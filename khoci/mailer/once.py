"""Send a mail once: under guards, and never the same result twice."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

from khoci.errors import HarnessError, UsageError
from khoci.mailer.guards import check_rate, check_recipients
from khoci.mailer.send import MaybeSentError, send
from khoci.mailer.sent import SENDING, SENT, Entry, SentMails
from khoci.mailer.settings import Settings
from khoci.report.mail import Mail

_TO_SELF = ".self"


@dataclass(frozen=True)
class Done:
    """What became of a mail: whether it was sent now, and who was refused."""

    sent: bool
    refused: tuple[str, ...] = ()


def to_self(mail: Mail) -> Mail:
    """The same mail to its sender only; under another id, so that it answers nothing."""
    name, _, domain = mail.msgid.partition("@")
    return replace(mail, to=(mail.sender,), cc=(), msgid=f"{name}{_TO_SELF}@{domain}")


def is_answered(mail: Mail, thread: Collection[str]) -> bool:
    """Whether one of the message-ids of a thread is that of this result, whoever sent it."""
    return any(each.partition("@")[0] == _name(mail) for each in thread)


def send_once(
    mail: Mail, settings: Settings, sent: SentMails, now: float, *, again: bool = False
) -> Done:
    """Send a mail if nothing speaks against it.

    Args:
        mail: to be sent.
        settings: how.
        sent: what was sent before.
        now: seconds since 1970.
        again: send it even though it may have been sent.

    Raises:
        UsageError: a guard refuses it, or it may have been sent before.
        HarnessError: it could not be sent.
    """
    name = _name(mail)
    check_recipients(mail, settings.allowed)
    with sent.locked():
        before = sent.find(name)
        if before and before.state == SENT and not name.endswith(_TO_SELF):
            return Done(sent=False)
        if before and before.state == SENDING and not again:
            raise UsageError(
                f"{mail.msgid}: may have been sent before: look whether it is in the thread; "
                "--again sends it once more"
            )
        check_rate(sent.all(), now, settings.most_an_hour)
        entry = Entry(name, SENDING, now, mail.answers, mail.recipients)
        sent.write(entry)
        try:
            refused = send(mail, settings)
        except MaybeSentError:
            raise
        except HarnessError:
            _take_back(sent, name, before)
            raise
        sent.write(replace(entry, state=SENT))
    return Done(sent=True, refused=refused)


def _take_back(sent: SentMails, name: str, before: Entry | None) -> None:
    if before:
        sent.write(before)
    else:
        sent.forget(name)


def _name(mail: Mail) -> str:
    return mail.msgid.partition("@")[0]
