"""Results held against the policy. Pure.

What is special goes before what is general. First a known break takes out of its cells what it
explains. What is left is held against the rules that name the scenario, where none does against
the rules for all scenarios: each one that applies must hold. Last, what must never happen must not,
unless one of those rules expects it. Cells that khoci broke on purpose, and those where the harness
failed, say nothing about a kernel.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from khoci.compat.plan import steps
from khoci.config.policy import SPLAT, Condition, Known, Policy, Rule, covers
from khoci.results import CellResult
from khoci.verdicts import Verdict, worst

_FATAL = (Verdict.PANIC, Verdict.RESET, Verdict.HANG)

Words = Mapping[str, str]
"""The verdict of each component, and ``splat`` under its own name where there is one."""
Broken = list[tuple[Known, Words]]
"""The known breaks of one cell, each with what it is about."""


def violations(
    results: Iterable[CellResult],
    policy: Policy,
    order: Sequence[str],
    made_of: Mapping[str, str] | None = None,
) -> list[str]:
    """One line for each thing that the policy forbids.

    A known break that did not happen, though its cell was run, is one too: so the list of
    exceptions shrinks when a kernel is mended. Only where chance decides, which ``also`` says, a
    single run cannot tell.

    Args:
        results: of one run.
        policy: of the user.
        order: names of the run's kernels, oldest first.
        made_of: the kernel that one with patches was made of, by its name. What is known of that
            one excuses it too; it need not happen to it.
    """
    return [
        f"{result.producer} -> {result.consumer} {result.scenario}: {line}"
        for result, line in complaints(results, policy, order, made_of)
    ]


def complaints(
    results: Iterable[CellResult],
    policy: Policy,
    order: Sequence[str],
    made_of: Mapping[str, str] | None = None,
) -> list[tuple[CellResult, str]]:
    """What `violations` says, each with the cell that it is about."""
    return [
        (result, line)
        for result in filter(_counts, results)
        for line in _complaints(result, policy, order, made_of or {})
    ]


def reasons(
    results: Iterable[CellResult],
    policy: Policy,
    order: Sequence[str],
    made_of: Mapping[str, str] | None = None,
) -> dict[str, list[CellResult]]:
    """For each known break that did happen, why, and the cells in which nothing else is wrong."""
    found: dict[str, list[CellResult]] = {}
    for result in filter(_counts, results):
        if not any(_complaints(result, policy, order, made_of or {})):
            for known, _ in _taken(result, policy.known, made_of or {})[0]:
                found.setdefault(f"{known.reason} ({known.link})", []).append(result)
    return found


def _counts(result: CellResult) -> bool:
    return not result.fault and result.verdict is not Verdict.ERROR


def _complaints(
    result: CellResult, policy: Policy, order: Sequence[str], made_of: Mapping[str, str]
) -> Iterator[str]:
    broken, left = _taken(result, policy.known, made_of)
    for known, words in broken:
        if not _happened(known, words):
            now = f"it is {_verdict(words)}" if known.verdict != SPLAT else "there is none"
            yield f"{' or '.join(known.words)} was known, {now} now: {known.reason}"
    ahead = steps(result.producer, result.consumer, order, made_of)
    rules = _applying(result, policy.rules, ahead)
    expected = {word for rule in rules for word in rule.expect}
    forbidden = set(policy.never) - expected - {Verdict.ABSENT}
    if SPLAT in left and SPLAT in forbidden:
        yield f"{SPLAT} must never happen: {result.splats[0]}"
    if _verdict(left) in forbidden:
        yield f"{_verdict(left)} must never happen"
    else:
        yield from (_unmet(rule, left) for rule in rules if not _holds(rule, left))


def _unmet(rule: Rule, words: Words) -> str:
    wanted = " or ".join(rule.expect)
    return f"{_verdict(words)}, it must be {wanted} ({rule.when}): {rule.why}"


def _holds(rule: Rule, words: Words) -> bool:
    verdict = _verdict(words)
    excused = verdict is Verdict.ABSENT and not rule.strict
    return excused or verdict is None or verdict in rule.expect


def _verdict(words: Words) -> Verdict | None:
    """The worst verdict, None if there is none at all."""
    verdicts = [Verdict(word) for word in words.values() if word != SPLAT]
    return worst(verdicts) if verdicts else None


def _taken(
    result: CellResult, known: Iterable[Known], made_of: Mapping[str, str]
) -> tuple[Broken, Words]:
    """The known breaks of a cell, and what none of them is about."""
    broken: Broken = []
    left: Words = _words(result)
    unchanged = _unchanged(result, made_of)
    for item in known:
        mine = _about(item, left) if _names(item, unchanged) else None
        if mine is None:
            continue
        if unchanged is result or _happened(item, mine):
            broken.append((item, mine))
            left = {name: word for name, word in left.items() if name not in mine}
    return broken, left


def _unchanged(result: CellResult, made_of: Mapping[str, str]) -> CellResult:
    """The cell under the names of what its kernels were made of; itself if of nothing."""
    pair = [made_of.get(name, name) for name in (result.producer, result.consumer)]
    same = pair == [result.producer, result.consumer]
    return result if same else replace(result, producer=pair[0], consumer=pair[1])


def _words(result: CellResult) -> Words:
    verdicts = {name: item.verdict for name, item in result.components.items()}
    return {**(verdicts or {"": result.verdict}), **({SPLAT: SPLAT} if result.splats else {})}


def _about(known: Known, words: Words) -> Words | None:
    """What of a cell a known break is about; None if the cell has nothing of it.

    A machine dies as a whole: then it is about everything.
    """
    if known.verdict == SPLAT:
        seen = {name: word for name, word in words.items() if name == SPLAT}
        return seen if seen or _verdict(words) not in (None, Verdict.ABSENT) else None
    mine = {name: word for name, word in words.items() if name in (known.components or words)}
    if _verdict(mine) in (None, Verdict.ABSENT):
        return None
    return words if _verdict(mine) in _FATAL and _happened(known, mine) else mine


def _happened(known: Known, words: Words) -> bool:
    return (SPLAT in words) if known.verdict == SPLAT else _verdict(words) in known.words


def _names(known: Known, result: CellResult) -> bool:
    return (
        _named(result.producer, known.producers)
        and _named(result.consumer, known.consumers)
        and _in(result.scenario, known.scenarios)
    )


def _named(kernel: str, names: Iterable[str]) -> bool:
    """Whether one of ``names`` is the kernel, or its series (``6.18`` for ``v6.18.15``)."""
    number = kernel.removeprefix("v")
    numbers = [name.removeprefix("v") for name in names]
    return any(name == number or number.startswith(f"{name}.") for name in numbers)


def _in(scenario: str, names: Iterable[str]) -> bool:
    return any(covers(name, scenario) for name in names)


def _applying(result: CellResult, rules: Iterable[Rule], ahead: int) -> list[Rule]:
    """The rules for a cell: those that name its scenario, if there are any."""
    found = [rule for rule in rules if all(_met(item, result, ahead) for item in rule.conditions)]
    named = [rule for rule in found if _in(result.scenario, rule.scenarios)]
    return named or [rule for rule in found if not rule.scenarios]


def _met(condition: Condition, result: CellResult, ahead: int) -> bool:
    if condition.kind in ("upgrade", "rollback"):
        on = ahead if condition.kind == "upgrade" else -ahead
        return on == condition.steps if condition.steps else on > 0
    if condition.kind == "self":
        return ahead == 0
    return condition.kind == "any" or condition.kind == _strings(result)


def _strings(result: CellResult) -> str:
    """Whether the consumer wants the strings that it is given; empty if nobody knows.

    Those of the components that the cell is about count, first of all the root's.
    """
    if any(item.differ for name, item in result.versions.items() if name in result.components):
        return "version string differs"
    root = result.versions.get("root")
    return "version string equal" if root and root.understood is not None else ""
