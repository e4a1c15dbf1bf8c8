"""Preserved memory seen from outside: digests of guest RAM, and how the consumer uses its pages."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from khoci.compat.facts import PageCounts, RegionFact
from khoci.compat.handed import Region
from khoci.compat.memory import READ_ONCE
from khoci.format import metadata
from khoci.format.errors import DecodeError, Place
from khoci.format.memory import Memory
from khoci.format.ranges import Range
from khoci.guest.session import Agent

_CHUNK = 1 << 20
_HARDLY = 4
"""One of so many."""
_MANY = 64
_RANGES_AT_ONCE = 512


def before(memory: Memory, regions: Iterable[Region]) -> tuple[RegionFact, ...]:
    """The regions, all of them RAM, as they are at the jump."""
    return tuple(
        RegionFact(
            owner=region.owner,
            start=region.range.start,
            size=region.range.size,
            before=digest(memory, region.range),
            mapped=region.mapped,
        )
        for region in regions
    )


def contents(memory: Memory, regions: Iterable[RegionFact]) -> dict[int, bytes]:
    """By start, the content of what a reader may rightly have given back when it is seen again."""
    small = (item for item in regions if item.owner in READ_ONCE and item.size <= _CHUNK)
    return {item.start: memory.read(item.start, item.size) for item in small}


async def on_arrival(
    memory: Memory,
    agent: Agent,
    regions: Sequence[RegionFact],
    before: Mapping[int, bytes] | None = None,
) -> tuple[RegionFact, ...]:
    """The regions when the consumer is up and has been asked for nothing.

    Args:
        memory: the guest's.
        agent: the consumer's.
        regions: as they were at the jump.
        before: what `contents` found then.
    """
    pages = await page_counts(agent, [_range(region) for region in regions])
    reused = {
        start
        for start, old in (before or {}).items()
        if is_reused(old, memory.read(start, len(old)))
    }
    return tuple(
        replace(
            region,
            arrived=digest(memory, _range(region)),
            pages=count,
            reused=region.start in reused,
        )
        for region, count in zip(regions, pages, strict=True)
    )


def is_reused(before: bytes, now: bytes) -> bool:
    """Whether many bytes are others, or hardly one that was not zero is still the same.

    Or it is the metadata of a kernel, and now that of the one behind it, which found the page free.
    """
    if _is_next(before, now):
        return True
    old, new = (np.frombuffer(content, dtype=np.uint8) for content in (before, now))
    told = old != 0
    count = int(np.count_nonzero(told))
    same = int(np.count_nonzero(old[told] == new[told]))
    return int(np.count_nonzero(old != new)) >= _MANY or same * _HARDLY < count


async def at_the_end(
    memory: Memory, agent: Agent, regions: Sequence[RegionFact]
) -> tuple[RegionFact, ...]:
    """The regions when everything was given up and other memory was used."""
    pages = await page_counts(agent, [_range(region) for region in regions])
    return tuple(
        replace(region, after=digest(memory, _range(region)), left=count)
        for region, count in zip(regions, pages, strict=True)
    )


async def page_counts(agent: Agent, ranges: Sequence[Range]) -> list[PageCounts]:
    """How the guest uses the pages of each range."""
    counts: list[PageCounts] = []
    for first in range(0, len(ranges), _RANGES_AT_ONCE):
        text = _ranges_text(ranges[first : first + _RANGES_AT_ONCE])
        answer = await agent.command("pages", ranges=text)
        counts += [
            PageCounts(
                total=item["pages"],
                free=item["free"],
                reserved=item["reserved"],
                plain=item["plain"],
                used=item["used"],
                nopage=item["nopage"],
            )
            for item in answer["ranges"]
        ]
    return counts


def _is_next(before: bytes, now: bytes) -> bool:
    try:
        old, new = (metadata.parse(content, Place("kexec-metadata")) for content in (before, now))
    except DecodeError:
        return False
    return old.kexec_count is not None and new.kexec_count == old.kexec_count + 1


def digest(memory: Memory, item: Range) -> str:
    """SHA-256 of a range of guest memory, as hex."""
    state = hashlib.sha256()
    for start in range(item.start, item.end, _CHUNK):
        state.update(memory.read(start, min(_CHUNK, item.end - start)))
    return state.hexdigest()


def _range(region: RegionFact) -> Range:
    return Range(region.start, region.size)


def _ranges_text(ranges: Iterable[Range]) -> str:
    return ",".join(f"{item.start:#x}:{item.size:#x}" for item in ranges)
