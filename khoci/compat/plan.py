"""Which cells a run is made of. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
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


_WANTED: dict[str, Callable[[int], bool]] = {
    "self": lambda steps: steps == 0,
    "adjacent": lambda steps: abs(steps) == 1,
    "upgrade": lambda steps: steps > 0,
    "rollback": lambda steps: steps < 0,
    "all": lambda _steps: True,
}


def pairs(
    kernels: Sequence[str], which: str, made_of: Mapping[str, str] | None = None
) -> list[tuple[str, str]]:
    """Producer and consumer names of the wanted pairs, row by row of the table.

    Args:
        kernels: names, oldest first.
        which: a word of `khoci.config.matrix.PAIRS`.
        made_of: as of `steps`.
    """
    wanted = _WANTED[which]
    return [
        (producer, consumer)
        for producer in kernels
        for consumer in kernels
        if wanted(steps(producer, consumer, kernels, made_of or {}))
    ]


def steps(producer: str, consumer: str, order: Sequence[str], made_of: Mapping[str, str]) -> int:
    """How many kernels the consumer is ahead of the producer; 0 only if they are the same.

    What was made of a kernel is as old as that, and one step from it and from what else was made.

    Args:
        producer: a name.
        consumer: a name.
        order: all names, oldest first.
        made_of: the kernels that others were made of by patches, by the names of those.
    """
    places = [order.index(name) for name in (producer, consumer)]
    ahead = _age(consumer, order, made_of) - _age(producer, order, made_of)
    return ahead or (places[1] > places[0]) - (places[1] < places[0])


def _age(name: str, order: Sequence[str], made_of: Mapping[str, str]) -> int:
    """How many kernels that were made of none are not newer."""
    base = made_of.get(name, name)
    at = order.index(base if base in order else name)
    return sum(other not in made_of for other in order[: at + 1])


def pairs_around(
    wanted: Iterable[tuple[str, str]], changed: Mapping[str, str], stable: Collection[str]
) -> list[tuple[str, str]]:
    """Those of the wanted pairs that show what was changed, and what it was made of.

    Each of them with itself, with each stable kernel both ways, and each changed kernel with what
    it was made of both ways.

    Args:
        wanted: producer and consumer names.
        changed: what each kernel was made of, by its name.
        stable: the kernels to hold them against.
    """
    concerned = {*changed, *changed.values()}
    return [
        (producer, consumer)
        for producer, consumer in wanted
        if (producer == consumer and producer in concerned)
        or (producer in concerned and consumer in stable)
        or (consumer in concerned and producer in stable)
        or changed.get(producer) == consumer
        or changed.get(consumer) == producer
    ]


def cells(kernels: Sequence[str], which: str, scenarios: Iterable[str]) -> list[Cell]:
    """All cells, scenario by scenario, row by row of the table."""
    return cells_of(pairs(kernels, which), scenarios)


def cells_of(wanted: Sequence[tuple[str, str]], scenarios: Iterable[str]) -> list[Cell]:
    """All cells of some pairs, scenario by scenario."""
    return [Cell(*pair, scenario) for scenario in scenarios for pair in wanted]
