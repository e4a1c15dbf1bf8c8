"""Options that say where in a file a handover is, and where the answer goes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import click

from khoci.errors import UsageError
from khoci.files import write_output
from khoci.source.raw import EXAMPLE

_Command = TypeVar("_Command", bound=Callable[..., object])


def where_options(command: _Command) -> _Command:
    """What says where in a file the handover is, and where the answer goes."""
    options = (
        click.option(
            "--ram",
            metavar="LAYOUT",
            help=f"where the bytes of raw RAM belong: {EXAMPLE}; by default from 0 on",
        ),
        click.option(
            "--root",
            metavar="ADDRESS",
            callback=_address,
            help="physical address of the root FDT; by default it is searched",
        ),
        click.option(
            "--scratch",
            metavar="HEX",
            callback=_array,
            help="the bytes of the producer's scratch array, if the file does not have it",
        ),
        click.option(
            "-o",
            "--output",
            type=click.Path(path_type=Path, dir_okay=False),
            help="write to this file instead",
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


def _address(_context: click.Context, _option: click.Parameter, value: str | None) -> int | None:
    try:
        return None if value is None else int(value, 0)
    except ValueError:
        raise UsageError(f"--root: {value!r} is no address, write it like 0x1f000") from None


def _array(_context: click.Context, _option: click.Parameter, value: str | None) -> bytes | None:
    try:
        return None if value is None else bytes.fromhex(value)
    except ValueError:
        raise UsageError(
            f"--scratch: {value!r} is not made of hex digits, two a byte, as the array is in memory"
        ) from None


def write(content: str, output: Path | None, origin: Path | None = None) -> None:
    """Write to ``output``, or print; never over ``origin``, which was read.

    Raises:
        UsageError: it is the same file, or cannot be written.
    """
    if output is None:
        click.echo(content, nl=False)
    elif origin is not None and output.exists() and origin.exists() and output.samefile(origin):
        raise UsageError(f"{output}: is what was read; name another file")
    else:
        write_output(output, content)
