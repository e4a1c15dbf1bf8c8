"""A mail as a file that other programs send. Pure."""

from __future__ import annotations

import re

from khoci.report.mail import Mail

_FROM = re.compile(rb"^(>*From )", re.MULTILINE)
_LINE = b"From mboxrd@z Thu Jan  1 00:00:00 1970\n"


def draft(mail: Mail, *, mbox: bool) -> bytes:
    """The mail alone (``.eml``), or as the only one of a mbox in the way of public-inbox and b4."""
    content = mail.to_bytes()
    return _LINE + _FROM.sub(rb">\1", content) + b"\n" if mbox else content
