"""One run of many: the results of shards, brought together.

The order in which runs are named does not matter, and merging again changes nothing. A cell that
several runs have is taken from one of them, always the same: from one in which the harness did not
fail, then from that with the worse verdict.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from khoci.compat.plan import Cell
from khoci.errors import UsageError
from khoci.files import write_atomic
from khoci.results import CellResult
from khoci.run.folder import RunFolder
from khoci.run.keys import agreed_keys, keep_keys, keys_of
from khoci.run.matrix import Plan
from khoci.run.readers import keep, kept
from khoci.run.reported import plan_of
from khoci.verdicts import Verdict, worst

_FILE = "merged.json"
_SCHEMA = 1


@dataclass(frozen=True)
class Source:
    """A run to take results from, with the names of the cells that it has."""

    folder: RunFolder
    plan: Plan
    there: frozenset[str]


@dataclass(frozen=True)
class Differing:
    """A cell that ended otherwise in one run than in another: verdicts by run."""

    cell: Cell
    verdicts: tuple[tuple[str, Verdict], ...]

    def __str__(self) -> str:
        seen = ", ".join(f"{verdict} in {run}" for run, verdict in self.verdicts)
        return f"{self.cell.producer} -> {self.cell.consumer} {self.cell.scenario}: {seen}"


@dataclass
class Merged:
    """What came of it.

    Attributes:
        missing: the cells that no run has a result of.
        differing: those that runs disagree on.
    """

    missing: list[Cell] = field(default_factory=list)
    differing: list[Differing] = field(default_factory=list)


@dataclass(frozen=True)
class _Candidate:
    source: Source
    content: bytes
    result: CellResult


def whole_plan(sources: Sequence[Source]) -> Plan:
    """The plan that these runs are shards of.

    Raises:
        UsageError: they are not of one plan, or a kernel has not the same bytes in all of them.
    """
    first, *others = sources
    for other in others:
        if other.plan.whole != first.plan.whole:
            raise UsageError(
                f"{other.folder.path} and {first.folder.path} are runs of different plans: "
                f"{_difference(first.plan.whole, other.plan.whole)}"
            )
    agreed_keys((str(each.folder.path), keys_of(each.folder)) for each in sources)
    return first.plan.whole


def source_of(folder: RunFolder) -> Source:
    """A run to take results from.

    Raises:
        UsageError: it is no run of a matrix.
    """
    there = frozenset(path.stem for path in folder.path.glob("*.json"))
    return Source(folder, plan_of(folder), there)


def merge(
    sources: Sequence[Source], target: RunFolder, advance: Callable[[], object] = lambda: None
) -> Merged:
    """Bring the results of some runs together in ``target``, which may have some already.

    Args:
        sources: of one plan.
        target: a run of the whole plan.
        advance: called for each cell.

    Raises:
        UsageError: these results do not belong together.
    """
    own = source_of(target)
    everywhere = [own, *_each_once(sources, target)]
    plan = whole_plan(everywhere)
    keep_keys(target, agreed_keys((str(s.folder.path), keys_of(s.folder)) for s in everywhere))
    keep(target, [abi for each in everywhere for abi in kept(each.folder)])
    merged, taker = Merged(), _Taker(own, keys_of(target))
    where = _where(everywhere)
    for cell in plan.cells:
        found = _candidates(cell, where.get(cell.name, []))
        if found:
            merged.differing += _differing(cell, found)
            taker.take(cell, min(found, key=partial(_preference, cell, len(found))))
        else:
            merged.missing.append(cell)
        advance()
    _write_origin(target, everywhere[1:], plan)
    return merged


def missing_shards(missing: Iterable[Cell], plan: Plan, counts: Iterable[int]) -> dict[str, int]:
    """Which shards lack cells, and how many; by shard, ``3/8``.

    Args:
        missing: cells without a result.
        plan: the whole.
        counts: how many shards the plan was run in.
    """
    lacking = {*missing}
    return {
        shard.label: lacks
        for count in sorted({*counts})
        for shard in plan.shards(count)
        if (lacks := len(lacking.intersection(shard.cells)))
    }


class _Taker:
    """Copies results, with their evidence first."""

    def __init__(self, own: Source, keys: dict[str, str]) -> None:
        self._own = own
        self._keys = keys
        self._copied: set[Path] = set()

    def take(self, cell: Cell, chosen: _Candidate) -> None:
        """Put the result of a cell where it belongs."""
        self._check(cell, chosen)
        if chosen.source is self._own:
            return
        target = self._own.folder
        for name in sorted({_evidence_name(file) for file in chosen.result.files.values()} - {""}):
            self._copy(chosen.source.folder.path / "evidence" / name, target.evidence(name))
        write_atomic(target.result_file(cell.name), chosen.content)

    def _check(self, cell: Cell, chosen: _Candidate) -> None:
        names = {"producer": cell.producer, "consumer": cell.consumer}
        for side, facts in chosen.result.details.get("kernels", {}).items():
            name, key = names.get(side, ""), str(facts.get("key", ""))
            if key != self._keys.setdefault(name, key):
                where = chosen.source.folder.result_file(cell.name)
                raise UsageError(
                    f"{where}: {name} is another kernel here than in other results: its key is "
                    f"{key[:12]}, not {self._keys[name][:12]}"
                )

    def _copy(self, origin: Path, target: Path) -> None:
        if origin in self._copied or not origin.is_dir():
            return
        self._copied.add(origin)
        with tempfile.TemporaryDirectory(prefix=".merging.", dir=target.parent) as work:
            copy = shutil.copytree(origin, Path(work) / "new", symlinks=True)
            target.replace(Path(work) / "old")
            copy.replace(target)


def _each_once(sources: Iterable[Source], target: RunFolder) -> list[Source]:
    """The sources but for the target, each of them once, in an order of their own."""
    found = {each.folder.path.resolve(): each for each in sources}
    found.pop(target.path.resolve(), None)
    return [each for _, each in sorted(found.items())]


def _where(sources: Iterable[Source]) -> dict[str, list[Source]]:
    """The sources of each cell, by its name."""
    found: dict[str, list[Source]] = {}
    for source in sources:
        for name in source.there:
            found.setdefault(name, []).append(source)
    return found


def _candidates(cell: Cell, sources: Sequence[Source]) -> list[_Candidate]:
    """The results of a cell, that these sources have; those with the same bytes once."""
    found: dict[bytes, _Candidate] = {}
    for source in sources:
        content = source.folder.result_file(cell.name).read_bytes()
        if content not in found and (result := _read(cell, content, source)):
            found[content] = _Candidate(source, content, result)
    return list(found.values())


def _read(cell: Cell, content: bytes, source: Source) -> CellResult | None:
    try:
        result = CellResult.from_json(json.loads(content))
    except (ValueError, KeyError, TypeError):
        return None
    if Cell(result.producer, result.consumer, result.scenario, result.fault) != cell:
        file = source.folder.result_file(cell.name)
        raise UsageError(f"{file}: is the result of another cell")
    return result


def _preference(cell: Cell, count: int, candidate: _Candidate) -> tuple[bool, int, str]:
    """Smallest for the one to take; the same for all cells of one boot, which share evidence."""
    if count == 1:
        return False, 0, ""
    source, result = candidate.source, candidate.result
    boot = [Cell(*cell.pair, name, cell.fault) for name in result.joint] or [cell]
    files = [source.folder.result_file(each.name) for each in boot if each.name in source.there]
    contents = [file.read_bytes() for file in files]
    verdicts = [Verdict(json.loads(content)["verdict"]) for content in contents]
    digest = hashlib.sha256(b"\0".join(contents)).hexdigest()
    return result.verdict is Verdict.ERROR, -worst(verdicts).rank, digest


def _differing(cell: Cell, found: Sequence[_Candidate]) -> list[Differing]:
    verdicts = tuple(
        (each.source.folder.id, each.result.verdict)
        for each in found
        if each.result.verdict is not Verdict.ERROR
    )
    return [Differing(cell, verdicts)] if len({verdict for _, verdict in verdicts}) > 1 else []


def _evidence_name(file: str) -> str:
    """The folder of a file of evidence; empty if it is none that a run would have."""
    parts = Path(file).parts
    fits = len(parts) == 3 and parts[0] == "evidence" and ".." not in parts
    return parts[1] if fits else ""


def _difference(one: Plan, other: Plan) -> str:
    """The first thing that two plans do not share."""
    there = other.to_json()
    for name, value in one.to_json().items():
        if value != there[name]:
            return f"{name} {value!r} and {there[name]!r}"
    return "nothing"


def _write_origin(target: RunFolder, sources: Sequence[Source], plan: Plan) -> None:
    """Note which runs the results came from, beside those of former merges."""
    file = target.meta(_FILE)
    known = json.loads(file.read_text(encoding="utf-8"))["runs"] if file.is_file() else {}
    wanted = {cell.name for cell in plan.cells}
    for each in sources:
        known[each.folder.id] = {"shard": each.plan.shard, "cells": len(wanted & each.there)}
    data = {"schema": _SCHEMA, "runs": dict(sorted(known.items()))}
    write_atomic(file, json.dumps(data, indent=2) + "\n")
