"""When a rule holds, by preserved memory as it was seen from outside."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict

from khoci.compat.facts import RegionFact
from khoci.compat.memory import KHO_TEST, TEST_BLOB, Fate
from khoci.compat.verdict.case import Case, Condition, Proof, proof
from khoci.format.ownership import ORPHAN, ROOT
from khoci.results import Evidence
from khoci.scenario.base import Outcome

_SHOWN = 4

Regions = Callable[[Case], list[RegionFact]]


def own(case: Case) -> list[RegionFact]:
    """The component's own, but for what was given back, or only seems to be its own."""
    return [region for region in case.own if _counts(case, region)]


def preserved(case: Case) -> list[RegionFact]:
    """All that has to be as it was when the consumer is up.

    Of ``kho_test`` that is all only where nobody reads it: its reader frees what it restores, also
    when it then finds that it is wrong and keeps silent (6.17).
    """
    read = KHO_TEST not in case.memory.for_good
    return [
        region
        for region in case.memory.regions
        if _counts(case, region) and not (read and region.owner == KHO_TEST)
    ]


def _counts(case: Case, region: RegionFact) -> bool:
    names = (region.component, region.owner)
    misnamed = not region.mapped and any(name in _misnaming(case) for name in names)
    return not misnamed and not case.memory.was_given_back(region)


def _misnaming(case: Case) -> list[str]:
    """Components, and owners of a region, that name memory which is not theirs.

    The memory map is sound, as it lists the root. The consumer gave nothing of a component to user
    space, and at least as much as it names in vain is preserved and nobody's; or the consumer says
    itself that it wants no region in this place.
    """
    regions, consumer = case.memory.regions, case.facts.consumer
    if consumer is None or not all(item.mapped for item in regions if item.owner == ROOT):
        return []
    orphans = sum(region.size for region in regions if region.owner == ORPHAN)
    found = [
        region.owner
        for region in regions
        if region.component == "reserve_mem"
        and case.log.line("reserve_mem", "refused", region.owner.partition(" ")[2])
    ]
    for component in {item.component for item in consumer.checked}:
        outcomes = {item.outcome for item in consumer.checked if item.component == component}
        vain = sum(item.size for item in regions if item.component == component and not item.mapped)
        if outcomes <= {Outcome.REFUSED, Outcome.MISSING} and 0 < vain <= orphans:
            found.append(component)
    return found


def test_blob(case: Case) -> list[RegionFact]:
    """The page that says what the test handed over; its reader leaves it alone."""
    return [region for region in case.own if region.owner == TEST_BLOB]


def damaged(regions: Regions) -> Condition:
    """Some of these regions are not as they were."""

    def when(case: Case) -> Proof:
        found = [(region, case.memory.damage(region)) for region in regions(case)]
        broken = [(region, text) for region, text in found if text]
        owners = dict.fromkeys(region.owner for region, _ in broken)
        return tuple(_damage(case, owner, broken) for owner in owners)

    return when


def _damage(case: Case, owner: str, broken: list[tuple[RegionFact, str]]) -> Evidence:
    """What is wrong with an owner's memory: the first region in words, all in numbers."""
    mine = [(region, text) for region, text in broken if region.owner == owner]
    region, text = mine[0]
    more = f", and {len(mine) - 1} more region(s)" if len(mine) > 1 else ""
    where = f"{owner} at {region.start:#x} ({region.size} bytes)"
    kind = "pages" if "free memory" in text else "digest"
    fate = sum((case.memory.fate(item) for item, _ in mine), Fate())
    return Evidence(kind, f"{where}: {text}{more}", {"owner": owner, **asdict(fate)})


def intact(regions: Regions, what: str) -> Condition:
    """All of these regions are as they were, and there are some; ``{}`` in ``what``: which one."""

    def when(case: Case) -> Proof:
        found = regions(case)
        if not found or any(_unseen(region) for region in found):
            return ()
        if any(case.memory.damage(region) for region in found):
            return ()
        return _equal(found, what.format(case.name))

    return when


def _unseen(region: RegionFact) -> bool:
    return region.arrived is None


def _equal(found: list[RegionFact], what: str) -> Proof:
    size = sum(region.size for region in found)
    text = f"{what}: {len(found)} region(s), {size} bytes, equal to what was handed over"
    data = {"owners": sorted({region.owner for region in found}), "kept": size}
    return (*proof("digest", text, data=data), *proof("digest", _digests(found)))


def _digests(found: Iterable[RegionFact]) -> str:
    texts = [f"{region.owner} {region.before[:12]}" for region in found]
    more = [f"and {len(texts) - _SHOWN} more"] if len(texts) > _SHOWN else []
    return ", ".join(texts[:_SHOWN] + more)


def unchecked(what: str) -> Condition:
    """For want of another rule: the content could not be checked."""
    return lambda case: proof("guest", f"{what.format(case.name)}: content could not be checked")


def changed(regions: Regions) -> Condition:
    """Some of these regions have another content, whoever used them since."""

    def when(case: Case) -> Proof:
        differs = [
            region for region in regions(case) if region.arrived not in (None, region.before)
        ]
        text = f"{len(differs)} of {len(regions(case))} region(s) have another content"
        return proof("digest", f"{case.component}: {text}") if differs else ()

    return when


def untouched(case: Case) -> Proof:
    """All folios of the test are as nobody's: whoever restores one gives it back.

    In a test that khoci cannot decode they are the blocks without an owner.
    """
    folios = [region for region in case.own if region.owner == KHO_TEST]
    folios = folios or [region for region in case.memory.regions if region.owner == ORPHAN]
    size = sum(region.size for region in folios)
    if not size or sum(case.memory.fate(region).leaked for region in folios) != size:
        return ()
    text = f"all {size} bytes are in the end what they were, neither free nor used: nobody took one"
    return proof("pages", text, data={"owner": KHO_TEST, "leaked": size})


def leaked(case: Case) -> Proof:
    """Memory of the component that nobody owns any more. It lowers no verdict."""
    lost = sum(case.memory.fate(region).leaked for region in case.own)
    if not lost:
        return ()
    text = f"{lost} bytes are neither free nor used by anybody: leaked"
    return proof("pages", text, data={"owner": case.component, "leaked": lost})
