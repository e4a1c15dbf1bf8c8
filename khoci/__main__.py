"""Entry point: runs the command and turns every error into one line and an exit code."""

from __future__ import annotations

import signal
import sys

import click

from khoci.errors import EXIT_INTERRUPTED, EXIT_USAGE, KhociError


def main() -> None:
    """Run khoci and exit."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.exit(_exit_code())


def _exit_code() -> int:
    from khoci.cli import cli  # noqa: PLC0415  (so that ^C while importing is handled too)

    try:
        status = cli.main(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return EXIT_USAGE
    except KhociError as error:
        click.echo(f"khoci: {error}", err=True)
        if error.detail:
            click.echo(error.detail, err=True)
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("khoci: interrupted", err=True)
        return EXIT_INTERRUPTED
    return status if isinstance(status, int) else 0


if __name__ == "__main__":
    main()
