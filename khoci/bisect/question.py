"""What is asked of each candidate, and where the answers are kept."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from khoci.compat.plan import Cell
from khoci.config.kernelsfile import render_kernels
from khoci.errors import UsageError
from khoci.files import write_atomic
from khoci.verdicts import Verdict

if TYPE_CHECKING:
    from pathlib import Path

    from khoci.config.kernels import KernelSpec
    from khoci.config.matrix import GuestConfig

VARIED = "@"
"""Stands for the kernel that is looked for, as producer, consumer or both."""

MATRIX, KERNELS, PATCHES = "matrix.toml", "kernels.toml", "patches"


@dataclass(frozen=True)
class Question:
    """A cell with an open place.

    Attributes:
        producer: name of the kernel that hands over, or `VARIED`.
        consumer: the same of the one that takes over.
        scenario: what is handed over.
        component: whose verdict counts; empty for the cell's.
        bad_when: verdicts that count as bad; empty for all that are worse than the good end's.
    """

    producer: str
    consumer: str
    scenario: str
    component: str = ""
    bad_when: tuple[Verdict, ...] = ()

    @property
    def fixed(self) -> str | None:
        """The kernel that is always the same, None if both are varied."""
        return next((name for name in (self.producer, self.consumer) if name != VARIED), None)

    def cell(self, candidate: str) -> Cell:
        """The cell with a candidate in the open place."""
        producer, consumer = (
            candidate if name == VARIED else name for name in (self.producer, self.consumer)
        )
        return Cell(producer, consumer, self.scenario)

    def to_json(self) -> dict[str, Any]:
        """The question as plain JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Question:
        """The reverse of ``to_json``.

        Raises:
            KeyError, TypeError, ValueError: it is no question.
        """
        return cls(**{**data, "bad_when": tuple(Verdict(word) for word in data["bad_when"])})


def check_open(producer: str, consumer: str) -> None:
    """Make sure that a place is open.

    Raises:
        UsageError: none is.
    """
    if VARIED not in (producer, consumer):
        raise UsageError(
            f"one of PRODUCER and CONSUMER has to be {VARIED}, the kernel that is looked for: "
            f"khoci bisect {producer} {VARIED}, or {VARIED} {consumer}"
        )


def write_definitions(
    folder: Path, specs: Sequence[KernelSpec], question: Question, guest: GuestConfig
) -> None:
    """Define the candidates so that every command takes them: ``--matrix <folder>/matrix.toml``."""
    write_atomic(folder / KERNELS, render_kernels(specs))
    exceptions, copy = specs[0].exceptions, folder / "kconfig/exceptions.toml"
    if exceptions and not copy.exists():
        copy.parent.mkdir(exist_ok=True)
        shutil.copyfile(exceptions, copy)
    lines = (
        f"kernels = {json.dumps([spec.name for spec in specs])}",
        f"scenarios = {json.dumps([question.scenario])}",
        "[guest]",
        f'memory = "{guest.memory >> 20}M"',
        f"cpus = {guest.cpus}",
        f"kho_scratch = {json.dumps(guest.scratch)}",
        f"cmdline = {json.dumps(guest.cmdline)}",
    )
    write_atomic(folder / MATRIX, "\n".join((*lines, "")))
