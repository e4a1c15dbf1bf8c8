"""``khoci apply-series``: from a list thread to kernels of the matrix."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from khoci.cli.folding import echo_lines
from khoci.cli.options import echo_json, json_option
from khoci.config.kernels import known_kernels
from khoci.errors import EXIT_DISAGREE, EXIT_OK
from khoci.kernel.cache import Cache
from khoci.paths import cache_dir
from khoci.progress import progress_for
from khoci.series import commits, words
from khoci.series.applied import Application, to_json
from khoci.series.b4 import NotFoundError, configured
from khoci.series.base import Base, Kernel, onto_all
from khoci.series.fetch import Wanted, fetch
from khoci.series.kernels import name_of
from khoci.series.model import Outcome
from khoci.series.onbase import record
from khoci.series.onto import ALL, kernels_with_refs, put_on
from khoci.series.plumbing import Repository, open_repository
from khoci.series.store import Stored, save
from khoci.series.trees import working_tree

_GOOD = (Outcome.APPLIED, Outcome.ALREADY_IN)
SCHEMA = 1

tree_option = click.option(
    "--tree",
    type=click.Path(path_type=Path),
    help="the linux.git to work in, instead of the one that is set up",
)


def repository(tree: Path | None) -> Repository:
    """The linux.git that the user names, has set up, or had made."""
    return open_repository(tree) if tree else working_tree(Cache(cache_dir()).linux)


@click.command(name="apply-series")
@click.argument("series", metavar="MSGID|URL|PATH|BASE..HEAD|-")
@click.option("--revision", type=click.IntRange(min=1), metavar="N", help="not the newest")
@click.option("--mbox", type=click.Path(path_type=Path), help="look the message-id up in here")
@click.option("--onto", metavar="KERNEL|REF|all", help="the base; 'all' only says where it fits")
@click.option("--slug", help="what to call it; by default made of its subject")
@tree_option
@click.option("--offline", is_flag=True, help="no network: no archive, no DNS for signatures")
@click.option("-c", "config", multiple=True, metavar="NAME=VALUE", help="b4's configuration")
@json_option
@click.pass_context
def apply_command(
    context: click.Context,
    series: str,
    revision: int | None,
    mbox: Path | None,
    onto: str | None,
    slug: str | None,
    tree: Path | None,
    offline: bool,
    config: tuple[str, ...],
    as_json: bool,
) -> None:
    """Fetch a patch series with b4, apply it, and make kernels of it.

    It goes onto its base-commit if the linux.git has that, else onto the newest kernel that it
    fits, on a branch khoci/SLUG/vN. Nothing else there is touched. BASE..HEAD are commits of the
    linux.git, which go onto BASE.

    Example: khoci apply-series 20250811082510.4154080-1-rppt@kernel.org

    Exit codes: 0 applied or already in, 1 it does not apply, is not complete or has no base, 2 not
    found or refused, 3 the host failed.
    """
    cache, progress = Cache(cache_dir()), progress_for()
    where = repository(tree)
    wanted = Wanted(
        name=series,
        revision=revision,
        mbox=mbox,
        offline=offline,
        config=(*configured(where.git), *config),
        store=cache.series,
    )
    try:
        fetched = fetch(wanted, cache.b4, where.git, progress)
    except NotFoundError as error:
        if as_json:
            found = {"schema": SCHEMA, "outcome": Outcome.NOT_FOUND, "why": str(error)}
            echo_json(found)
        raise
    stored = save(cache.series, fetched, slug)
    if onto is None and commits.is_range(series):
        onto = commits.in_tree(series, where.git).base
    if onto == ALL:
        known = kernels_with_refs(known_kernels())
        rows = onto_all(stored.series, known, where, cache.trees, progress)
        _tell_all(stored, rows, as_json=as_json)
        context.exit(_code(*(done for _, done in rows)))
    base, done = put_on(stored.series, onto, known_kernels(), where, cache, progress)
    if done.outcome is Outcome.APPLIED:
        record(stored.folder, where, base, done)
    tell(stored, base, done, as_json=as_json, tree=tree)
    context.exit(_code(done))


def tell(
    stored: Stored, base: Base, done: Application, *, as_json: bool, tree: Path | None = None
) -> None:
    """Print what came of a series on a base, and what to do next in the tree that is not usual."""
    series = stored.series
    name = name_of(series.slug, series.revision)
    if as_json:
        echo_json(_as_json(stored, base, done))
        return
    echo_lines((*words.heading(series), *words.result(base, done)))
    if done.outcome is Outcome.APPLIED:
        click.echo(f"branch {done.branch}, kernel {name}")
        click.echo(f"next: khoci matrix run --series {series.slug}")
    elif done.outcome is Outcome.CONFLICT:
        onto = base.kernel or done.base[:12]
        there = f" --tree {shlex.quote(str(tree))}" if tree else ""
        click.echo(f"to go on by hand: khoci series resume {stored.label} --onto {onto}{there}")
    elif done.outcome is Outcome.BASE_UNKNOWN:
        click.echo("name a base: --onto KERNEL|REF; --onto all says where it fits")


def _tell_all(stored: Stored, rows: list[tuple[Kernel, Application]], *, as_json: bool) -> None:
    if as_json:
        outcomes = [_row(kernel, done) for kernel, done in rows]
        data = {"schema": SCHEMA, "series": stored.describe(), "outcomes": outcomes}
        echo_json(data)
        return
    echo_lines((*words.heading(stored.series), *words.by_kernel(rows)))


def _row(kernel: Kernel, done: Application) -> dict[str, object]:
    base = Base(done.base or None, kernel.name, "as --onto says")
    return {**to_json(done, kernel.name), "base": _base(base)}


def _as_json(stored: Stored, base: Base, done: Application) -> dict[str, object]:
    series = stored.series
    applied = done.outcome is Outcome.APPLIED
    return {
        **to_json(done),
        "schema": SCHEMA,
        "series": stored.describe(),
        "kernel": name_of(series.slug, series.revision) if applied else None,
        "base": _base(base),
    }


def _base(base: Base) -> dict[str, object]:
    return {
        "commit": base.commit,
        "kernel": base.kernel or None,
        "why": base.why,
        "tried": [
            {"kernel": t.kernel, "outcome": t.outcome, "applied": t.applied, "of": t.of}
            for t in base.tried
        ],
    }


def _code(*outcomes: Application) -> int:
    good = any(done.outcome in _GOOD for done in outcomes)
    return EXIT_OK if good else EXIT_DISAGREE
