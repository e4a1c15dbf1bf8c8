"""What keeps a mail from going out by mistake. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase

from khoci.errors import UsageError
from khoci.mailer.sent import Entry
from khoci.report.mail import Mail

HOUR = 3600.0


def check_recipients(mail: Mail, allowed: Iterable[str]) -> None:
    """Refuse a mail to somebody who is not its sender and whom no pattern allows.

    Raises:
        UsageError: there is such a recipient.
    """
    patterns = [mail.sender[1].lower(), *(each.lower() for each in allowed)]
    for address in mail.recipients:
        if not any(fnmatchcase(address.lower(), pattern) for pattern in patterns):
            raise UsageError(
                f"not sent: nothing allows mail to {address}: look at the mail, then "
                f"git config --add khoci.allowRecipient '{address}', or --to-self"
            )


def check_rate(entries: Iterable[Entry], now: float, most: int) -> None:
    """Refuse one mail more than ``most`` in an hour.

    Raises:
        UsageError: there were so many.
    """
    lately = [entry for entry in entries if now - entry.when < HOUR]
    if len(lately) >= most:
        wait = round((HOUR - (now - lately[-most].when)) / 60) + 1
        raise UsageError(
            f"not sent: {len(lately)} mails in the last hour, khoci.maxPerHour is {most}: "
            f"wait {wait} min"
        )
