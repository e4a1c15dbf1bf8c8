"""The producer at the jump: what it hands over is found, decoded, captured, filled and digested."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from khoci import __version__
from khoci.compat import handed, look
from khoci.compat.facts import Handed, RegionFact
from khoci.errors import HarnessError
from khoci.files import atomic_path
from khoci.format import capture, handoff
from khoci.format.capture import Capture, Kernel
from khoci.format.digests import Digests, digests
from khoci.format.errors import DecodeError
from khoci.format.handoff import Handoff
from khoci.format.handover import Handover, decode
from khoci.format.known import NOTHING, Known
from khoci.format.memory import Recorder
from khoci.format.ranges import Range
from khoci.scenario.base import Scenario
from khoci.vm.ram import GuestRam

CAPTURE = "handover.khocap"


@dataclass(frozen=True)
class Tamper:
    """A change of guest RAM at the jump, from outside.

    Attributes:
        write: changes it; it raises `NotPossibleError` where there is nothing to change.
        secret: whether the change comes after all was digested, so that it must be found out;
            else what was written counts as handed over. The capture shows neither.
    """

    write: Callable[[GuestRam, Handover], None]
    secret: bool = False


@dataclass(frozen=True)
class AtJump:
    """What was seen of the handover.

    Attributes:
        handed: None if nothing is handed over.
        regions: all that is preserved, as it is at the jump.
        misread: memory that only the other layout of the map names.
        contents: what `look.contents` finds.
    """

    handed: Handed | None = None
    regions: tuple[RegionFact, ...] = ()
    misread: tuple[Range, ...] = ()
    contents: Mapping[int, bytes] = field(default_factory=dict)


@dataclass(frozen=True)
class Standing:
    """A producer that stands at the jump.

    Attributes:
        producer: as the capture names it.
        ram: its memory.
        scratch: its scratch areas, as the kernel has them; None if it does not show them.
        stale: addresses of the hand-offs that it was itself given.
        scenarios: what is preserved.
        folder: where the capture goes.
        tamper: changes the handover on purpose; None to leave it alone.
        known: of the producer, for the decoders.
    """

    producer: Kernel
    ram: GuestRam
    scratch: bytes | None
    stale: Collection[int]
    scenarios: tuple[Scenario, ...]
    folder: Path
    tamper: Tamper | None = None
    known: Known = NOTHING

    def look(self) -> AtJump:
        """Find, decode and capture what is handed over; fill it, and digest all of it.

        Raises:
            NotPossibleError: there is nothing that ``tamper`` could change.
            HarnessError: there are several hand-offs, or khoci does not know its way in guest RAM.
        """
        try:
            found = handoff.locate(self.ram, self.stale)
            return AtJump() if found is None else self._look_at(found)
        except DecodeError as error:
            raise HarnessError(f"{self.producer.name}: {error}") from None

    def _look_at(self, found: Handoff) -> AtJump:
        recorder = Recorder(self.ram)
        try:
            handover = decode(recorder, found.fdt_addr, scratch=self.scratch, known=self.known)
        except DecodeError as error:
            self._keep(Capture(recorder.recorded(), found.fdt_addr, self.scratch))
            return AtJump(_undecoded(error))
        for scenario in self.scenarios:
            scenario.fill(self.ram, handover)
        gained = handed.misread(recorder, handover)
        kept, overlap = self._digests(handover)
        self._keep(Capture(recorder.recorded(), found.fdt_addr, self.scratch, digests=kept))
        self._tamper(handover, secret=False)
        regions = look.before(self.ram, handed.regions_in(handover, self.ram.ram))
        contents = look.contents(self.ram, regions)
        self._tamper(handover, secret=True)
        whole = handed.summary(handover)
        strange = (*overlap, *handed.outside(handover, self.ram.ram))
        whole = replace(whole, problems=(*whole.problems, *strange))
        return AtJump(whole, regions, tuple(gained), contents)

    def _digests(self, handover: Handover) -> tuple[Digests, tuple[str, ...]]:
        """The digests of all blocks; without them, why there are none."""
        blocks = ((block.phys, block.order) for block in handover.map.blocks)
        try:
            return digests(self.ram, blocks), ()
        except DecodeError as error:
            return Digests(), (str(error),)

    def _tamper(self, handover: Handover, *, secret: bool) -> None:
        if self.tamper and self.tamper.secret is secret:
            self.tamper.write(self.ram, handover)

    def _keep(self, kept: Capture) -> None:
        """Write the capture with what is known of its origin."""
        whole = replace(
            kept,
            producer=self.producer,
            scenario="+".join(scenario.name for scenario in self.scenarios),
            source="qemu",
            khoci=__version__,
            created=datetime.now(UTC).isoformat(timespec="seconds"),
        )
        with atomic_path(self.folder / CAPTURE) as path:
            capture.save(path, whole)


def _undecoded(error: DecodeError) -> Handed:
    """What is known of a handover whose root khoci cannot decode."""
    problem = f"khoci cannot decode it: {error}"
    return Handed("unknown", "none", handed.FIRST, 0, 0, problems=(problem,))
