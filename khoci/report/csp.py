"""The content security policy of a page that has all of its own in it. Pure."""

from __future__ import annotations

import base64
import hashlib


def asset(text: str) -> str:
    """A style or script as it stands in the page; its hash is over just this."""
    return f"\n{text.strip()}\n"


def policy(style: str, script: str | None = None, *, live: bool = False) -> str:
    """What the page may do: nothing but this style and script; live, it may ask where it is from.

    Args:
        style: an `asset`.
        script: another one; None for a page without.
        live: whether it is served, and asks for more.
    """
    allowed = [
        "default-src 'none'",
        f"style-src '{_hash(style)}'",
        *([] if script is None else [f"script-src '{_hash(script)}'"]),
        "base-uri 'none'",
        "form-action 'none'",
        *(["connect-src 'self'"] if live else []),
    ]
    return "; ".join(allowed)


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"sha256-{base64.b64encode(digest).decode()}"
