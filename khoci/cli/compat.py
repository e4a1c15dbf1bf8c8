"""``khoci compat`` and ``khoci manifest``: what will be understood, before the jump."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import click

from khoci.abi.formats import Manifest, Read, Reading, all_understood, layouts_known, read_by
from khoci.cli.abi import fresh_option, kernels
from khoci.cli.completing import complete_kernels
from khoci.cli.options import echo_json, json_option
from khoci.errors import EXIT_DISAGREE, EXIT_OK, UsageError
from khoci.kernel.manifests import manifest, running
from khoci.progress import progress_for
from khoci.series.hunks import shown

_WIDTHS = (15, 15, 24, 16)
SCHEMA = 1


@click.command(name="compat")
@click.argument("names", metavar="A B", nargs=-1, shell_complete=complete_kernels)
@click.option("--running", "here", is_flag=True, help="this machine instead of A; as root")
@click.option("--one-way", is_flag=True, help="only A -> B, and not the way back")
@fresh_option
@json_option
@click.pass_context
def compat_command(
    context: click.Context,
    names: tuple[str, ...],
    *,
    here: bool,
    one_way: bool,
    fresh: bool,
    as_json: bool,
) -> None:
    """Say whether B understands all that A hands over, and A what B does; nothing boots.

    A and B are kernels, trees, images (bzImage, vmlinux), or files of `khoci abi extract`. Of an
    image the version strings count, its BTF, and what it announces in .liveupdate_versions or
    .liveupdate_features; layouts are those of the release that it says to be, if its versions are.

    Example: khoci compat 7.2 7.3

    Exit codes: 0 all that is written is understood, 1 it is not.
    """
    ends = _ends(names, here=here, fresh=fresh)
    ways = [ends] if one_way else [ends, (ends[1], ends[0])]
    found = [(one, other, read_by(one, other)) for one, other in ways]
    if as_json:
        echo_json([_plain(*way) for way in found])
    else:
        click.echo("\n\n".join("\n".join(_described(*way)) for way in found))
    good = all(all_understood(reads) and one.formats for one, _, reads in found)
    context.exit(EXIT_OK if good else EXIT_DISAGREE)


@click.command(name="manifest")
@click.argument(
    "name", metavar="KERNEL|TREE|IMAGE", required=False, shell_complete=complete_kernels
)
@click.option("--running", "here", is_flag=True, help="this machine; as root")
@fresh_option
@json_option
def manifest_command(name: str | None, *, here: bool, fresh: bool, as_json: bool) -> None:
    """Say which formats a kernel writes and reads, component by component.

    Example: khoci manifest 7.3
    """
    if (name is None) is not here:
        raise UsageError("name a KERNEL, TREE or IMAGE, or say --running")
    found = running() if name is None else manifest(name, kernels, progress_for(), fresh=fresh)
    if as_json:
        echo_json(_plain_manifest(found))
        return
    click.echo(f"{shown(found.name)}  ({found.how})")
    click.echo(_row("component", "writes", "reads"))
    for of, each in found.formats.items():
        bits = each.features
        features = f"  features {bits.active:#x} of {bits.supported:#x}" if bits else ""
        reads = " ".join(each.reads) or "-"
        click.echo(_row(of, each.writes or "-", f"{reads}{features}"))
    for note in found.notes:
        click.echo(f"note: {shown(note)}")


def _ends(names: tuple[str, ...], *, here: bool, fresh: bool) -> tuple[Manifest, Manifest]:
    progress = progress_for()
    if len(names) != (1 if here else 2):
        raise UsageError("name two kernels, A and B; or one, with --running")
    found = [manifest(name, kernels, progress, fresh=fresh) for name in names]
    one, other = [running(), *found] if here else found
    return one, other


def _described(producer: Manifest, consumer: Manifest, reads: tuple[Read, ...]) -> list[str]:
    good = all_understood(reads) and producer.formats
    verdict = "all is understood" if good else _summary(reads)
    lines = [f"{shown(producer.name)} -> {shown(consumer.name)}: {verdict}"]
    lines.append(_row("component", "writes", "reads", "verdict"))
    for read in reads:
        reading = "" if read.reading is Reading.UNDERSTOOD else f"  {read.why}"
        row = _row(read.component, read.writes or "-", " ".join(read.reads) or "-", read.reading)
        lines.append(f"{row}{reading}".rstrip())
    notes = dict.fromkeys((*producer.notes, *consumer.notes))
    lines += [f"note: {shown(note)}" for note in notes]
    if not layouts_known(producer, consumer) and not producer.layouts:
        lines.append("note: only versions were compared: two layouts under one were not told apart")
    return lines


def _summary(reads: tuple[Read, ...]) -> str:
    if not reads:
        return "nothing is handed over"
    counted = {reading: sum(read.reading is reading for read in reads) for reading in Reading}
    words = [f"{count} {reading}" for reading, count in counted.items() if count]
    return ", ".join(words)


def _row(*words: str) -> str:
    cells = (f"{word:<{width}}" for word, width in zip(words, _WIDTHS, strict=False))
    return " ".join(cells).rstrip()


def _plain(producer: Manifest, consumer: Manifest, reads: tuple[Read, ...]) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "producer": producer.name,
        "consumer": consumer.name,
        "understood": bool(all_understood(reads) and producer.formats),
        "layouts_compared": layouts_known(producer, consumer),
        "components": [asdict(read) for read in reads],
        "notes": list(dict.fromkeys((*producer.notes, *consumer.notes))),
    }


def _plain_manifest(found: Manifest) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "name": found.name,
        "how": found.how,
        "formats": {of: asdict(each) for of, each in found.formats.items()},
        "notes": list(found.notes),
    }
