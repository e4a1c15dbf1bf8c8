"""Results held against the policy. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from khoci.config.policy import Known, Policy
from khoci.results import CellResult
from khoci.verdicts import Verdict


def violations(results: Sequence[CellResult], policy: Policy) -> list[str]:
    """One line for each cell that the policy forbids.

    A known break that did not happen, though its scenario was run, is one too: so the list of
    exceptions shrinks when a kernel is mended.
    """
    lines = []
    for result in results:
        known = _known(result, policy.known)
        where = f"{result.producer} -> {result.consumer} {result.scenario}"
        if result.verdict is Verdict.ABSENT:
            continue
        if known and result.verdict not in (known.verdict, *known.also):
            words = " or ".join((known.verdict, *known.also))
            lines.append(f"{where}: {words} was known, it is {result.verdict} now")
        elif not known and result.verdict in policy.never:
            lines.append(f"{where}: {result.verdict} must never happen")
    return lines


def reasons(results: Iterable[CellResult], policy: Policy) -> list[str]:
    """The reasons of the known breaks that did happen, each once."""
    found = (_known(result, policy.known) for result in results)
    return list(dict.fromkeys(known.reason for known in found if known))


def _known(result: CellResult, known: Iterable[Known]) -> Known | None:
    return next((item for item in known if _applies(item, result)), None)


def _applies(known: Known, result: CellResult) -> bool:
    return (
        _named(result.producer, known.producers)
        and _named(result.consumer, known.consumers)
        and result.scenario in known.scenarios
    )


def _named(kernel: str, names: Iterable[str]) -> bool:
    """Whether one of ``names`` is the kernel, or its series (``6.18`` for ``v6.18.15``)."""
    number = kernel.removeprefix("v")
    numbers = [name.removeprefix("v") for name in names]
    return any(name == number or number.startswith(f"{name}.") for name in numbers)
