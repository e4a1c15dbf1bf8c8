"""``selftest.toml``: kernels that are wrong on purpose, and what has to be said of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from khoci.config.kernels import Kernels, KernelSpec
from khoci.config.toml import Table, did_you_mean, load
from khoci.errors import UsageError
from khoci.paths import data_dir
from khoci.verdicts import Verdict

FORWARD, BACKWARD = "forward", "backward"
DIRECTIONS = (FORWARD, BACKWARD)
VERSIONS = ("kept", "bumped")


@dataclass(frozen=True)
class Expectation:
    """What a cell has to end in.

    Attributes:
        verdict: the cell's.
        component: one that has this verdict because of what was patched.
    """

    verdict: Verdict
    component: str

    def __str__(self) -> str:
        return f"{self.verdict} in {self.component}"


@dataclass(frozen=True)
class Mutant:
    """A kernel that is the base with one known-bad patch.

    Attributes:
        name: its own; the kernel's name is `kernel_name`.
        patch: the patch.
        component: what it changes.
        version: whether the string that governs it is ``kept`` or ``bumped``.
        scenario: what is preserved.
        why: what has to happen, in one sentence.
        forward: when the base hands over to the mutant.
        backward: when the mutant hands over to the base.
    """

    name: str
    patch: Path
    component: str
    version: str
    scenario: str
    why: str
    forward: Expectation
    backward: Expectation

    def expected(self, direction: str) -> Expectation:
        """What a direction has to end in."""
        return self.forward if direction == FORWARD else self.backward

    def pair(self, base: str, direction: str) -> tuple[str, str]:
        """Names of producer and consumer."""
        own = kernel_name(base, self.name)
        return (base, own) if direction == FORWARD else (own, base)


@dataclass(frozen=True)
class SelfTest:
    """The file: the kernel that is patched, and the mutants in their order."""

    base: str
    mutants: tuple[Mutant, ...]

    def select(self, names: Sequence[str]) -> tuple[Mutant, ...]:
        """The mutants of these names; all if there are none.

        Raises:
            UsageError: there is no such mutant.
        """
        known = {mutant.name: mutant for mutant in self.mutants}
        for name in names:
            if name not in known:
                near = did_you_mean(name, known)
                raise UsageError(
                    f"unknown mutant '{name}'{near}: khoci selftest --list has them all"
                )
        return tuple(known[name] for name in names) if names else self.mutants

    def kernels(self, known: Kernels, mutants: Sequence[Mutant]) -> Kernels:
        """The base and these mutants.

        Raises:
            UsageError: the base is not among the known kernels.
        """
        base = known.select(self.base)
        specs = (base, *(_patched(base, mutant) for mutant in mutants))
        return Kernels(known.file, {spec.name: spec for spec in specs})


def kernel_name(base: str, mutant: str) -> str:
    """How the kernel of a mutant is called."""
    return f"{base}+{mutant}"


def _patched(base: KernelSpec, mutant: Mutant) -> KernelSpec:
    return replace(
        base, name=kernel_name(base.name, mutant.name), patches=(*base.patches, mutant.patch)
    )


def default_file() -> Path:
    """The user's ``matrix/selftest/selftest.toml`` below the current folder, or the shipped one."""
    own = Path("matrix/selftest/selftest.toml")
    return own if own.is_file() else data_dir("matrix") / "selftest" / "selftest.toml"


def load_selftest(path: Path) -> SelfTest:
    """Read the mutants.

    Raises:
        UsageError: the file, a table or a key is wrong; the message says which.
    """
    top = load(path)
    top.only("base", "mutant")
    mutants = tuple(_mutant(name, table) for name, table in top.named("mutant").items())
    if not mutants:
        raise top.error("no [mutant.NAME] table")
    return SelfTest(_string(top, "base"), mutants)


def _mutant(name: str, table: Table) -> Mutant:
    table.only("patch", "component", "version", "scenario", "why", *DIRECTIONS)
    version = _string(table, "version")
    if version not in VERSIONS:
        raise table.error(f"key 'version' must be one of {', '.join(VERSIONS)}, not '{version}'")
    return Mutant(
        name=name,
        patch=_patch(table),
        component=_string(table, "component"),
        version=version,
        scenario=_string(table, "scenario"),
        why=_string(table, "why"),
        forward=_expectation(table, FORWARD),
        backward=_expectation(table, BACKWARD),
    )


def _patch(table: Table) -> Path:
    path = table.need("patch", table.path("patch"))
    if not path.is_file():
        raise table.error(f"{path} does not exist")
    return path


def _expectation(table: Table, direction: str) -> Expectation:
    below = table.need(direction, table.table(direction))
    below.only("verdict", "component")
    word = _string(below, "verdict")
    if word not in set(Verdict):
        raise below.error(f"'{word}' is no verdict{did_you_mean(word, Verdict)}")
    return Expectation(Verdict(word), _string(below, "component"))


def _string(table: Table, key: str) -> str:
    return table.need(key, table.string(key))
