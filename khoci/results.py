"""The result of a cell, as it is stored and reported. Data only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from khoci.verdicts import Verdict

SCHEMA = 1
"""Raised when a reader of older results would misunderstand new ones; new keys alone do not."""

_LISTS = ("matched", "retries", "joint")


@dataclass(frozen=True)
class Evidence:
    """Why a verdict is what it is.

    Attributes:
        kind: ``log``, ``decode``, ``digest``, ``pages``, ``guest``, ``splat``, ``plan`` or
            ``harness``.
        text: the line, or the fact in one sentence.
        data: the same as values: sizes in bytes, digests, names; empty where the text is a line of
            the log.
    """

    kind: str
    text: str
    data: Mapping[str, Any] = field(default_factory=dict)


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
class Versions:
    """The version string of a component: as it was handed over, and as the consumer wants it.

    ``understood`` is None where the consumer does not read the component, or nobody knows.
    """

    handed: str
    understood: str | None

    @property
    def differ(self) -> bool:
        """Whether the consumer reads the component, in another version."""
        return self.understood is not None and self.understood != self.handed


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
        versions: of each component that has one.
        memory: what became of each owner's memory, in bytes: see ``compat.memory.Fate``.
        matched: names of the log patterns that matched.
        retries: why the harness failed before this run of the cell, oldest first.
        joint: the scenarios that shared the boot; empty if it was this one alone.
        fault: what was broken on purpose; empty if nothing was.
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
    versions: Mapping[str, Versions] = field(default_factory=dict)
    memory: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    matched: tuple[str, ...] = ()
    retries: tuple[str, ...] = ()
    joint: tuple[str, ...] = ()
    fault: str = ""

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

    @property
    def reason(self) -> str:
        """The first line of evidence for the cell's verdict; '' if there is none."""
        deciding = (each for each in self.components.values() if each.verdict is self.verdict)
        return next((item.text for each in deciding for item in each.evidence), "")

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
        lists = {name: tuple(data.get(name, ())) for name in _LISTS}
        versions = data.get("versions", {})
        return cls(
            **{
                **known,
                "verdict": Verdict(data["verdict"]),
                "components": components,
                "prediction": None if prediction is None else _prediction(prediction),
                "versions": {name: Versions(**item) for name, item in dict(versions).items()},
                "splats": tuple(data["splats"]),
                **lists,
            }
        )


def _judgement(data: Mapping[str, Any]) -> Judgement:
    evidence = tuple(
        Evidence(item["kind"], item["text"], item.get("data", {})) for item in data["evidence"]
    )
    return Judgement(Verdict(data["verdict"]), evidence)


def _prediction(data: Mapping[str, Any]) -> dict[str, Expected]:
    return {
        name: Expected(Verdict(item["verdict"]), item["reason"])
        for name, item in dict(data).items()
    }


@dataclass(frozen=True)
class ChainResult:
    """State that travelled through a chain of kernels in one boot.

    Attributes:
        kernels: in the order they ran, as far as they were asked to.
        scenario: what travelled.
        hops: one result for each handover that was made; fewer if a kernel died.
        kexecs: the kexec count that was handed over at each hop, None where there was none.
        numbers: the live update number of each hop, the same way.
        problems: numbers that do not follow from the ones before.
    """

    kernels: tuple[str, ...]
    scenario: str
    hops: tuple[CellResult, ...]
    kexecs: tuple[int | None, ...] = ()
    numbers: tuple[int | None, ...] = ()
    problems: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The result as plain JSON values."""
        return {"schema": SCHEMA, **asdict(self)}


@dataclass(frozen=True)
class SeriesInRun:
    """The series that a run is about.

    Attributes:
        label: ``slug:vN``.
        title: its subject.
        msgid: of its cover letter or only patch, without angle brackets.
        kernel: the name of the kernel with all of it.
        base: that of the one without it.
        changed: what each kernel with patches was made of, by its name, in the order of the
            patches: one entry if they were not tried one by one.
        patches: for each name in ``changed`` the patch that it has besides, in words.
        previous: the base of the kernel of the revision before, by its name.
        commits: base and last commit of it and of the revision before, by ``slug:vN``.
    """

    label: str
    title: str
    msgid: str
    kernel: str
    base: str
    changed: Mapping[str, str]
    patches: Mapping[str, str]
    previous: Mapping[str, str] = field(default_factory=dict)
    commits: Mapping[str, str] = field(default_factory=dict)

    @property
    def bases(self) -> dict[str, str]:
        """The base of each kernel that has patches of a revision."""
        return {**dict.fromkeys(self.changed, self.base), **self.previous}
