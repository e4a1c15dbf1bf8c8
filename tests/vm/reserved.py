"""What a consumer reserved for the handover, by its own log with ``memblock=debug``."""

from __future__ import annotations

import re

_LINE = re.compile(r"memblock_reserve: \[0x(?P<first>[0-9a-f]+)-0x(?P<last>[0-9a-f]+)\] (?P<by>.+)")
_OF_THE_MAP = re.compile(
    r"(?:^| )(?:deserialize_bitmap|kho_mem_deserialize|kho_memory_init"
    r"|kho_preserved_memory_reserve)"
)


def reserved(log: str) -> list[tuple[int, int]]:
    """First and last byte of every block, in the order in which the consumer read the map."""
    lines = (match for line in log.splitlines() if (match := _LINE.search(line)))
    return [
        (int(line["first"], 16), int(line["last"], 16))
        for line in lines
        if _OF_THE_MAP.search(line["by"])
    ]
