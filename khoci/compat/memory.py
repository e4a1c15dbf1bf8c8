"""What became of preserved memory, by digests and page counts taken from outside. Pure.

As soon as the consumer is up, each region is one of these:

=============  ===================  ===================
its content    in use or reserved   in its free memory
=============  ===================  ===================
equal          kept                 not protected
changed        overwritten          lost
=============  ===================  ===================

A region that is free in part is counted by its pages; if its content changed too, that is put down
to the free ones. What the consumer's own reader takes and frees while it boots is *given back* as
soon as it is free or changed, which then proves nothing: the folios of ``kho_test`` once
lib/test_kho.c has spoken (``kho_test_restore_data`` puts each), and the head of LUO from ``luo-v5``
on (``luo_early_startup`` frees it; before, ``luo_global.fdt_in`` points to it for good).

What no released kernel frees that early another one may. It was given back if it is free, in use by
others, or reused, *and* its reader is proven to have read it: ``kexec-metadata`` and the FDT of
``kho_test`` by their lines in the log; sessions if user space gets all as it was, though what was
free of them was written over before.

*Leaked* is what at the very end is neither free nor used by anybody, and was not touched since the
jump: memory that was freed and taken by the kernel for itself looks like that too, but changes.
What a CPU keeps of freed pages for its next allocation looks like that and does not change: it is
made to give it up (``init/pressure.c``), as far as that can be done from user space.

Not leaked is what is kept on purpose: the root, ``reserve_mem``, the page of
the FLBs (``luo_flb_retrieve_one`` looks into it at any time), the head of LUO, and of LUO all that
user space may still ask for. Nobody in any release gives back the FDT of ``kho_test`` or
``kexec-metadata``, nor what is preserved for a reader that the consumer does not have: that is
leaked.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import astuple, dataclass

from khoci.compat.facts import Facts, PageCounts, RegionFact
from khoci.compat.loglines import Log, shipped
from khoci.config.loglines import Patterns
from khoci.scenario.base import Outcome

KHO_TEST, TEST_BLOB = "kho_test", "kho_test blob"
LUO_BLOB = "luo blob"
READ_LATER = ("luo", "session")
"""Owners of what released kernels read when user space first asks for it."""
READ_AT_BOOT = ("kexec-metadata", KHO_TEST, TEST_BLOB, LUO_BLOB)
"""Owners of what they read as they boot."""
READ_ONCE = ("kexec-metadata", TEST_BLOB, *READ_LATER)
"""Owners of what a kernel may give back once it has read it, and released ones keep."""
_KEPT_ON_PURPOSE = ("root", "reserve_mem", "flb", LUO_BLOB)
_LUO_HEAD_STAYS = "luo-v1"
_IN_LUO = ("session", "memfd", "flb")
_FOR_GOOD = ("root", "reserve_mem", "kexec-metadata", TEST_BLOB)
"""What no reader gives back: it must still be as it was when all is done."""


@dataclass(frozen=True)
class Fate:
    """Bytes of one owner's memory, by what became of them; ``leaked`` ones are also kept."""

    kept: int = 0
    overwritten: int = 0
    not_protected: int = 0
    lost: int = 0
    given_back: int = 0
    leaked: int = 0

    def __add__(self, other: Fate) -> Fate:
        """Both together."""
        pairs = zip(astuple(self), astuple(other), strict=True)
        return Fate(*(mine + its for mine, its in pairs))


@dataclass(frozen=True)
class Memory:
    """The preserved memory of a cell; make one by `memory_of`.

    Attributes:
        regions: all of it.
        given_back: owners whose memory the consumer's reader gave back as it booted.
        read: owners whose reader has read all: what is free or used of it now was given back.
        unclaimed: components of which user space may still ask for more.
        for_good: owners of what nobody gives back.
    """

    regions: tuple[RegionFact, ...]
    given_back: Collection[str]
    read: Collection[str]
    unclaimed: Collection[str]
    for_good: Collection[str]

    def fate(self, region: RegionFact) -> Fate:
        """What became of one region; nothing is known of one that was not seen again."""
        if region.arrived is None:
            return Fate()
        changed, free = region.arrived != region.before, free_bytes(region, region.pages)
        used, leaked = region.size - free, self._leaked(region)
        if self.was_given_back(region) and (changed or free):
            return Fate(kept=0 if changed else used, given_back=region.size if changed else free)
        if not changed:
            return Fate(kept=used, not_protected=free, leaked=leaked)
        return Fate(kept=used, lost=free) if free else Fate(overwritten=used)

    def was_given_back(self, region: RegionFact) -> bool:
        """Whether the consumer's reader has given a region back, so that anybody may use it."""
        if region.owner in self.given_back:
            return True
        if region.owner not in self.read or not region.mapped:
            return False
        changed = region.arrived != region.before
        if region.owner in READ_LATER:
            return changed and (region.reused or _is_taken(region.pages))
        if region.reused or _is_taken(region.pages):
            return True
        return not changed and _is_taken(region.left)

    def damage(self, region: RegionFact) -> str | None:
        """What is wrong with a region that has to be as it was, in one sentence, or None."""
        if self.was_given_back(region) or region.arrived is None:
            return None
        changed = region.arrived != region.before
        if region.pages is not None and region.pages.free:
            lost = _change(region, region.arrived) + ": lost" if changed else "not protected"
            return f"{_free(region.pages)}: {lost}"
        if changed:
            return f"{_change(region, region.arrived)}: overwritten"
        return self._late_damage(region) if _of(region, self.for_good) else None

    def _late_damage(self, region: RegionFact) -> str | None:
        if region.left is not None and region.left.free:
            return f"in the end {_free(region.left)}: not protected"
        if region.after is not None and region.after != region.before:
            return f"{_change(region, region.after)} after the consumer was up: overwritten"
        return None

    def _leaked(self, region: RegionFact) -> int:
        left = region.left
        if left is None or not left.total or region.after != region.before:
            return 0
        if _of(region, _KEPT_ON_PURPOSE) or region.component in self.unclaimed:
            return 0
        return region.size * (left.reserved + left.plain) // left.total


def memory_of(facts: Facts, patterns: Patterns | None = None) -> Memory:
    """The preserved memory of a cell, and who in its consumer may have given it back."""
    log = Log(facts.consumer_log, shipped() if patterns is None else patterns)
    checked = facts.consumer.checked if facts.consumer else ()
    unclaimed = ("luo", "session", "memfd", "flb") if reads_luo(facts, log) and not checked else ()
    unread = (KHO_TEST,) if not has_test(facts) else ()
    return Memory(
        regions=facts.regions,
        given_back=_given_back(facts, log),
        read=_read(facts, log),
        unclaimed=unclaimed,
        for_good=(*_FOR_GOOD, *unread),
    )


def reads_luo(facts: Facts, log: Log) -> bool:
    """Whether the consumer has read what LUO handed over: it says so, or user space got of it."""
    checked = facts.consumer.checked if facts.consumer else ()
    got = any(item.component in _IN_LUO and item.outcome is Outcome.SAME for item in checked)
    return got or log.line("luo", "found") is not None


def has_test(facts: Facts) -> bool:
    """Whether the consumer has lib/test_kho.c, or it is not known that it has not."""
    return facts.consumer_has.get("TEST_KEXEC_HANDOVER", True)


def fates(facts: Facts, patterns: Patterns | None = None) -> dict[str, Fate]:
    """What became of each owner's memory; of none if the consumer never came up."""
    memory = memory_of(facts, patterns)
    found: dict[str, Fate] = {}
    for region in memory.regions:
        if region.arrived is not None:
            found[region.owner] = found.get(region.owner, Fate()) + memory.fate(region)
    return found


def free_bytes(region: RegionFact, pages: PageCounts | None) -> int:
    """How much of a region is free memory; none where it is not known."""
    return region.size * pages.free // pages.total if pages and pages.total else 0


def _of(region: RegionFact, owners: Collection[str]) -> bool:
    return region.owner in owners or region.component in owners


def _given_back(facts: Facts, log: Log) -> frozenset[str]:
    spoke = has_test(facts) and (log.line(KHO_TEST, "restored") or log.line(KHO_TEST, "failed"))
    version = facts.handed.versions.get("luo") if facts.handed else None
    freed = version != _LUO_HEAD_STAYS and reads_luo(facts, log)
    return frozenset(owner for owner, gone in ((KHO_TEST, spoke), (LUO_BLOB, freed)) if gone)


def _read(facts: Facts, log: Log) -> frozenset[str]:
    """Owners of what no released kernel gives back, and whose reader has read all of it."""
    handed, metadata = facts.handed, log.find("kexec-metadata", "found")
    wrote = (handed.release, handed.kexecs) if handed else None
    read = set()
    if metadata and (metadata["release"], int(metadata["count"])) == wrote:
        read.add("kexec-metadata")
    if log.line(KHO_TEST, "restored"):
        read.add(TEST_BLOB)
    checked = facts.consumer.checked if facts.consumer else ()
    outcomes = {item.outcome for item in checked if item.component in _IN_LUO}
    return frozenset(read | (set(READ_LATER) if outcomes == {Outcome.SAME} else set()))


def _is_taken(pages: PageCounts | None) -> bool:
    """Whether others use a region, or may."""
    return pages is not None and pages.free + pages.used > 0


def _free(pages: PageCounts) -> str:
    return f"{pages.free} of {pages.total} pages are free memory"


def _change(region: RegionFact, now: str) -> str:
    return f"content changed, {region.before[:12]} became {now[:12]}"
