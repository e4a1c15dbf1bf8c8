"""What lies beside the results of a run, read again for a report."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from khoci.abi.patched import known_of
from khoci.compat.atjump import CAPTURE
from khoci.config.abi import Abi, Releases
from khoci.decode import consumer, text
from khoci.decode.found import Found
from khoci.format import capture
from khoci.format.errors import DecodeError
from khoci.format.handover import decode
from khoci.report.excerpt import around
from khoci.report.model import Block, CellEvidence, Excerpt, LookUp, MemoryView, Phase
from khoci.results import CellResult
from khoci.run.folder import RunFolder

MOST_BLOCKS = 4096
"""Of one view of memory; the largest are kept."""
_READ_AT_ONCE = 8
"""Captures that are remembered: cells of one boot have the same."""

_SIDES = ("producer", "consumer")

Ranges = tuple[tuple[int, int], ...]


def evidence_in(folder: RunFolder, releases: Releases) -> LookUp:
    """Reads the evidence of one result of a run.

    Args:
        folder: of the run.
        releases: what each of its kernels understands.
    """
    recent: dict[Path, Found | str] = {}

    def captured(path: Path, producer: Abi | None) -> Found | str:
        if path not in recent:
            while len(recent) >= _READ_AT_ONCE:
                recent.pop(next(iter(recent)))
            recent[path] = _read_capture(path, producer)
        return recent[path]

    def look_up(result: CellResult) -> CellEvidence:
        path = file_of(folder, result, CAPTURE)
        producer, reader = (_abi(releases, result, side) for side in _SIDES)
        found = captured(path, producer) if path else "no capture is kept"
        if isinstance(found, str):
            return _evidence(folder, result, notes=(found,))
        after = consumer.lines(found, consumer.read(found, reader)) if reader else []
        return _evidence(
            folder,
            result,
            before=text.render(found) + text.problems(found.handover),
            after="\n".join(after),
            ram=tuple((item.start, item.size) for item in found.memory.ram),
        )

    return look_up


def file_of(folder: RunFolder, result: CellResult, name: str) -> Path | None:
    """A file that a result names, if it is there, and in the folder of the run."""
    path = (folder.path / result.files.get(name, "")).resolve()
    inside = path.is_relative_to(folder.path.resolve())
    return path if inside and path.is_file() else None


def log_of(folder: RunFolder, result: CellResult, side: str) -> str | None:
    """The whole log of ``producer`` or ``consumer``; None if it is not kept."""
    path = file_of(folder, result, f"{side}.log")
    return path.read_text(encoding="utf-8", errors="replace") if path else None


def _evidence(
    folder: RunFolder,
    result: CellResult,
    *,
    before: str = "",
    after: str = "",
    ram: Ranges = (),
    notes: tuple[str, ...] = (),
) -> CellEvidence:
    return CellEvidence(
        producer_log=_excerpt(folder, result, "producer"),
        consumer_log=_excerpt(folder, result, "consumer"),
        before=before,
        after=after,
        memory=tuple(_views(result, ram)),
        phases=tuple(Phase(**each) for each in result.details.get("phases", ())),
        notes=notes,
    )


def _excerpt(folder: RunFolder, result: CellResult, side: str) -> Excerpt:
    log = log_of(folder, result, side)
    return Excerpt() if log is None else around(log, _lines_of(result, side))


def _lines_of(result: CellResult, side: str) -> list[str]:
    """The lines of one side's log that a result names: splats, and what decided it."""
    splats = [line.removeprefix(f"{side}: ") for line in result.splats if line.startswith(side)]
    if side == "producer":
        return splats
    worst_first = sorted(result.components.values(), key=lambda each: -each.verdict.rank)
    decided = [item for each in worst_first[:1] for item in each.evidence if item.kind == "log"]
    return [*splats, *(item.text for item in decided)]


def _read_capture(path: Path, producer: Abi | None) -> Found | str:
    """The handover in a capture, or why there is none."""
    try:
        kept = capture.load(path)
        handover = decode(
            kept.pages,
            kept.fdt_addr,
            scratch=kept.scratch,
            page_shift=kept.page_shift,
            known=known_of(producer),
        )
    except (DecodeError, OSError) as error:
        return f"{path.name}: {error}"
    release = kept.producer.release or None
    return Found(handover, kept.pages, path.name, "capture", release)


def _abi(releases: Releases, result: CellResult, side: str) -> Abi | None:
    """What a side of a cell understands; None if nothing says so."""
    name = result.producer if side == "producer" else result.consumer
    kernel = result.details.get("kernels", {}).get(side, {})
    return releases.find_for(name, kernel.get("release", ""))


def _views(result: CellResult, ram: Ranges) -> Iterator[MemoryView]:
    """Memory at the jump, and what the consumer made of it, if it came up."""
    regions = list(result.details.get("regions", ()))
    handed, consumer_facts = (result.details.get(key) or {} for key in ("handover", "consumer"))
    if not ram or not regions:
        return
    before = _blocks(regions, with_fate=False)
    yield _view(f"{result.producer} at the jump", ram, _ranges(handed.get("scratch")), before)
    if consumer_facts:
        after = _blocks(regions, with_fate=True)
        scratch = _ranges(consumer_facts.get("scratch"))
        yield _view(f"{result.consumer} when it was up", ram, scratch, after)


def _view(title: str, ram: Ranges, scratch: Ranges, blocks: list[Block]) -> MemoryView:
    largest = sorted(blocks, key=lambda block: -block.size)[:MOST_BLOCKS]
    kept = tuple(sorted(largest, key=lambda block: block.start))
    return MemoryView(title, ram, scratch, kept, len(blocks) - len(kept))


def _blocks(regions: Iterable[Mapping[str, Any]], *, with_fate: bool) -> list[Block]:
    return [
        Block(
            region["start"],
            region["size"],
            region["owner"],
            _worst_fate(region.get("fate") or {}) if with_fate else "",
        )
        for region in regions
    ]


def _worst_fate(fate: Mapping[str, int]) -> str:
    """The worst of what parts of a region met; empty if it is not known."""
    order = ("lost", "overwritten", "not_protected", "leaked", "given_back", "kept")
    return next((name for name in order if fate.get(name)), "")


def _ranges(value: Iterable[Iterable[int]] | None) -> Ranges:
    return tuple((start, size) for start, size in value or ())
