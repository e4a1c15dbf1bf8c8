"""Addresses of kernel symbols from System.map."""

from __future__ import annotations

import re
from pathlib import Path

from khoci.errors import HarnessError

_ADDRESS = re.compile(r"[0-9a-fA-F]{1,16}")


def address_of(symbol: str, system_map: Path) -> int:
    """Virtual address of a function as linked, without KASLR.

    Raises:
        HarnessError: the file cannot be read, is no System.map, or has no such symbol.
    """
    try:
        with system_map.open(encoding="ascii", errors="replace") as lines:
            for line in lines:
                address, _, rest = line.partition(" ")
                if rest[2:].strip() == symbol:
                    return _number(address, symbol, system_map)
    except OSError as error:
        raise HarnessError(f"{system_map}: cannot be read: {error.strerror}") from None
    raise HarnessError(f"{system_map}: has no symbol {symbol}")


def _number(address: str, symbol: str, system_map: Path) -> int:
    if not _ADDRESS.fullmatch(address):
        raise HarnessError(f"{system_map}: states no address of {symbol}")
    return int(address, 16)
