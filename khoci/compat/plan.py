"""Which cells a run is made of. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Cell:
    """A pair of kernels and a scenario, all by name; and what is broken on purpose, if anything."""

    producer: str
    consumer: str
    scenario: str
    fault: str = ""

    @property
    def name(self) -> str:
        """A name that is good for a file."""
        parts = (self.producer, self.consumer, self.scenario, self.fault)
        return "..".join(part for part in parts if part)

    @property
    def pair(self) -> tuple[str, str]:
        """Both kernels."""
        return self.producer, self.consumer

    def __str__(self) -> str:
        broken = f" with {self.fault}" if self.fault else ""
        return f"{self.producer} → {self.consumer} {self.scenario}{broken}"


_WANTED: dict[str, Callable[[int, int], bool]] = {
    "self": lambda old, new: old == new,
    "adjacent": lambda old, new: abs(old - new) == 1,
    "upgrade": lambda old, new: old < new,
    "rollback": lambda old, new: old > new,
    "all": lambda _old, _new: True,
}


def pairs(kernels: Sequence[str], which: str) -> list[tuple[str, str]]:
    """Producer and consumer names of the wanted pairs; ``kernels`` is ordered, oldest first."""
    wanted = _WANTED[which]
    return [
        (producer, consumer)
        for old, producer in enumerate(kernels)
        for new, consumer in enumerate(kernels)
        if wanted(old, new)
    ]


def cells(kernels: Sequence[str], which: str, scenarios: Iterable[str]) -> list[Cell]:
    """All cells, scenario by scenario, row by row of the table."""
    return [
        Cell(producer, consumer, scenario)
        for scenario in scenarios
        for producer, consumer in pairs(kernels, which)
    ]
