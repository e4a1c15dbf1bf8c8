"""``khoci abi``: what sources say of the handover, before anything boots."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path

import click

from khoci.abi import checked, text
from khoci.abi.compare import compare
from khoci.abi.findings import Finding, suppressed
from khoci.abi.lint import drifts
from khoci.abi.model import KernelAbi
from khoci.cli.abicheck import check_series, exit_code
from khoci.cli.agreement import agreement_command
from khoci.cli.completing import complete_kernels, complete_series
from khoci.cli.options import echo_json, json_option, with_stored
from khoci.config.abi import OWN
from khoci.config.kernels import Kernels, known_kernels
from khoci.config.suppressions import load_suppressions, reasons
from khoci.errors import EXIT_DISAGREE, EXIT_OK
from khoci.files import write_atomic
from khoci.kernel.abis import find_abi
from khoci.kernel.extract import abi_of_tree, texts_of, texts_of_tree
from khoci.progress import NoProgress, progress_for

suppressions_option = click.option(
    "--suppressions",
    type=click.Path(path_type=Path),
    help="what is let pass, each with a reason  [default: matrix/suppressions.toml, if there]",
)
markdown_option = click.option("--markdown", is_flag=True, help="for a comment or a page")
fresh_option = click.option(
    "--fresh", is_flag=True, help="read the sources, also of a kernel in matrix/abi"
)


@click.group(name="abi")
def abi_group() -> None:
    """Read from sources what a kernel hands over, and find the break that nobody declared.

    A KERNEL is a name of `khoci kernel list`; a TREE is a folder of sources, which is only read.

    Example: khoci abi diff 6.17 6.18
    """


def kernels() -> Kernels:
    """All kernels, those of series too."""
    return with_stored(known_kernels())


@abi_group.command("extract")
@click.argument("names", metavar="TREE|KERNEL...", nargs=-1, required=True)
@click.option("--save", is_flag=True, help="to matrix/abi/KERNEL.json, where diff and compat look")
@fresh_option
@json_option
def extract_command(names: tuple[str, ...], *, save: bool, fresh: bool, as_json: bool) -> None:
    """Say what the sources of each TREE or KERNEL define of the handover.

    Structs and constants are those of the compiler, for pages of 4, 16 and 64 KiB. Nothing is
    built, and a tree is not written to.

    Example: khoci abi extract 7.3
    """
    progress = progress_for()
    for name in names:
        found = find_abi(name, kernels, progress, fresh=fresh or save)
        if save:
            path = OWN / f"{found.name}.json"
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomic(path, found.to_json())
            click.echo(f"{found.name}: {path}")
        else:
            click.echo(found.to_json() if as_json else "\n".join(text.listed(found)))


@abi_group.command("diff")
@click.argument("old", metavar="OLD", shell_complete=complete_kernels)
@click.argument("new", metavar="NEW", shell_complete=complete_kernels)
@click.option("--all", "every", is_flag=True, help="each difference in full")
@suppressions_option
@fresh_option
@markdown_option
@json_option
@click.pass_context
def diff_command(
    context: click.Context,
    old: str,
    new: str,
    suppressions: Path | None,
    *,
    every: bool,
    fresh: bool,
    markdown: bool,
    as_json: bool,
) -> None:
    """Say what NEW makes of what OLD writes: a TREE, a KERNEL, or a file of `abi extract`.

    same, compatible (new, renamed), needless bump (only a version changed), declared break (its
    version changed too), or silent break: a layout, a constant or what a reader requires changed,
    and the version that governs it did not. What is only seen by a pattern over code is a hint.

    Example: khoci abi diff 6.17 6.18

    Exit codes: 0 no silent break, 1 a silent break that no suppression names.
    """
    let_pass = load_suppressions(suppressions)
    one, other = _both(old, new, fresh=fresh)
    found = suppressed(compare(one, other), reasons(let_pass, one.name, other.name))
    _tell(one, other, found, every=every, markdown=markdown, as_json=as_json)
    context.exit(exit_code(found))


def _both(old: str, new: str, *, fresh: bool) -> tuple[KernelAbi, KernelAbi]:
    """The ABI of both, read at the same time where both are folders."""
    if Path(old).is_dir() and Path(new).is_dir():
        with ThreadPoolExecutor(2) as pool:
            quiet = NoProgress()
            one, other = (
                pool.submit(find_abi, name, kernels, quiet, fresh=fresh) for name in (old, new)
            )
            return one.result(), other.result()
    progress = progress_for()
    return (
        find_abi(old, kernels, progress, fresh=fresh),
        find_abi(new, kernels, progress, fresh=fresh),
    )


def _tell(
    old: KernelAbi,
    new: KernelAbi,
    findings: tuple[Finding, ...],
    *,
    every: bool,
    markdown: bool,
    as_json: bool,
) -> None:
    if as_json:
        echo_json(text.plain(old, new, findings))
    elif markdown:
        click.echo("\n".join(text.in_markdown(old, new, findings)))
    else:
        click.echo("\n".join(text.described(old, new, findings, every=every)))


@abi_group.command("check")
@click.option(
    "--series",
    "name",
    metavar="SLUG[:vN]|MSGID|PATH",
    required=True,
    shell_complete=complete_series,
    help="one that is applied, or what `khoci apply-series` takes",
)
@click.option("--onto", metavar="KERNEL", help="the base of a series that is not applied")
@suppressions_option
@click.option("--b4", is_flag=True, help="an entry as `b4 review` reads it")
@markdown_option
@json_option
@click.pass_context
def check_command(
    context: click.Context,
    name: str,
    onto: str | None,
    suppressions: Path | None,
    *,
    b4: bool,
    markdown: bool,
    as_json: bool,
) -> None:
    """Say what each patch of a series changes in the ABI, in seconds, without a build.

    The compiler runs in the sandbox, and no makefile of the series does. A series that is not
    applied is put on the newest release that takes it.

    Example: khoci abi check --series tests/series/threads/leaf-silent.mbox

    Exit codes: 0 no silent break, 1 the series as a whole breaks something silently.
    """
    found = check_series(name, onto, suppressions)
    if b4:
        echo_json([checked.for_b4(found)])
    elif as_json:
        echo_json(checked.plain(found))
    else:
        form = checked.in_markdown if markdown else checked.described
        click.echo("\n".join(form(found)))
    context.exit(exit_code(found.whole.findings))


@abi_group.command("lint")
@click.argument("name", metavar="TREE|KERNEL", shell_complete=complete_kernels)
@json_option
@click.pass_context
def lint_command(context: click.Context, name: str, *, as_json: bool) -> None:
    """Name the comments and documents that say another version than the code has.

    Example: khoci abi lint 7.3

    Exit codes: 0 there is none, 1 there is one.
    """
    progress = progress_for()
    tree = Path(name)
    if tree.is_dir():
        files, abi = texts_of_tree(tree), abi_of_tree(tree, progress)
    else:
        spec = kernels().select(name)
        files, abi = texts_of(spec, progress), find_abi(spec.name, kernels, progress)
    found = drifts(files, abi)
    if as_json:
        echo_json({"schema": text.SCHEMA, "kernel": abi.name, "drifts": [asdict(d) for d in found]})
    else:
        for drift in found:
            click.echo(drift)
        click.echo(f"{abi.name}: {len(found) or 'no'} place(s) that name another version")
    context.exit(EXIT_DISAGREE if found else EXIT_OK)


abi_group.add_command(agreement_command)
