"""The rules: from facts to one verdict a component. Pure.

Each component has one rule below. A rule sees all facts of the cell and answers with a verdict and
the log line, decode fact or digest that proves it. ``restored`` needs proof of content.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from khoci.compat import loglines
from khoci.compat.facts import Facts, Handed, RegionFact
from khoci.results import Evidence, Judgement
from khoci.verdicts import Verdict, worst
from khoci.vm.guest import End

_SHOWN = 4
_UNDECODED = "khoci could not decode what was handed over, so nothing was compared"
_KEPT_COMPONENTS = ("root", "reserve_mem")
"""What the consumer keeps as it is until user space asks for it."""


def _because(verdict: Verdict, kind: str, *texts: str) -> Judgement:
    return Judgement(verdict, tuple(Evidence(kind, text) for text in texts))


def death(facts: Facts) -> Judgement | None:
    """How the consumer died, or None if it lives."""
    if facts.end is None:
        return None
    log = facts.consumer_log
    panic = loglines.find(loglines.PANIC, log)
    if panic is not None:
        causes = (loglines.find(pattern, log) for pattern in loglines.CAUSES)
        return _because(Verdict.PANIC, "log", *(line for line in causes if line), panic)
    verdict = Verdict.HANG if facts.end.how in (End.HALTED, End.SILENT) else Verdict.RESET
    last = loglines.last_line(log)
    after = f"the last line was: {last}" if last else "its console said nothing"
    return Judgement(verdict, (Evidence("guest", facts.end.detail), Evidence("log", after)))


def _broken(region: RegionFact) -> str | None:
    """What is wrong with a region that should be kept, or None."""
    where = f"{region.owner} at {region.start:#x} ({region.size} bytes)"
    if region.pages is not None and region.pages.free:
        return f"{where}: {region.pages.free} of {region.pages.total} pages are free memory"
    if region.after is not None and region.after != region.before:
        return f"{where}: content changed, {region.before[:12]} became {region.after[:12]}"
    return None


def _content(regions: Iterable[RegionFact], what: str) -> Judgement:
    """The verdict on regions that were taken over and should be as they were."""
    checked = list(regions)
    broken = [text for text in map(_broken, checked) if text]
    if broken:
        kind = "pages" if "free memory" in broken[0] else "digest"
        return _because(Verdict.CORRUPT, kind, *broken)
    if not checked or any(region.after is None for region in checked):
        return _because(Verdict.ACCEPTED, "guest", f"{what}: content could not be checked")
    size = sum(region.size for region in checked)
    text = f"{what}: {len(checked)} region(s), {size} bytes, equal to what was handed over"
    digests = [f"{region.owner} {region.before[:12]}" for region in checked]
    more = [f"and {len(digests) - _SHOWN} more"] if len(digests) > _SHOWN else []
    return _because(Verdict.RESTORED, "digest", text, ", ".join(digests[:_SHOWN] + more))


def _kept(facts: Facts) -> list[RegionFact]:
    """The regions that nobody in the consumer gives back by itself."""
    read = facts.consumer_has.get("TEST_KEXEC_HANDOVER", True)
    test = "kho_test blob" if read else "kho_test"
    return [
        region
        for region in facts.regions
        if region.component in _KEPT_COMPONENTS or region.owner == test
    ]


def _owned(facts: Facts, owner: str) -> list[RegionFact]:
    return [region for region in facts.regions if region.owner == owner]


def _root(facts: Facts) -> Judgement:
    refused = loglines.find(loglines.ROOT_REFUSED, facts.consumer_log)
    if refused:
        return _because(Verdict.REFUSED, "log", refused)
    found = loglines.find(loglines.ROOT_FOUND, facts.consumer_log)
    dead = death(facts)
    if found and dead:
        return _because(Verdict.ACCEPTED, "log", found)
    if dead:
        return dead
    if not found:
        return _because(Verdict.DROPPED, "log", "the consumer's log does not mention a handover")
    content = _content(_owned(facts, "root"), "root FDT")
    return Judgement(content.verdict, (Evidence("log", found), *content.evidence))


def _handed(facts: Facts) -> Handed:
    if facts.handed is None:
        raise ValueError("nothing was handed over: there is no component to judge")
    return facts.handed


def _not_taken(facts: Facts) -> Judgement | None:
    """The verdict of every other component when the root was not taken over, else None."""
    root = _root(facts)
    if root.verdict in (Verdict.REFUSED, Verdict.DROPPED):
        return death(facts) or Judgement(root.verdict, root.evidence)
    return None


def _misread(facts: Facts) -> str | None:
    """Says that the consumer reserved memory that nobody preserved, or None."""
    counted = [region.pages for region in facts.misread if region.pages is not None]
    total, free = sum(page.total for page in counted), sum(page.free for page in counted)
    if not total or free:
        return None
    return (
        f"{total} pages that nobody preserved are not free in the consumer: they are what the "
        "other bitmap layout of kho-v1 would read"
    )


def _memory_map(facts: Facts) -> Judgement:
    failed = loglines.find(loglines.MAP_FAILED, facts.consumer_log)
    if failed:
        return death(facts) or _because(Verdict.CORRUPT, "log", failed)
    dead = death(facts)
    if dead:
        return dead
    if facts.consumer and facts.consumer.complaint:
        return _because(Verdict.CORRUPT, "guest", facts.consumer.complaint)
    misread = _misread(facts)
    content = _content(_kept(facts), "preserved memory")
    if misread is None:
        return content
    return Judgement(Verdict.CORRUPT, (Evidence("pages", misread), *content.evidence))


def _scratch(facts: Facts) -> Judgement:
    dead = death(facts)
    if dead:
        return dead
    before = _handed(facts).scratch
    after = facts.consumer.scratch if facts.consumer else None
    if before is None or after is None:
        return _because(Verdict.ACCEPTED, "guest", "the consumer does not show its scratch areas")
    areas = ", ".join(f"{start:#x}+{size:#x}" for start, size in after)
    if before != after:
        return _because(Verdict.CORRUPT, "guest", f"the consumer uses other areas: {areas}")
    return _because(Verdict.RESTORED, "guest", f"the same areas are in use: {areas}")


def _reserve_mem(facts: Facts) -> Judgement:
    regions = [_reserved_region(facts, name) for name in _handed(facts).reserve_mem]
    if not regions:
        return _unread(facts)
    verdict = worst(region.verdict for region in regions)
    return Judgement(verdict, tuple(item for region in regions for item in region.evidence))


def _reserved_region(facts: Facts, name: str) -> Judgement:
    dead = death(facts)
    if dead:
        return dead
    refused = loglines.find(loglines.revival_refused(name), facts.consumer_log)
    if refused:
        return _because(Verdict.REFUSED, "log", refused)
    revived = loglines.find(loglines.revived(name), facts.consumer_log)
    if not revived:
        return _because(Verdict.DROPPED, "log", f"no line says that '{name}' was revived")
    owner = f"reserve_mem {name}"
    content = _content(_owned(facts, owner), owner)
    return Judgement(content.verdict, (Evidence("log", revived), *content.evidence))


def _kho_test(facts: Facts) -> Judgement:
    restored = loglines.find(loglines.TEST_RESTORED, facts.consumer_log)
    if restored:
        return _because(Verdict.RESTORED, "log", restored)
    dead = death(facts)
    if dead:
        return dead
    failed = loglines.find(loglines.TEST_FAILED, facts.consumer_log)
    if failed:
        return _because(Verdict.CORRUPT, "log", failed)
    return _unread_test(facts)


def _unread_test(facts: Facts) -> Judgement:
    """The test's verdict when no line of the log tells anything of it."""
    content = _content(_owned(facts, "kho_test"), "folios of the test")
    if facts.consumer_has.get("TEST_KEXEC_HANDOVER", True):
        silent = "lib/test_kho.c says neither that it restored nor that it failed"
        return Judgement(Verdict.DROPPED, (Evidence("log", silent), *content.evidence))
    if content.verdict is not Verdict.RESTORED:
        return content
    unread = Evidence("guest", "the consumer has no lib/test_kho.c: nobody reads it")
    return Judgement(Verdict.ACCEPTED, (unread, *content.evidence))


def _luo(facts: Facts) -> Judgement:
    refused = loglines.find(loglines.LUO_REFUSED, facts.consumer_log)
    dead = death(facts)
    if dead:
        return dead
    if refused:
        return _because(Verdict.REFUSED, "log", refused)
    line = loglines.find(loglines.LUO_RETRIEVED, facts.consumer_log)
    if line is None:
        return _luo_unread(facts)
    if _handed(facts).luo_number is None:
        return _because(Verdict.ACCEPTED, "log", line, _UNDECODED)
    number = f"number: {_handed(facts).luo_number}"
    if not line.endswith(number):
        text = f"the producer wrote {number}"
        return Judgement(Verdict.CORRUPT, (Evidence("log", line), Evidence("decode", text)))
    return _because(Verdict.RESTORED, "log", line)


def _luo_unread(facts: Facts) -> Judgement:
    if _handed(facts).luo_sessions == 0:
        text = "no session was handed over, and the consumer does not read the empty state"
        return _because(Verdict.ABSENT, "decode", text)
    return _because(Verdict.DROPPED, "log", "the consumer does not mention live update data")


def _metadata(facts: Facts) -> Judgement:
    producer = _handed(facts).release
    dead = death(facts)
    refused = loglines.find(loglines.METADATA_REFUSED, facts.consumer_log)
    if refused:
        return _because(Verdict.REFUSED, "log", refused)
    line = loglines.find(loglines.EXEC_FROM, facts.consumer_log)
    if line is None:
        return dead or _because(Verdict.DROPPED, "log", "no 'exec from' line")
    if producer is None:
        return _because(Verdict.ACCEPTED, "log", line, _UNDECODED)
    match = loglines.EXEC_FROM.search(line)
    if match is None or match["release"] != producer:
        text = f"the producer is {producer}"
        return Judgement(Verdict.CORRUPT, (Evidence("log", line), Evidence("decode", text)))
    return _because(Verdict.RESTORED, "log", line)


def _unread(facts: Facts) -> Judgement:
    """The verdict on a component that khoci cannot read, or has no rule for."""
    return death(facts) or _because(Verdict.ACCEPTED, "decode", _UNDECODED)


RULES: Mapping[str, Callable[[Facts], Judgement]] = {
    "root": _root,
    "memory map": _memory_map,
    "scratch": _scratch,
    "reserve_mem": _reserve_mem,
    "kho_test": _kho_test,
    "luo": _luo,
    "kexec-metadata": _metadata,
}


def _nothing_handed(facts: Facts) -> Judgement:
    """The root's judgement when the capture holds no handover."""
    log = facts.consumer_log
    seen = loglines.find(loglines.ROOT_FOUND, log) or loglines.find(loglines.ROOT_REFUSED, log)
    if seen:
        text = "the consumer was given a handover that the capture does not show"
        return Judgement(Verdict.ERROR, (Evidence("harness", text), Evidence("log", seen)))
    text = "the producer attached no handover to the kexec image"
    return death(facts) or _because(Verdict.ABSENT, "decode", text)


def judge(facts: Facts) -> dict[str, Judgement]:
    """One judgement for each component that the producer handed over.

    If nothing reached the kexec image at all, the root is ``absent`` and nothing else is listed.
    """
    if facts.handed is None:
        return {"root": _nothing_handed(facts)}
    instead = _not_taken(facts)
    judgements = {"root": _root(facts)}
    for component in facts.handed.components:
        if component != "root":
            judgements[component] = instead or _by_rule(component, facts)
    return judgements


def _by_rule(component: str, facts: Facts) -> Judgement:
    """The judgement of a component; of one that no rule knows, that it could not be checked."""
    if component in RULES:
        return RULES[component](facts)
    unknown = _because(Verdict.ACCEPTED, "decode", f"khoci knows no rule for '{component}'")
    return death(facts) or unknown


def cell_verdict(judgements: Mapping[str, Judgement]) -> Verdict:
    """The cell's verdict: the worst of its components'."""
    return worst(judgement.verdict for judgement in judgements.values())
