"""What was seen of one cell: facts only, no judgement."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from khoci.scenario.base import Checked
from khoci.vm.guest import Ended


@dataclass(frozen=True)
class PageCounts:
    """How the consumer uses the pages of a region, by its own /proc/kpageflags.

    Attributes:
        total: all of them.
        free: in its free memory.
        reserved: marked as reserved.
        plain: neither: but no flag names a user of theirs either (page cache, anonymous, slab,
            page table, huge page); so are pages of the kernel's own, and pages that nobody owns.
        used: the rest: somebody uses them.
        nopage: not memory for the consumer.
    """

    total: int
    free: int
    reserved: int = 0
    plain: int = 0
    used: int = 0
    nopage: int = 0


@dataclass(frozen=True)
class RegionFact:
    """One preserved region, seen at the jump and again in the consumer.

    Attributes:
        owner: the component whose memory it is, then what of it: ``reserve_mem khoci-small``.
            Memory that was preserved and that khoci can assign to nobody is ``orphan``'s.
        start: guest-physical address in bytes.
        size: bytes.
        before: digest of its content at the jump.
        arrived: digest in the consumer as soon as it was up, before any user space asked for
            anything; None if it never came up.
        pages: how it used them then; None if it could not tell.
        after: digest after all was retrieved, compared and given up, and after other memory was
            allocated and written; None if the consumer did not get there.
        left: how it used the pages then.
        mapped: whether the producer's memory map lists it, so that it is preserved.
        reused: whether its content was another one when the consumer was up, and not just a few
            bytes of it. That is looked at only where a reader may have given it back.
    """

    owner: str
    start: int
    size: int
    before: str
    arrived: str | None = None
    pages: PageCounts | None = None
    after: str | None = None
    left: PageCounts | None = None
    mapped: bool = True
    reused: bool = False

    @property
    def component(self) -> str:
        """The component that owns the region."""
        return self.owner.split(" ", 1)[0]


@dataclass(frozen=True)
class Handed:
    """What the producer handed over, decoded from the capture.

    Attributes:
        version: the root FDT's compatible string.
        layout: layout of the memory map, and how it was told.
        components: those present, in the order of the report.
        blocks: number of preserved blocks.
        size: bytes they cover.
        scratch: the scratch areas, ``(start, size)`` each, if they could be read.
        reserve_mem: names of the regions.
        luo_number: the live update number, and
        luo_sessions: the number of sessions, both None without LUO.
        release: the producer's release as written in kexec-metadata.
        kexecs: how many kexecs there were, as written there.
        problems: what is wrong with it, a line each.
        versions: version string of each component that has one.
    """

    version: str
    layout: str
    components: tuple[str, ...]
    blocks: int
    size: int
    scratch: tuple[tuple[int, int], ...] | None = None
    reserve_mem: tuple[str, ...] = ()
    luo_number: int | None = None
    luo_sessions: int | None = None
    release: str | None = None
    kexecs: int | None = None
    problems: tuple[str, ...] = ()
    versions: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class ConsumerFacts:
    """What the consumer's agent reported.

    Attributes:
        release: as uname tells it.
        kho: whether KHO is on.
        scratch: its scratch areas, ``(start, size)`` each; None if it does not show them.
        complaint: what went wrong when memory was allocated and written; empty if nothing.
        checked: what its user space found, held against what the producer made.
        revived: start and size of each ``reserve_mem`` region that it has, by name; None if
            nobody could see.
        given: whether its debugfs shows a handover that it was given.
    """

    release: str
    kho: bool
    scratch: tuple[tuple[int, int], ...] | None = None
    complaint: str = ""
    checked: tuple[Checked, ...] = ()
    revived: Mapping[str, tuple[int, int]] | None = None
    given: bool = False


@dataclass(frozen=True)
class PhaseFact:
    """A part of a boot: its name, when it began and how long it took, in seconds."""

    name: str
    start: float
    seconds: float


@dataclass(frozen=True)
class Facts:
    """Everything that a verdict is made from.

    Attributes:
        scenario: its name.
        handed: None when no handover reached the consumer's boot parameters.
        consumer_log: the consumer's kernel log from its first byte.
        end: how the consumer ended, None if its agent came up and all checks were done.
        consumer: None if its agent never came up.
        regions: the preserved regions.
        misread: blocks that only the other reading of the memory map names.
        consumer_has: kconfig symbols of the consumer; empty if its configuration is not known.
        producer_log: the producer's kernel log up to the jump.
        producer_release: as the producer's uname tells it; empty if it was not asked.
        crash: whether the consumer was made to panic when it was up.
        cold: whether the producer itself was not started by a kexec.
        phases: of the boot, from where this handover was prepared to where it was looked at.
    """

    scenario: str
    handed: Handed | None
    consumer_log: str
    end: Ended | None = None
    consumer: ConsumerFacts | None = None
    regions: tuple[RegionFact, ...] = ()
    misread: tuple[RegionFact, ...] = ()
    consumer_has: Mapping[str, bool] = field(default_factory=dict)
    producer_log: str = ""
    producer_release: str = ""
    crash: bool = False
    cold: bool = False
    phases: tuple[PhaseFact, ...] = ()
