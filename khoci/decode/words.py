"""Numbers and names as people read them; nothing hostile gets to a terminal."""

from __future__ import annotations

_UNITS = ("KiB", "MiB", "GiB", "TiB", "PiB", "EiB")


def human(size: int) -> str:
    """Bytes in the largest unit that fits: ``8.0 KiB``; the exact number if it is not round."""
    if size < 1024:
        return f"{size} bytes"
    power = min((size.bit_length() - 1) // 10, len(_UNITS))
    value = size / (1 << (10 * power))
    exact = "" if value * 10 == int(value * 10) else f" ({size} bytes)"
    return f"{value:.1f} {_UNITS[power - 1]}{exact}"


def plural(count: int, noun: str) -> str:
    """``1 block``, ``2 blocks``."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def printable(text: str) -> str:
    """The text with everything that is not visible ASCII as an escape: it comes from a guest."""
    return "".join(char if " " <= char <= "~" else _escaped(char) for char in text)


def _escaped(char: str) -> str:
    return char.encode("unicode_escape", "backslashreplace").decode("ascii")
