"""What a rule looks at: the facts of a cell, from the view of one component."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from khoci.compat.facts import Facts, Handed, RegionFact
from khoci.compat.loglines import Log
from khoci.compat.memory import Memory, memory_of
from khoci.config.loglines import Patterns
from khoci.results import Evidence
from khoci.scenario.base import Checked, Outcome
from khoci.verdicts import Verdict


@dataclass(frozen=True)
class Case:
    """The facts, seen from one component; make one by `case_of`.

    Attributes:
        facts: all of them.
        component: whose rules are gone through.
        name: which one of it; empty for all.
        log: the consumer's.
        memory: what became of preserved memory.
    """

    facts: Facts
    component: str
    name: str
    log: Log
    memory: Memory

    @property
    def alive(self) -> bool:
        """Whether the consumer came up and all was done."""
        return self.facts.end is None

    @property
    def handed(self) -> Handed:
        """What was handed over.

        Raises:
            ValueError: nothing was.
        """
        if self.facts.handed is None:
            raise ValueError("nothing was handed over: there is no component to judge")
        return self.facts.handed

    def said(self, meaning: str) -> str | None:
        """The first line of the component with this meaning."""
        return self.log.line(self.component, meaning, self.name)

    def checked(self, *outcomes: Outcome) -> list[Checked]:
        """What user space found of the component, and of what it travels in."""
        consumer, through = self.facts.consumer, THROUGH.get(self.component, ())
        return [
            item
            for item in (consumer.checked if consumer else ())
            if item.component in (self.component, *through) and item.outcome in outcomes
        ]

    @property
    def own(self) -> list[RegionFact]:
        """The component's memory, and that of what it travels in."""
        if self.name:
            wanted = f"{self.component} {self.name}"
            return [region for region in self.memory.regions if region.owner == wanted]
        owners = (self.component, *THROUGH.get(self.component, ()))
        return [region for region in self.memory.regions if region.component in owners]


THROUGH = {"vmalloc": ("memfd",), "block": ("luo", "session")}
"""What has no reader of its own travels in what its user hands over."""

Proof = tuple[Evidence, ...]
"""What proves that a condition holds; empty if it does not."""
Condition = Callable[[Case], Proof]


@dataclass(frozen=True)
class Rule:
    """If ``when`` holds, the component is ``verdict``."""

    verdict: Verdict
    when: Condition


def case_of(facts: Facts, component: str, patterns: Patterns, name: str = "") -> Case:
    """The view of a component."""
    memory = memory_of(facts, patterns)
    return Case(facts, component, name, Log(facts.consumer_log, patterns), memory)


def proof(kind: str, *texts: str, data: dict[str, Any] | None = None) -> Proof:
    """Evidence of one kind, a piece for each text; ``data`` goes with the first."""
    return tuple(
        Evidence(kind, text, {} if number else data or {}) for number, text in enumerate(texts)
    )
