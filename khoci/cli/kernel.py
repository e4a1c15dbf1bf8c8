"""``khoci kernel``: list, build, configure and delete kernels."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

from khoci.cli.completing import complete_kernels, complete_matrices
from khoci.cli.options import (
    echo_json,
    json_option,
    kernels_of_matrix,
    named_matrix,
    no_sandbox_option,
    store_option,
    with_stored,
)
from khoci.config.kernels import (
    DebianImageSource,
    DebianSource,
    known_kernels,
    load_kernels,
)
from khoci.errors import HarnessError, UsageError
from khoci.kernel import store as stored
from khoci.kernel.build import How
from khoci.kernel.cache import CELL, STALE_TREE, Cache, remove
from khoci.kernel.configure import request_of
from khoci.kernel.definitions import changes_by_patches
from khoci.kernel.fragments import applicable, render
from khoci.kernel.made import made_config
from khoci.kernel.mirror import deb_name
from khoci.kernel.source import describe
from khoci.paths import cache_dir
from khoci.progress import progress_for
from khoci.series.hunks import shown

if TYPE_CHECKING:
    from collections.abc import Iterable

    from khoci.config.kernels import Kernels, KernelSpec
    from khoci.kernel.cache import Entry
    from khoci.kernel.shared import Shared

_DAY_SECONDS = 86400
_SCHEMA = 1
_DEFINED = "khoci.kernel.defined"


@click.group(short_help="Sources, configuration, build and cache of kernels.")
@click.option(
    "--file",
    type=click.Path(path_type=Path),
    help="Definitions of kernels. [default: those installed, and matrix/kernels.toml here]",
)
@click.option(
    "--matrix", shell_complete=complete_matrices, help="Kernels as this matrix has them built."
)
@click.pass_context
def kernel(context: click.Context, file: Path | None, matrix: str | None) -> None:
    """Get kernels from sources, and look after those that are built.

    Example: khoci kernel list
    """
    if file and matrix:
        raise UsageError("--file has kernels of its own, --matrix those of a matrix: give one")
    if matrix:
        defined = kernels_of_matrix(named_matrix(matrix))
    else:
        defined = load_kernels(file) if file else known_kernels()
    context.meta[_DEFINED] = defined.names
    context.obj = defined if file else with_stored(defined)


@kernel.command("list")
@json_option
@click.pass_obj
def list_kernels(kernels: Kernels, *, as_json: bool) -> None:
    """Name all kernels: whether they are built, and where they come from.

    Example: khoci kernel list
    """
    if as_json:
        found = [_plain(kernels.select(name)) for name in kernels.names]
        echo_json({"schema": _SCHEMA, "kernels": found})
        return
    width = max(len(name) for name in kernels.names)
    for name in kernels.names:
        state, source = _state(kernels.select(name))
        click.echo(f"{name:<{width}}  {state:<9}  {source}")


@kernel.command("build")
@click.argument("names", nargs=-1, shell_complete=complete_kernels)
@click.option("--all", "everything", is_flag=True, help="All that a file defines.")
@click.option(
    "-j",
    "--jobs",
    type=click.IntRange(min=1),
    help="Jobs of make. [default: cores, when no other khoci builds with them]",
)
@store_option
@no_sandbox_option
@json_option
@click.pass_context
def build_kernels(
    context: click.Context,
    names: tuple[str, ...],
    *,
    everything: bool,
    jobs: int | None,
    store: Shared | None,
    no_sandbox: bool,
    as_json: bool,
) -> None:
    """Build kernels that are not built yet, and print where each image is.

    With --store they are taken from there, or put there when they are built. What patches change
    in the definitions of the handover is kept too: predictions then need no sources.

    Example: khoci kernel build 6.17 7.3
    """
    kernels: Kernels = context.obj
    if not names and not everything:
        raise UsageError(f"name a kernel, or --all: there are {', '.join(kernels.names)}")
    kernels = kernels.trusted() if no_sandbox else kernels
    wanted: Iterable[str] = context.meta[_DEFINED] if everything else names
    specs = [kernels.select(name) for name in wanted]
    progress = progress_for()
    found = []
    for spec in specs:
        artifact = stored.obtain(spec, progress, how=How(jobs=jobs), shared=store)
        found.append(
            {"name": artifact.name, "release": artifact.release, "image": str(artifact.image)}
        )
        if not as_json:
            click.echo(f"{artifact.name}  {artifact.release}  {artifact.image}")
        if spec.patches:
            with suppress(HarnessError):  # the sources of one that came from a store
                changes_by_patches(spec, progress)
    if as_json:
        echo_json({"schema": _SCHEMA, "kernels": found})


@kernel.command("config")
@click.argument("name", shell_complete=complete_kernels)
@click.option("--fragment", is_flag=True, help="Only what is asked for, as a kconfig fragment.")
@no_sandbox_option
@click.pass_obj
def show_config(kernels: Kernels, name: str, *, fragment: bool, no_sandbox: bool) -> None:
    """Print the configuration a kernel is built with.

    Example: khoci kernel config 7.3 --fragment
    """
    spec = (kernels.trusted() if no_sandbox else kernels).select(name)
    if fragment:
        request = request_of(spec)
        release = spec.version[:2]
        asked = request.asked
        if len(release) == 2:
            asked = applicable(asked, request.spans, (release[0], release[1]))
        click.echo(render(asked), nl=False)
        return
    if stored.is_cached(spec):
        config = stored.obtain(spec).config_text()
        if config is None:
            raise UsageError(f"{spec.name}: nobody knows the config of this image")
        click.echo(_printable(config), nl=False)
        return
    with stored.configured(spec, progress_for()) as make:
        click.echo(_printable(made_config(spec.name, make.tree)), nl=False)


@kernel.command("shell")
@click.argument("name", shell_complete=complete_kernels)
@click.argument("command", nargs=-1)
@no_sandbox_option
@click.pass_context
def shell(context: click.Context, name: str, command: tuple[str, ...], *, no_sandbox: bool) -> None:
    """Run a shell (or COMMAND) in a kernel's configured source tree; the tree is removed after.

    For a kernel of strangers it runs in the sandbox that make runs in, where of the tree only the
    objects can be written.

    Example: khoci kernel shell 7.3 make kernelrelease
    """
    kernels: Kernels = context.obj
    spec = (kernels.trusted() if no_sandbox else kernels).select(name)
    with stored.configured(spec, progress_for()) as make:
        click.echo(f"build with: {' '.join(make.command())}", err=True)
        code = make.call(command or (os.environ.get("SHELL", "/bin/sh"),))
    context.exit(code)


@kernel.command("gc")
@click.option("--older-than", type=click.IntRange(min=0), metavar="DAYS", help="Not used since.")
@click.option("--keep", multiple=True, metavar="NAME", help="All but these kernels.")
@click.option("--all", "everything", is_flag=True, help="All of it.")
@click.pass_obj
def collect_garbage(
    kernels: Kernels, older_than: int | None, keep: tuple[str, ...], *, everything: bool
) -> None:
    """Show what the cache holds, and delete a part of it.

    Without an option nothing is deleted. Trees that a killed build left behind go with any.
    Cells are results that need not run again, with their evidence.
    A kept tree has the objects that patched kernels of one source and config share; it can be
    made anew at any time.

    Example: khoci kernel gc --older-than 30 --keep 7.3
    """
    entries = Cache(cache_dir()).entries()
    if not (everything or keep or older_than is not None):
        _show(entries)
        return
    names = _kept_names(kernels, keep)
    before = time.time() - (older_than or 0) * _DAY_SECONDS
    doomed = [
        entry
        for entry in entries
        if entry.kind == STALE_TREE or (entry.name not in names and entry.used <= before)
    ]
    for entry in doomed:
        remove(entry)
    click.echo(f"{len(doomed)} deleted, {_megabytes(doomed)} MB freed in {cache_dir()}")


def _printable(config: str) -> str:
    return "\n".join(map(shown, config.split("\n")))


def _plain(spec: KernelSpec) -> dict[str, str]:
    state, source = _state(spec)
    return {"kernel": spec.name, "state": state, "source": source}


def _state(spec: KernelSpec) -> tuple[str, str]:
    try:
        return stored.state(spec), stored.origin(spec)
    except HarnessError as error:
        return "no source", str(error)


def _show(entries: Iterable[Entry]) -> None:
    entries = list(entries)
    cells = [entry for entry in entries if entry.kind == CELL]
    for entry in (entry for entry in entries if entry.kind != CELL):
        days = max(0, time.time() - entry.used) / _DAY_SECONDS
        size = _megabytes([entry])
        click.echo(f"{size:>6} MB  {days:>4.0f} days  {entry.kind:<12}  {entry.name}")
    if cells:
        days = max(0, time.time() - max(entry.used for entry in cells)) / _DAY_SECONDS
        count = sum(entry.path.suffix == ".json" for entry in cells)
        click.echo(f"{_megabytes(cells):>6} MB  {days:>4.0f} days  {'cells':<12}  {count} results")
    click.echo(f"{_megabytes(entries):>6} MB in {cache_dir()}")


def _megabytes(entries: Iterable[Entry]) -> int:
    return round(sum(entry.size for entry in entries) / 1e6)


def _kept_names(kernels: Kernels, keep: Iterable[str]) -> set[str]:
    """Names of the cache's entries that belong to the kernels to keep."""
    names = set()
    for spec in map(kernels.select, keep):
        names.add(spec.name)
        for source in spec.sources:
            names.add(describe(source))
            if isinstance(source, DebianSource):
                names.add(deb_name(source.package))
            elif isinstance(source, DebianImageSource):
                names.update(deb_name(package) for package in source.packages)
    return names
