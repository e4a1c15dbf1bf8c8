"""What a scenario is: what is preserved, how it is filled, and how it is checked afterwards."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Protocol

from khoci.errors import UsageError
from khoci.format.handover import Handover
from khoci.format.ranges import Range
from khoci.guest.session import Agent
from khoci.sizes import parse_size

State = Any
"""What a scenario remembers of what it preserved; each scenario has its own."""


class WritableMemory(Protocol):
    """Guest memory that may be written at the jump."""

    @property
    def ram(self) -> tuple[Range, ...]:
        """Where there is memory."""

    def write(self, phys: int, data: bytes) -> None:
        """Write ``data`` at guest-physical ``phys``."""


class NotPossibleError(Exception):
    """The producer has nothing of this to hand over; the message says what it lacks."""


class Outcome(StrEnum):
    """What the consumer's user space made of one thing that was preserved."""

    SAME = "same"
    DIFFERENT = "different"
    MISSING = "missing"
    REFUSED = "refused"


@dataclass(frozen=True)
class Checked:
    """One thing that was preserved, as the consumer's user space found it.

    Attributes:
        component: whose it is: ``session``, ``memfd``, ``luo``, ``flb``.
        what: which one, for people: ``session 'vm-1'``, ``file 7 of 'vm-1'``.
        outcome: held against what the producer made; ``missing`` is ENOENT, ``refused`` is any
            other error of the kernel.
        detail: what differs, or the error; empty if nothing does.
        data: the same as values: sizes, digests, error numbers.
        scenario: the scenario that asked.
    """

    component: str
    what: str
    outcome: Outcome
    detail: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)
    scenario: str = ""


@dataclass(frozen=True)
class Verified:
    """What ``Scenario.verify`` found, and what it holds now, for ``release`` or ``again``."""

    checked: tuple[Checked, ...] = ()
    held: State = None


def leave_as_is(_memory: WritableMemory, _handover: Handover) -> None:
    """Fill nothing: the producer itself made the content."""


async def preserve_nothing(_agent: Agent) -> State:
    """Ask for nothing: the command line does."""
    return None


async def verify_nothing(_agent: Agent, _state: State) -> Verified:
    """Ask nothing: the log and the memory tell."""
    return Verified()


async def hold_nothing(_agent: Agent, _held: State) -> State:
    """Nothing is held."""
    return None


@dataclass(frozen=True)
class Shape:
    """How the machine of a scenario differs from the matrix's.

    Attributes:
        memory: RAM in bytes.
        scratch: value of ``kho_scratch=``.
        nodes: NUMA nodes, made by ``numa=fake=``.
        kaslr: whether both kernels choose their addresses at random.
    """

    memory: int | None = None
    scratch: str | None = None
    nodes: int = 1
    kaslr: bool = False


@dataclass(frozen=True)
class Scenario:
    """One thing to preserve, how it is filled, and how it is checked.

    Attributes:
        name: as on the command line, with the parameters that are not the default's.
        summary: one line for people.
        component: the component whose absence makes the whole cell ``absent``.
        components: those that the scenario is about, besides the ones every handover has.
        needs: kconfig symbols without which a producer has nothing of this to hand over.
        cmdline: kernel parameters of both sides.
        consumer_cmdline: more of them, for the consumer alone.
        shape: of the machine.
        finalize: whether the producer finalizes where it has to.
        crash: whether the consumer is made to panic when it is up.
        joint: whether it can share a boot with others that say so too.
        preserve: asks the producer's agent; raises `NotPossibleError`.
        fill: writes content into guest memory at the jump, so that it can be recognised later.
        verify: asks the consumer's agent, with what ``preserve`` returned: retrieve, compare,
            finish. It raises nothing for what a kernel does wrong: that is its result.
        release: gives up what ``verify`` holds, so that nothing of it is in use any more.
        again: preserves once more what ``verify`` holds, for the next kernel of a chain; what it
            returns is as of ``preserve``.
    """

    name: str
    summary: str
    component: str
    components: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    cmdline: str = ""
    consumer_cmdline: str = ""
    shape: Shape = Shape()
    finalize: bool = True
    crash: bool = False
    joint: bool = False
    preserve: Callable[[Agent], Awaitable[State]] = preserve_nothing
    fill: Callable[[WritableMemory, Handover], None] = leave_as_is
    verify: Callable[[Agent, State], Awaitable[Verified]] = verify_nothing
    release: Callable[[Agent, State], Awaitable[None]] = hold_nothing
    again: Callable[[Agent, State], Awaitable[State]] = hold_nothing


Value = int | str


@dataclass(frozen=True)
class Parameter:
    """One size of a scenario that a user may choose: ``memfd:size=64M``.

    Attributes:
        default: its value; an integer one takes sizes (``64M``) and numbers, a text one any word.
        summary: what it is, with its unit.
    """

    default: Value
    summary: str


@dataclass(frozen=True)
class Definition:
    """A scenario with its parameters still open; a module's ``SCENARIO``.

    Attributes:
        name: without parameters.
        summary: one line for people.
        make: the scenario for a value of each of ``parameters``; it raises ``ValueError``
            with a line of text for values that cannot be.
        parameters: by name.
    """

    name: str
    summary: str
    make: Callable[[Mapping[str, Any]], Scenario]
    parameters: Mapping[str, Parameter] = field(default_factory=dict)

    def with_values(self, words: Mapping[str, str]) -> Scenario:
        """The scenario with these parameters, the others as they are by default.

        Raises:
            UsageError: there is no such parameter, or it cannot have such a value.
        """
        values = {name: parameter.default for name, parameter in self.parameters.items()}
        for name, word in words.items():
            values[name] = self._value(name, word)
        try:
            return replace(self.make(values), name=self._full_name(words))
        except ValueError as error:
            raise UsageError(f"scenario '{self._full_name(words)}': {error}") from None

    def _full_name(self, words: Mapping[str, str]) -> str:
        given = ":".join(f"{name}={word}" for name, word in sorted(words.items()))
        return f"{self.name}:{given}" if given else self.name

    def _value(self, name: str, word: str) -> Value:
        parameter = self.parameters.get(name)
        if parameter is None:
            known = ", ".join(self.parameters) or "none"
            raise UsageError(f"scenario '{self.name}' has no parameter '{name}': it has {known}")
        if isinstance(parameter.default, str):
            return word
        size = parse_size(word)
        if size is None:
            raise UsageError(f"scenario '{self.name}': {name} is a number or size, not '{word}'")
        return size
