"""Entry point: runs the command and turns every error into one line and an exit code."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import TextIO

import click

from khoci.errors import (
    EXIT_CLOSED,
    EXIT_HARNESS,
    EXIT_INTERRUPTED,
    EXIT_OK,
    EXIT_USAGE,
    KhociError,
)


def main() -> None:
    """Run khoci and exit."""
    signal.signal(signal.SIGTERM, _as_interrupt)
    sys.exit(_exit_code())


def _as_interrupt(_number: int, _frame: FrameType | None) -> None:
    """Treat the signal as ^C: asyncio, where it runs, then ends its task and not any callback.

    What a shell runs in the background ignores ^C, but has to end all the same.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.raise_signal(signal.SIGINT)


def _exit_code() -> int:
    try:
        from khoci.cli import cli  # noqa: PLC0415  (so that ^C while importing is handled too)

        status = cli.main(prog_name="khoci", standalone_mode=False)
        sys.stdout.flush()
    except (SystemExit, BrokenPipeError) as error:
        return _closed(error)
    except (click.Abort, KeyboardInterrupt):
        _say("khoci: interrupted")
        return EXIT_INTERRUPTED
    except click.ClickException as error:
        help_is_meant = isinstance(error, click.exceptions.NoArgsIsHelpError)
        message = error.format_message()
        _say(message if help_is_meant else f"khoci: {' '.join(message.split())}")
        return EXIT_USAGE
    except Exception as error:
        if os.environ.get("KHOCI_DEBUG"):
            raise
        return _failed(error)
    return status if isinstance(status, int) else EXIT_OK


def _closed(error: BaseException) -> int:
    """The exit code when nobody reads what is printed; click then ends by itself, with 1."""
    if isinstance(error, SystemExit):
        return EXIT_CLOSED if error.code == 1 else EXIT_OK
    _to_nowhere(sys.stdout)
    return EXIT_CLOSED


def _failed(error: Exception) -> int:
    """Say what failed in one line; return the exit code."""
    if isinstance(error, KhociError):
        _say(error.report)
        return error.exit_code
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename else ""
        _say(f"khoci: {where}{error.strerror or error}")
    else:
        what = f"{type(error).__name__}: {error}"
        _say(f"khoci: internal error, KHOCI_DEBUG=1 shows more: {what}")
    return EXIT_HARNESS


def _say(text: str) -> None:
    try:
        click.echo(text, err=True)
    except OSError:  # the exit code is left to tell
        _to_nowhere(sys.stderr)


def _to_nowhere(stream: TextIO) -> None:
    """What is left in the stream is lost, instead of an error when Python ends."""
    with Path(os.devnull).open("wb") as nothing:
        os.dup2(nothing.fileno(), stream.fileno())


if __name__ == "__main__":
    main()
