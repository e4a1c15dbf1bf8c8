"""When a rule holds, by logs, by how the consumer ended, and by what was handed over."""

from __future__ import annotations

import re

from khoci.compat import loglines
from khoci.compat.facts import Facts
from khoci.compat.loglines import Log, find
from khoci.compat.memory import has_test, reads_luo
from khoci.compat.verdict.case import Case, Condition, Proof, proof
from khoci.config.loglines import Patterns
from khoci.results import Evidence, Judgement
from khoci.scenario.base import Checked, Outcome
from khoci.scenario.retrieving import UNSEALED
from khoci.verdicts import Verdict
from khoci.vm.guest import End

_SHOWN = 4
_READERS = (
    ("kexec-metadata", "found"),
    ("luo", "found"),
    ("luo", "refused"),
    ("reserve_mem", "found"),
    ("reserve_mem", "refused"),
    ("kho_test", "restored"),
    ("kho_test", "failed"),
)
"""Component and meaning of the lines of those who look at their part of a handover."""
_WITHOUT_SEALS = "memfd-v1"
"""Of mm/memfd_luo.c before 7.1."""


def both(*conditions: Condition) -> Condition:
    """Holds if all do."""

    def when(case: Case) -> Proof:
        proofs = [condition(case) for condition in conditions]
        return tuple(item for found in proofs for item in found) if all(proofs) else ()

    return when


def either(*conditions: Condition) -> Condition:
    """Holds if one does; the first that does proves it."""
    return lambda case: next(filter(None, (condition(case) for condition in conditions)), ())


def says(meaning: str) -> Condition:
    """A line of the component in the consumer's log has this meaning."""

    def when(case: Case) -> Proof:
        line = case.said(meaning)
        return proof("log", line) if line else ()

    return when


def silent(meaning: str, text: str) -> Condition:
    """No line has this meaning; ``text`` says so, with ``{}`` for which one of the component."""

    def when(case: Case) -> Proof:
        return () if case.said(meaning) else proof("log", text.format(case.name))

    return when


def always(kind: str, text: str) -> Condition:
    """Holds, for the reason ``text``."""
    return lambda _: proof(kind, text)


def death(facts: Facts, patterns: Patterns | None = None) -> Judgement | None:
    """How the consumer died, or None if it lives."""
    if facts.end is None:
        return None
    known = loglines.shipped() if patterns is None else patterns
    panic = _panic(Log(facts.consumer_log, known))
    if panic:
        return Judgement(Verdict.PANIC, panic)
    verdict = Verdict.HANG if facts.end.how in (End.HALTED, End.SILENT) else Verdict.RESET
    last = loglines.last_line(facts.consumer_log)
    after = f"the last line was: {last}" if last else "its console said nothing"
    return Judgement(verdict, (Evidence("guest", facts.end.detail), Evidence("log", after)))


def _panic(log: Log) -> Proof:
    """The line of a panic behind those that tell where it came from."""
    panic = next(iter(log.each("panic")), None)
    if panic is None:
        return ()
    refused = log.line("luo", "refused")
    return proof("log", *log.each("cause"), *([refused] if refused else []), panic)


def died(verdict: Verdict) -> Condition:
    """The consumer died in this way."""

    def when(case: Case) -> Proof:
        found = death(case.facts, case.log.patterns)
        return found.evidence if found and found.verdict is verdict else ()

    return when


def found_and_died(case: Case) -> Proof:
    """The component was found, and then the consumer died."""
    return () if case.alive else says("found")(case)


def root_refused(case: Case) -> Proof:
    """The whole handover is refused, and the consumer runs on."""
    line = case.log.line("root", "refused")
    return proof("log", line) if line and case.alive else ()


def root_taken(case: Case) -> Proof:
    """The consumer says that it found a handover, or who reads a part of it does."""
    line = case.log.line("root", "found")
    if line:
        return proof("log", line)
    lines = [case.log.line(*reader) for reader in _READERS]
    consumer = case.facts.consumer
    checked = consumer.checked if consumer else ()
    got = [item for item in checked if item.outcome is Outcome.SAME]
    read = proof("log", *(line for line in lines if line))
    seen = ["its debugfs shows a handover that it was given"] if consumer and consumer.given else []
    return (*read, *(proof("guest", _summary(got)) if got else ()), *proof("guest", *seen))


def root_unmentioned(case: Case) -> Proof:
    """Nothing in the consumer tells of a handover, and it runs on."""
    if not case.alive or root_taken(case):
        return ()
    return proof("log", "the consumer's log does not mention a handover")


def complaint(case: Case) -> Proof:
    """The consumer could not use its memory."""
    consumer = case.facts.consumer
    return proof("guest", consumer.complaint) if consumer and consumer.complaint else ()


def misread(case: Case) -> Proof:
    """The consumer keeps memory that nobody preserved."""
    counted = [region.pages for region in case.facts.misread if region.pages is not None]
    total, free = sum(page.total for page in counted), sum(page.free for page in counted)
    if not total or free:
        return ()
    text = (
        f"{total} pages that nobody preserved are not free in the consumer: they are what the "
        "other bitmap layout of kho-v1 would read"
    )
    return proof("pages", text, data={"pages": total})


def scratch_unknown(case: Case) -> Proof:
    """One of the sides does not show its scratch areas."""
    after = case.facts.consumer.scratch if case.facts.consumer else None
    if case.handed.scratch is not None and after is not None:
        return ()
    return proof("guest", "the consumer does not show its scratch areas")


def other_scratch(case: Case) -> Proof:
    """The consumer uses other scratch areas."""
    after = case.facts.consumer.scratch if case.facts.consumer else None
    if after == case.handed.scratch:
        return ()
    return proof("guest", f"the consumer uses other areas: {_areas(after)}")


def same_scratch(case: Case) -> Proof:
    """The consumer uses the same scratch areas."""
    return proof("guest", f"the same areas are in use: {_areas(case.handed.scratch)}")


def _areas(areas: tuple[tuple[int, int], ...] | None) -> str:
    return ", ".join(f"{start:#x}+{size:#x}" for start, size in areas or ())


def no_test(case: Case) -> Proof:
    """The consumer has no reader of ``kho_test``."""
    if has_test(case.facts):
        return ()
    return proof("guest", "the consumer has no lib/test_kho.c: nobody reads it")


def test_silent(case: Case) -> Proof:
    """The consumer has one, and it tells nothing."""
    if not has_test(case.facts):
        return ()
    return proof("log", "lib/test_kho.c says neither that it restored nor that it failed")


def undecoded(case: Case) -> Proof:
    """It is not known what the component's reader should have found."""
    text = "khoci could not decode what was handed over, so nothing was compared"
    known = case.handed.luo_number if case.component == "luo" else _release(case)
    return proof("decode", text) if known is None else ()


def _release(case: Case) -> str | None:
    """The release of the kernel that handed over: as it says itself, or else as it wrote it."""
    return case.facts.producer_release or case.handed.release


def other_number(case: Case) -> Proof:
    """LUO read another live update number than was written."""
    match, wrote = case.log.find(case.component, "found"), case.handed.luo_number
    if match is None or wrote is None or int(match["number"]) == wrote:
        return ()
    return (*proof("log", match.string), *proof("decode", f"the producer wrote number {wrote}"))


def other_release(case: Case) -> Proof:
    """kexec-metadata was read as that of another kernel, or another count."""
    match = case.log.find(case.component, "found")
    if match is None:
        return ()
    release, count = _release(case), case.handed.kexecs
    if match["release"] == release and count in (None, int(match["count"])):
        return ()
    wrote = f"the producer is {release}, and wrote {case.handed.release} and count {count}"
    return (*proof("log", match.string), *proof("decode", wrote))


def producer_named(case: Case) -> Proof:
    """Some line about the handover has the producer's release in it."""
    release = case.facts.producer_release
    named = re.compile(rf"(?i)(kho|kexec).*(?<![\w.-]){re.escape(release)}(?![\w.-])")
    line = find(named, case.facts.consumer_log) if release else None
    return proof("log", line) if line else ()


def miscounted(number: str) -> Condition:
    """A producer that was booted cold counts its handover as another one than the first.

    Args:
        number: attribute of `Handed`: ``luo_number`` or ``kexecs``.
    """

    def when(case: Case) -> Proof:
        wrote = getattr(case.handed, number)
        if not case.facts.cold or wrote in (None, 1):
            return ()
        return proof("decode", f"the producer wrote {wrote}; it was booted cold, so this is 1")

    return when


def in_place(case: Case) -> Proof:
    """The consumer has the region of this name where it was; no line need say so.

    Where a handover is taken no chance puts it there: preserved memory is given to nobody else.
    """
    found = _has(case, case.name)
    if found is None or found != _span(case, case.name):
        return ()
    return proof("guest", f"the consumer has '{case.name}' at {_areas((found,))}, where it was")


def elsewhere(case: Case) -> Proof:
    """The consumer has a region of this name in another place, or none."""
    has = case.facts.consumer.revived if case.facts.consumer else None
    wanted, found = _span(case, case.name), _has(case, case.name)
    if has is None or wanted is None or found == wanted:
        return ()
    text = f"'{case.name}' was handed over at {_areas((wanted,))}, the consumer has "
    where = _areas((found,)) if found else "no such region"
    data = {"handed": list(wanted), "found": list(found or ())}
    return proof("guest", text + where, data=data)


def _has(case: Case, name: str) -> tuple[int, int] | None:
    """Start and size of the consumer's region of this name, None if it has none."""
    consumer = case.facts.consumer
    return (consumer.revived or {}).get(name) if consumer else None


def _span(case: Case, name: str) -> tuple[int, int] | None:
    """Start and size of a region as it was handed over, None if it was not."""
    own = [item for item in case.memory.regions if item.owner == f"reserve_mem {name}"]
    if not own:
        return None
    start = min(region.start for region in own)
    return start, max(region.start + region.size for region in own) - start


def no_sessions(case: Case) -> Proof:
    """LUO has nothing in it."""
    if case.handed.luo_sessions != 0:
        return ()
    text = "no session was handed over, and the consumer does not read the empty state"
    return proof("decode", text)


def luo_unread(case: Case) -> Proof:
    """Nothing in the consumer reads what LUO handed over."""
    if reads_luo(case.facts, case.log):
        return ()
    return proof("log", "the consumer does not mention live update data")


def checked(outcome: Outcome) -> Condition:
    """User space found one of the component, or more, to be like this; the log says why."""

    def when(case: Case) -> Proof:
        found = case.checked(outcome)
        if not found:
            return ()
        data = {"outcome": str(outcome), "count": len(found)}
        return (*proof("guest", _summary(found), data=data), *_reasons(case, outcome))

    return when


def unsealed(case: Case) -> Proof:
    """A file came back without its seals, though its format has a place for them."""
    found = [
        item
        for item in case.checked(Outcome.SAME)
        if item.data.get(UNSEALED) and case.handed.versions.get(item.component) != _WITHOUT_SEALS
    ]
    return proof("guest", _summary(found), data={"count": len(found)}) if found else ()


def _summary(found: list[Checked]) -> str:
    texts = [f"{item.what}: {item.detail or item.outcome}" for item in found[:_SHOWN]]
    more = [f"and {len(found) - _SHOWN} more"] if len(found) > _SHOWN else []
    return "; ".join([*texts, *more]).replace("\n", " ")


def _reasons(case: Case, outcome: Outcome) -> Proof:
    if outcome is Outcome.SAME:
        return ()
    parts = dict.fromkeys((case.component, "session", "memfd"))
    lines = (case.log.line(part, meaning) for part in parts for meaning in ("refused", "failed"))
    return proof("log", *dict.fromkeys(line for line in lines if line))
