"""What to expect where a patched kernel has a layout that khoci does not know. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from khoci.config.abi import Abi
from khoci.results import Expected
from khoci.verdicts import Verdict

_FILE = ("root", "luo", "session", "block", "vmalloc")
_REACHED_BY: Mapping[str, tuple[str, ...]] = {
    "root": (),
    "memory map": (),
    "scratch": (),
    "reserve_mem": ("root",),
    "kho_test": ("root", "vmalloc"),
    "luo": ("root",),
    "session": ("root", "luo", "block"),
    "flb": ("root", "luo"),
    "vmalloc": ("root",),
    "block": ("root", "luo"),
    "kexec-metadata": ("root",),
}
"""What has to be understood to find a component; of kinds of file, all that a file hangs on."""

_OPEN = (Verdict.RESTORED, Verdict.ACCEPTED, Verdict.ABSENT)
"""Verdicts that come from what khoci believes to have decoded."""


@dataclass(frozen=True, slots=True)
class Unmodelled:
    """Both sides, where one or both of them have an unknown layout; no producer is a release."""

    producer: Abi | None
    consumer: Abi

    def expected(self, name: str, found: Expected) -> Expected:
        """What to expect of the component ``name``, if ``found`` follows from what is known.

        What a version refuses stays refused. The versions are equal otherwise: then nobody
        notices that the layouts differ.
        """
        parts = (*_REACHED_BY.get(name, _FILE), name)
        other = next((part for part in parts if not self._same(part)), None)
        if other is not None:
            return self._differing(other) if found.verdict in _OPEN else found
        unknown = next((part for part in parts if part in self._theirs), None)
        if unknown is None or found.verdict is Verdict.RESTORED:
            return found
        return self.unknown(unknown)

    @property
    def alike(self) -> str | None:
        """A component that all hangs on and that both sides write in the same unknown way."""
        parts = ("root", "memory map", "luo")
        ours = self.consumer.unmodelled
        return next((part for part in parts if part in ours and self._same(part)), None)

    def unknown(self, part: str) -> Expected:
        """What to expect where only khoci does not understand a component."""
        reason = self._theirs[part]
        return Expected(Verdict.ACCEPTED, f"both have a layout that khoci does not know: {reason}")

    @property
    def _theirs(self) -> Mapping[str, str]:
        return self.producer.unmodelled if self.producer else {}

    def _same(self, part: str) -> bool:
        theirs = self.producer.digests if self.producer else {}
        return theirs.get(part) == self.consumer.digests.get(part)

    def _differing(self, part: str) -> Expected:
        sides = (self.producer, self.consumer)
        reasons = (
            f"of {side.name}, {side.unmodelled[part]}"
            for side in sides
            if side and part in side.unmodelled
        )
        text = f"{part} has another layout under the same version, it may be worse"
        return Expected(Verdict.CORRUPT, f"{text}: {'; '.join(reasons)}")
