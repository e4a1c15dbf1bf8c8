"""The errors a user sees: one line each, with the exit code it ends in.

KhociError
├── UsageError      2  the user asked for something wrong (a name, a key, a file)
└── HarnessError    3  the host or khoci failed; never blamed on a kernel
    ├── BuildError  3  a kernel could not be configured or built
    └── UnfitError  3  this host cannot run cells; 75 where another one can be asked
"""

from __future__ import annotations

EXIT_OK = 0
EXIT_DISAGREE = 1
EXIT_USAGE = 2
EXIT_HARNESS = 3
EXIT_GIVEN_BACK = 75
"""Nothing was run here, another machine may: EX_TEMPFAIL of sysexits.h."""
EXIT_INTERRUPTED = 130
EXIT_CLOSED = 141
"""Nobody reads the output any more; as of a program that SIGPIPE ends."""


class KhociError(Exception):
    """Base of all errors with a message for the user.

    The message is one line that says what failed, on which kernel, pair or file, and what to do.
    ``detail`` may hold more lines (the end of a log) that are shown below it.
    """

    exit_code = EXIT_HARNESS

    def __init__(self, message: str, detail: str = "") -> None:
        super().__init__(message)
        self.detail = detail

    @property
    def report(self) -> str:
        """What the user reads: the line, and the detail below it if there is one."""
        return "\n".join(filter(None, (f"khoci: {self}", self.detail)))


class UsageError(KhociError):
    """The request is wrong: an unknown name, a bad key, a file that is not there."""

    exit_code = EXIT_USAGE


class HarnessError(KhociError):
    """The host or khoci itself failed: a missing tool, a full disk, no network."""


class BuildError(HarnessError):
    """A kernel could not be configured or built."""


class UnfitError(HarnessError):
    """This host lacks what cells need: QEMU is not there, or no guest comes up with it."""
