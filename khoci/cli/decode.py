"""``khoci decode`` and ``khoci diff-decode``: what is in a handover, and what others make of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import click

from khoci.cli.where import where_options, write
from khoci.config.abi import default_folder, load_releases
from khoci.config.toml import did_you_mean
from khoci.decode import check, consumer, dot, live, plain, text
from khoci.decode.found import Found, find
from khoci.decode.words import printable
from khoci.errors import EXIT_DISAGREE, EXIT_OK, UsageError
from khoci.source.opener import open_source

_DECODE_EXAMPLES = """\b
Examples:
  khoci decode vmcore --check
  khoci decode guest.ram --ram 0-2G,4G-6G --format json
  khoci decode producer.khocap --component memfd --blocks
  khoci decode producer.khocap --as 6.17
  khoci decode --live
"""
_DIFF_EXAMPLE = """\b
Example:
  khoci diff-decode producer.khocap 6.18 6.17
"""


@dataclass(frozen=True)
class _Where:
    """What the user says of where a handover is."""

    file: Path | None
    side: str | None
    ram: str | None
    root: int | None
    scratch: bytes | None


@click.command(name="decode", epilog=_DECODE_EXAMPLES)
@click.argument("file", required=False, type=click.Path(path_type=Path))
@click.option(
    "--live",
    "side",
    is_flag=False,
    flag_value="out",
    type=click.Choice(("out", "in")),
    help="this machine (as root): what it will hand over, or with =in what it was given",
)
@click.option("--component", "only", multiple=True, metavar="NAME", help="only these, such as luo")
@click.option(
    "--format",
    "form",
    type=click.Choice(("text", "json", "dot")),
    default="text",
    show_default=True,
)
@click.option("--blocks", "with_blocks", is_flag=True, help="list all blocks with their owners")
@click.option("--check", "checked", is_flag=True, help="check the invariants; exit 1 if one fails")
@click.option("--as", "release", metavar="KERNEL", help="as this release reads it, bug for bug")
@click.option("--schema", is_flag=True, help="print the JSON schema of all output")
@where_options
@click.pass_context
def decode_command(
    context: click.Context,
    file: Path | None,
    side: str | None,
    only: tuple[str, ...],
    form: str,
    with_blocks: bool,
    checked: bool,
    release: str | None,
    schema: bool,
    ram: str | None,
    root: int | None,
    scratch: bytes | None,
    output: Path | None,
) -> None:
    """Show the handover in FILE: a capture, an ELF dump, or raw RAM.

    A block is memory that the next kernel has to keep. Exit codes: 0 decoded, problems or not; 1
    a check failed (with --check); 2 wrong use, or no handover is there.
    """
    if schema:
        write(plain.dumps(plain.schema()), output)
        return
    if release and (form == "dot" or only or with_blocks or checked):
        raise UsageError("--as goes with --format text or json only: it shows what is reserved")
    with _found(_Where(file, side, ram, root, scratch)) as found:
        if release:
            write(_as(found, release, form), output, file)
            return
        _known(found, only)
        results = check.checks(found.handover) if checked else ()
        write(_shown(found, only, form, results, with_blocks=with_blocks), output, file)
        context.exit(EXIT_DISAGREE if check.failed(results) else EXIT_OK)


@click.command(name="diff-decode", epilog=_DIFF_EXAMPLE)
@click.argument("file", type=click.Path(path_type=Path))
@click.argument("first", metavar="A")
@click.argument("second", metavar="B")
@click.option(
    "--format", "form", type=click.Choice(("text", "json")), default="text", show_default=True
)
@where_options
@click.pass_context
def diff_decode_command(
    context: click.Context,
    file: Path,
    first: str,
    second: str,
    form: str,
    ram: str | None,
    root: int | None,
    scratch: bytes | None,
    output: Path | None,
) -> None:
    """Show the memory that kernel A reserves and kernel B does not, and the other way round.

    Both read the handover in FILE, bug for bug; kernels are releases of matrix/abi.

    Exit codes: 0 the same memory, 1 not the same, 2 wrong use.
    """
    releases = load_releases(default_folder())
    with _found(_Where(file, None, ram, root, scratch)) as found:
        before = consumer.read(found, releases.select(first))
        after = consumer.read(found, releases.select(second))
        change = consumer.change(found, before, after)
        if form == "json":
            write(plain.dumps(consumer.plain_change(change)), output, file)
        else:
            write(_joined(consumer.change_lines(change)), output, file)
        context.exit(EXIT_DISAGREE if change.lost or change.gained else EXIT_OK)


def _known(found: Found, only: tuple[str, ...]) -> None:
    known = text.names(found.handover)
    for name in only:
        if name not in known:
            raise UsageError(
                f"no component is called {name!r}{did_you_mean(name, known)}: "
                f"there is {printable(', '.join(known))}"
            )


def _as(found: Found, release: str, form: str) -> str:
    reader = consumer.read(found, load_releases(default_folder()).select(release))
    if form == "json":
        return plain.dumps(consumer.plain_reading(found, reader))
    return _joined(consumer.lines(found, reader))


def _joined(lines: list[str]) -> str:
    return "\n".join([*lines, ""])


def _shown(
    found: Found,
    only: tuple[str, ...],
    form: str,
    results: tuple[check.Check, ...],
    *,
    with_blocks: bool,
) -> str:
    """The handover in the form that is asked for, with the checks if there were any."""
    if form == "json":
        return plain.dumps(plain.plain(found, only, with_blocks=with_blocks))
    if form == "dot":
        return dot.render(found, only)
    tree = text.render(found, only, with_blocks=with_blocks)
    if results:
        return tree + _joined(check.lines(results))
    return tree + text.problems(found.handover)


@contextmanager
def _found(where: _Where) -> Iterator[Found]:
    """The decoded handover; its memory can be read while the context lasts."""
    if (where.file is None) is (where.side is None):
        raise UsageError("name a FILE, or say --live: one of the two")
    if where.side and (where.ram or where.scratch):
        raise UsageError("--ram and --scratch go with a FILE: a machine says them itself")
    if where.file is not None:
        with open_source(where.file, layout=where.ram) as source:
            yield find(source, where.root, where.scratch)
    elif where.side == "in":
        yield live.incoming()
    else:
        with live.outgoing(where.root) as found:
            yield found
