"""The invariants of a handover, each with what breaks it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from khoci.decode.words import human, printable
from khoci.format.handover import lost

if TYPE_CHECKING:
    from khoci.format.checks import Problem
    from khoci.format.handover import Handover

DECODED = "everything is decoded"
"""Broken by each problem that is of no kind of `INVARIANTS`."""

INVARIANTS = {
    "uncertain": "the layout of the memory map is certain",
    "overlap": "no two blocks overlap",
    "outside-ram": "all blocks are in RAM",
    "in-scratch": "no block is in a scratch area",
    "orphan": "every block has an owner",
    "lost": "all that components need is in the map",
}


@dataclass(frozen=True)
class Check:
    """One invariant: ``held`` is None if it could not be checked; ``why`` says more."""

    title: str
    held: bool | None
    problems: tuple[Problem, ...] = ()
    why: str = ""


def checks(handover: Handover) -> tuple[Check, ...]:
    """All invariants, the same ones in the same order for every handover."""
    rest = tuple(item for item in handover.problems if item.kind not in INVARIANTS)
    decoded = Check(DECODED, not rest, rest)
    return (decoded, *(_check(handover, kind, title) for kind, title in INVARIANTS.items()))


def failed(found: tuple[Check, ...]) -> bool:
    """Whether one does not hold."""
    return any(item.held is False for item in found)


def lines(found: tuple[Check, ...]) -> list[str]:
    """For people: each with its outcome, and the problems that break it."""
    text: list[str] = []
    for item in found:
        word = {True: "ok", False: "FAILED", None: "not checked"}[item.held]
        text.append(f"{word}: {item.title}{f' ({item.why})' if item.why else ''}")
        text += [f"  {line(problem)}" for problem in item.problems]
    return text


def line(problem: Problem) -> str:
    """A problem with its place."""
    at = "" if problem.address is None else f" at {problem.address:#x}"
    return printable(f"{problem.where}{at}: {problem.message}")


def _check(handover: Handover, kind: str, title: str) -> Check:
    found = tuple(item for item in handover.problems if item.kind == kind)
    if found:
        return Check(title, False, found, _lost(handover) if kind == "lost" else "")
    why = _unchecked(handover, kind)
    return Check(title, None if why else True, (), why)


def _lost(handover: Handover) -> str:
    """How much the next kernel would lose, by owner."""
    by_owner = lost(handover).items()
    return ", ".join(f"{human(item.size)} of {printable(owner)}" for owner, item in by_owner)


def _unchecked(handover: Handover, kind: str) -> str:
    """Why nothing is known of an invariant although nothing breaks it; empty if it holds."""
    if handover.family is None:
        return "the memory map was not read" if handover.finalized else "there is no memory map"
    if kind == "in-scratch" and handover.scratch is None:
        return "the scratch areas are not known"
    return ""
