"""Addresses of kernel symbols from System.map."""

from __future__ import annotations

from pathlib import Path

from khoci.errors import HarnessError


def address_of(symbol: str, system_map: Path) -> int:
    """Virtual address of a function as linked, without KASLR.

    Raises:
        HarnessError: the file cannot be read, or has no such symbol.
    """
    try:
        with system_map.open(encoding="ascii", errors="replace") as lines:
            for line in lines:
                address, _, rest = line.partition(" ")
                if rest[2:].strip() == symbol:
                    return int(address, 16)
    except OSError as error:
        raise HarnessError(f"{system_map}: cannot be read: {error.strerror}") from None
    raise HarnessError(f"{system_map}: has no symbol {symbol}")
