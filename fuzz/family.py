"""What is fuzzed: a target with its seeds and its mutator."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from fuzz.mutate import Mutator


@dataclass(frozen=True, slots=True)
class Family:
    """A group of formats.

    Attributes:
        name: on the command line.
        run: takes any bytes; raises what the decoder raises, or AssertionError if its result
            cannot be right.
        seeds: valid inputs, made by the encoders of the tests and from real captures.
        mutate: see `mutate`.
    """

    name: str
    run: Callable[[bytes], None]
    seeds: Callable[[], Iterable[bytes]]
    mutate: Mutator
