"""What must be true of a decoder whatever it is given: which errors leave it, and how soon."""

from __future__ import annotations

import resource
import signal
import warnings
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from khoci.errors import HarnessError, UsageError
from khoci.format.errors import DecodeError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

SECONDS = 4.0
"""CPU time that one input may take: instrumented code is several times slower than plain code."""
HEADROOM = 768 << 20
"""Bytes of address space that one input may take."""


class TooSlowError(BaseException):
    """An input took too long; no decoder can catch it by accident."""


def check(run: Callable[[bytes], None], data: bytes) -> None:
    """Give ``data`` to a target; only the errors that a decoder promises are swallowed.

    Raises:
        AssertionError: an error does not say where or what.
        TooSlowError: it takes too long.
        Exception: whatever else leaves the target.
    """
    with _deadline(SECONDS), _room(HEADROOM):
        try:
            run(data)
        except DecodeError as error:
            _assert_placed(error)
        except (UsageError, HarnessError) as error:
            _assert_one_line(str(error))


def _assert_placed(error: DecodeError) -> None:
    assert error.where, "a DecodeError without a path"
    assert error.message, "a DecodeError without a message"
    assert error.address is None or error.address >= 0, "a negative address"


def _assert_one_line(message: str) -> None:
    assert message, "an error without a message"
    assert message.isprintable(), "an error that is not one printable line"


def be_strict() -> None:
    """In this process a warning is an error."""
    warnings.simplefilter("error")


@contextmanager
def _room(size: int) -> Iterator[None]:
    """So much more address space than there is now: what the engine itself loses does not count."""
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


@contextmanager
def _deadline(seconds: float) -> Iterator[None]:
    before = signal.signal(signal.SIGPROF, _too_slow)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def _too_slow(_number: int, _frame: FrameType | None) -> None:
    raise TooSlowError(f"more than {SECONDS} s of CPU time for one input")
