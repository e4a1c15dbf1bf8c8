"""The result of a cell, as it is stored and reported. Data only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from khoci.verdicts import Verdict

SCHEMA = 1
"""Raised when a reader of older results would misunderstand new ones; new keys alone do not."""


@dataclass(frozen=True)
class Evidence:
    """Why a verdict is what it is.

    Attributes:
        kind: ``log``, ``decode``, ``digest``, ``pages``, ``guest``, ``plan`` or ``harness``.
        text: the line, or the fact in one sentence.
    """

    kind: str
    text: str


@dataclass(frozen=True)
class Judgement:
    """A verdict with its evidence."""

    verdict: Verdict
    evidence: tuple[Evidence, ...] = ()


@dataclass(frozen=True)
class Expected:
    """A predicted verdict, and why in one sentence."""

    verdict: Verdict
    reason: str

    def __str__(self) -> str:
        return f"{self.verdict}: {self.reason}"


@dataclass(frozen=True)
class CellResult:
    """One cell, judged.

    Attributes:
        producer: name of the kernel that handed over.
        consumer: name of the kernel that kexec started.
        verdict: the worst of the components'.
        components: a judgement for each component that was handed over.
        splats: first lines of warnings and bugs in either log, with the side: ``consumer: ...``.
        details: what else is known: the decoded handover, keys of kernels, accelerator.
        reproduce: the command that runs this cell again.
        files: evidence beside the result, by kind, relative to the run's folder.
        seconds: how long it took.
        prediction: what was to be expected of each component, None if nothing was predicted.
    """

    producer: str
    consumer: str
    scenario: str
    verdict: Verdict
    components: Mapping[str, Judgement]
    splats: tuple[str, ...] = ()
    details: Mapping[str, Any] = field(default_factory=dict)
    reproduce: str = ""
    files: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    prediction: Mapping[str, Expected] | None = None

    @property
    def agreement(self) -> dict[str, bool]:
        """For each component, whether it was predicted as it was observed.

        Empty if nothing was predicted, or the harness failed and nothing was observed.
        """
        expected = self.prediction
        if expected is None or self.verdict is Verdict.ERROR:
            return {}
        return {
            name: name in expected and expected[name].verdict is judgement.verdict
            for name, judgement in self.components.items()
        }

    def to_json(self) -> dict[str, Any]:
        """The result as plain JSON values."""
        return {"schema": SCHEMA, **asdict(self)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> CellResult:
        """The reverse of ``to_json``.

        Raises:
            KeyError, TypeError, ValueError: it is not such a result.
        """
        if data["schema"] != SCHEMA:
            raise ValueError(f"schema {data['schema']}, this khoci reads {SCHEMA}")
        names = {item.name for item in fields(cls)}
        known = {key: value for key, value in data.items() if key in names}
        components = {name: _judgement(item) for name, item in dict(data["components"]).items()}
        prediction = data.get("prediction")
        return cls(
            **{
                **known,
                "verdict": Verdict(data["verdict"]),
                "components": components,
                "prediction": None if prediction is None else _prediction(prediction),
                "splats": tuple(data["splats"]),
            }
        )


def _judgement(data: Mapping[str, Any]) -> Judgement:
    evidence = tuple(Evidence(item["kind"], item["text"]) for item in data["evidence"])
    return Judgement(Verdict(data["verdict"]), evidence)


def _prediction(data: Mapping[str, Any]) -> dict[str, Expected]:
    return {
        name: Expected(Verdict(item["verdict"]), item["reason"])
        for name, item in dict(data).items()
    }
