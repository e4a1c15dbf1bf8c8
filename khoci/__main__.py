"""Entry point: runs the command and turns every error into one line and an exit code."""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType

import click

from khoci.errors import EXIT_HARNESS, EXIT_INTERRUPTED, EXIT_OK, EXIT_USAGE, KhociError


def main() -> None:
    """Run khoci and exit."""
    signal.signal(signal.SIGTERM, _as_interrupt)
    sys.exit(_exit_code())


def _as_interrupt(_number: int, _frame: FrameType | None) -> None:
    """Treat the signal as ^C: asyncio, where it runs, then ends its task and not any callback."""
    signal.raise_signal(signal.SIGINT)


def _exit_code() -> int:
    try:
        from khoci.cli import cli  # noqa: PLC0415  (so that ^C while importing is handled too)

        status = cli.main(standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        return EXIT_USAGE
    except click.ClickException as error:
        click.echo(f"khoci: {error.format_message()}", err=True)
        return EXIT_USAGE
    except (click.Abort, KeyboardInterrupt):
        click.echo("khoci: interrupted", err=True)
        return EXIT_INTERRUPTED
    except Exception as error:
        if os.environ.get("KHOCI_DEBUG"):
            raise
        return _failed(error)
    return status if isinstance(status, int) else EXIT_OK


def _failed(error: Exception) -> int:
    """Say what failed in one line; return the exit code."""
    if isinstance(error, KhociError):
        click.echo(error.report, err=True)
        return error.exit_code
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename else ""
        click.echo(f"khoci: {where}{error.strerror or error}", err=True)
    else:
        what = f"{type(error).__name__}: {error}"
        click.echo(f"khoci: internal error, KHOCI_DEBUG=1 shows more: {what}", err=True)
    return EXIT_HARNESS


if __name__ == "__main__":
    main()
