"""Through the table: one judgement for each component of a cell."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from itertools import chain

from khoci.compat.facts import Facts, Handed
from khoci.compat.handed import FIRST, PARTS
from khoci.compat.loglines import Log, shipped
from khoci.compat.splats import Splat, counted
from khoci.compat.verdict.case import THROUGH, Case, Rule, case_of, proof
from khoci.compat.verdict.conditions import death
from khoci.compat.verdict.content import leaked
from khoci.compat.verdict.rules import RESERVE_MEM_UNDECODED, RULES, UNKNOWN
from khoci.config.loglines import Patterns
from khoci.results import Evidence, Judgement
from khoci.verdicts import Verdict, worst

COMMON = ("root", "memory map", "scratch", "luo", "kexec-metadata")
"""What is judged in every cell, where it is handed over."""
_UNDECODED = "unknown"
_UNSEEN = Handed(
    _UNDECODED, "none", FIRST, 0, 0, problems=("khoci did not find what the consumer was given",)
)

Judgements = dict[str, Judgement]


def judge(
    facts: Facts, components: Collection[str] | None = None, patterns: Patterns | None = None
) -> Judgements:
    """One judgement for each component.

    Args:
        facts: of the cell.
        components: those that its scenario is about; they are listed besides the common ones also
            where nothing of them was handed over. None lists all that was handed over.
        patterns: of the logs; None for those of ``matrix/loglines.toml``.
    """
    known = shipped() if patterns is None else patterns
    dead = death(facts, known)
    if facts.crash and dead and dead.verdict is Verdict.PANIC:
        seen = judge(_before_the_crash(facts, known), components, known)
        return {name: _on_purpose(judgement, dead) for name, judgement in seen.items()}
    if facts.handed is None and not Log(facts.consumer_log, known).line("root", "refused"):
        rest = dict.fromkeys(components or (), dead or _absent("the producer handed over nothing"))
        return {**rest, "root": _nothing_handed(facts, known)}
    facts = replace(facts, handed=facts.handed or _UNSEEN)
    names = _names(facts.handed or _UNSEEN, components)
    judgements = {name: _judged(facts, name, known) for name in names}
    return _with_splats(judgements, counted(facts, known), components or ())


def judge_one(facts: Facts, component: str, patterns: Patterns | None = None) -> Judgement:
    """The judgement of one component by its rules, as if it had been handed over."""
    known = shipped() if patterns is None else patterns
    names = facts.handed.reserve_mem if facts.handed and component == "reserve_mem" else ()
    if names:
        return _together(
            [_by(RULES[component], case_of(facts, component, known, n)) for n in names]
        )
    rules = RULES.get(component, UNKNOWN)
    if component == "reserve_mem":
        rules = RESERVE_MEM_UNDECODED
    return _by(rules, case_of(facts, component, known))


def cell_verdict(judgements: Mapping[str, Judgement]) -> Verdict:
    """The cell's verdict: the worst of its components'."""
    return worst(judgement.verdict for judgement in judgements.values())


def _names(handed: Handed, components: Collection[str] | None) -> list[str]:
    """The components to judge, in the order of the report; parts of others where asked for."""
    if components is None:
        return [name for name in handed.components if name not in PARTS]
    common = [name for name in handed.components if name in COMMON or name not in RULES]
    return [*dict.fromkeys((*common, *components))]


def _judged(facts: Facts, component: str, patterns: Patterns) -> Judgement:
    handed, consumer = facts.handed, facts.consumer
    asked = any(item.component == component for item in (consumer.checked if consumer else ()))
    if handed and not asked and not _handed(handed, component):
        return _absent("the producer handed over nothing of this")
    return judge_one(facts, component, patterns)


def _handed(handed: Handed, component: str) -> bool:
    """Whether it was handed over, or may have been where khoci cannot find it.

    That is in what it travels in, and in what nobody knows.
    """
    known = (component, *THROUGH.get(component, ()))
    return handed.version == _UNDECODED or any(
        name in known or name not in RULES for name in handed.components
    )


def _by(rules: Iterable[Rule], case: Case) -> Judgement:
    """What the first rule that holds says."""
    proofs = ((rule.verdict, rule.when(case)) for rule in chain(rules, UNKNOWN))
    verdict, found = next((verdict, found) for verdict, found in proofs if found)
    return Judgement(verdict, (*found, *leaked(case)))


def _together(judgements: list[Judgement]) -> Judgement:
    """The worst of the verdicts; a proof that several have is one."""
    verdict = worst(judgement.verdict for judgement in judgements)
    every = list(chain.from_iterable(judgement.evidence for judgement in judgements))
    once = (item for place, item in enumerate(every) if item not in every[:place])
    return Judgement(verdict, tuple(once))


def _absent(text: str) -> Judgement:
    return Judgement(Verdict.ABSENT, proof("decode", text))


def _nothing_handed(facts: Facts, patterns: Patterns) -> Judgement:
    """The root's judgement when khoci found no handover, and the consumer refused none."""
    seen = Log(facts.consumer_log, patterns).line("root", "found")
    if seen:
        text = "the consumer was given a handover that the capture does not show"
        return Judgement(Verdict.ERROR, (*proof("harness", text), *proof("log", seen)))
    text = "the producer attached no handover to the kexec image"
    return death(facts, patterns) or _absent(text)


def _before_the_crash(facts: Facts, patterns: Patterns) -> Facts:
    """The facts as they were when khoci made the consumer panic."""
    asked = Log(facts.consumer_log, patterns).line("", "asked")
    log = facts.consumer_log.partition(asked)[0] if asked else facts.consumer_log
    return replace(facts, crash=False, end=None, consumer_log=log)


def _on_purpose(seen: Judgement, dead: Judgement) -> Judgement:
    """A component of a consumer that was made to panic: was all well until then?"""
    if seen.verdict is Verdict.ABSENT:
        return seen
    asked = proof("guest", "khoci made the consumer panic: this is no fault of its own")
    before = proof("guest", f"until then it was {seen.verdict}", data={"before": str(seen.verdict)})
    return Judgement(Verdict.PANIC, (*asked, dead.evidence[-1], *before, *seen.evidence))


def _with_splats(
    judgements: Judgements, splats: Iterable[Splat], components: Iterable[str]
) -> Judgements:
    """The judgements when each report is put down to a component, which is then not `restored`."""
    found = dict(judgements)
    for splat in splats:
        candidates = (splat.component, *components, "memory map", "root")
        name = next(item for item in candidates if item in found)
        found[name] = _doubted(found[name], splat)
    return found


def _doubted(judgement: Judgement, splat: Splat) -> Judgement:
    where = f"{splat.side}: {splat.line}"
    if splat.usual:
        text = f"{where} (the other side says the same: not of the handover)"
        return replace(judgement, evidence=(*judgement.evidence, Evidence("splat", text)))
    verdict = judgement.verdict
    lowered = Verdict.ACCEPTED if verdict is Verdict.RESTORED else verdict
    return Judgement(lowered, (Evidence("splat", where), *judgement.evidence))
