"""``khoci series``: the series that were fetched."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import click

from khoci.cli.apply import repository, tell, tree_option
from khoci.cli.completing import complete_series
from khoci.cli.folding import echo_lines
from khoci.cli.options import echo_json, json_option, no_sandbox_option
from khoci.config.kernels import known_kernels
from khoci.errors import EXIT_DISAGREE, UsageError
from khoci.kernel import store as kernel_store
from khoci.kernel.cache import Cache
from khoci.paths import cache_dir
from khoci.progress import progress_for
from khoci.series import byhand, onbase, words
from khoci.series.base import Base
from khoci.series.hunks import shown
from khoci.series.known import as_kernels
from khoci.series.model import Outcome
from khoci.series.onto import put_on, with_origin
from khoci.series.plumbing import open_repository
from khoci.series.publish import unpublish
from khoci.series.store import Stored, all_stored, find, remove


@click.group(name="series")
def series_group() -> None:
    """Look after the series that were fetched. NAME is a slug, slug:vN or a message-id.

    Example: khoci series show kho-fixes:v2
    """


def _stored(name: str) -> Stored:
    return find(Cache(cache_dir()).series, name)


@series_group.command("list")
@json_option
def list_command(*, as_json: bool) -> None:
    """Name all series with the base that each is on.

    Example: khoci series list
    """
    found = all_stored(Cache(cache_dir()).series)
    if as_json:
        data = {"schema": 1, "series": [each.describe() for each in found]}
        echo_json(data)
        return
    echo_lines(f"{e.label}  {_state(e)}  {words.title(e.series.subject)}" for e in found)


def _state(stored: Stored) -> str:
    with suppress(UsageError):
        on = onbase.load(stored.folder)
        return f"on {on.kernel or on.commit[:12]}"
    return "by hand" if byhand.base_of(stored.folder) else "on no base"


@series_group.command("show")
@click.argument("name", shell_complete=complete_series)
@json_option
def show_command(name: str, *, as_json: bool) -> None:
    """Say what a series is, what it is on, and where its files are.

    Example: khoci series show kho-fixes:v2
    """
    stored = _stored(name)
    if as_json:
        echo_json(stored.describe())
        return
    echo_lines((*words.heading(stored.series), *words.contents(stored.series)))
    echo_lines([f"from {shown(stored.series.origin)}, kept in {stored.folder}"])
    with suppress(UsageError):
        on = onbase.load(stored.folder)
        where = f"branch {on.branch} of {on.tree}"
        echo_lines([f"on {on.kernel or on.commit} ({on.why}), {where}"])


@series_group.command("rebuild")
@click.argument("name", shell_complete=complete_series)
@click.option("--onto", metavar="KERNEL|REF", help="another base")
@tree_option
@no_sandbox_option
@click.pass_context
def rebuild_command(
    context: click.Context, name: str, *, onto: str | None, tree: Path | None, no_sandbox: bool
) -> None:
    """Apply a stored series once more, and build its kernel.

    Example: khoci series rebuild kho-fixes:v2 --onto 6.18
    """
    stored, cache, progress = _stored(name), Cache(cache_dir()), progress_for()
    where = repository(tree)
    known = known_kernels()
    base, done = put_on(stored.series, onto, known, where, cache, progress)
    if done.outcome is not Outcome.APPLIED:
        tell(stored, base, done, as_json=False)
        context.exit(EXIT_DISAGREE)
    onbase.record(stored.folder, where, base, done)
    tell(stored, base, done, as_json=False)
    spec = as_kernels(stored, known).whole
    artifact = kernel_store.obtain(replace(spec, untrusted=not no_sandbox), progress)
    click.echo(f"{artifact.name}  {artifact.release}  {artifact.image}")


@series_group.command("resume")
@click.argument("name", shell_complete=complete_series)
@click.option("--onto", metavar="KERNEL|REF", help="the base to begin on")
@click.option("--again", is_flag=True, help="throw away what was begun, and begin anew")
@tree_option
def resume_command(name: str, *, onto: str | None, again: bool, tree: Path | None) -> None:
    """Go on by hand with a series that does not apply.

    The first call makes a repository that stands at the patch that stopped: mend its files there,
    `git add -f` them and `git am --continue`. The second call takes what was made, into the tree
    that the first one was for.

    Example: khoci series resume kho-fixes --onto 6.18
    """
    stored, cache, progress = _stored(name), Cache(cache_dir()), progress_for()
    begun = None if again else byhand.begun(stored.folder)
    where = begun.repository if begun else repository(tree)
    if begun and tree and repository(tree) != where:
        raise UsageError(f"{stored.label}: was begun for {where.folder}: --again begins anew")
    if begun and not onto:
        _finish(stored, begun)
        return
    if not onto:
        raise UsageError(f"{stored.label}: say what to begin on: --onto KERNEL|REF")
    base, done = put_on(stored.series, onto, known_kernels(), where, cache, progress)
    if begun and base.commit == begun.base:
        _finish(stored, begun)
        return
    if done.outcome is Outcome.APPLIED:
        onbase.record(stored.folder, where, base, done)
        tell(stored, base, done, as_json=False)
        return
    if base.commit is None or done.outcome is not Outcome.CONFLICT:
        raise UsageError(f"{stored.label} on {onto}: {done.outcome}: nothing to do by hand")
    patch = byhand.begin(stored.series, base.commit, where, stored.folder, again=again)
    at = f"{patch.number}/{stored.series.expected} {shown(patch.subject)}" if patch else ""
    click.echo(f"{byhand.place_of(stored.folder)}: stands at patch {at}")
    click.echo(
        "mend its files there, 'git add -f' them, 'git am --continue' until all are in, then:"
    )
    click.echo(f"khoci series resume {stored.label}")
    click.echo("a file that is not there: 'git sparse-checkout add PATH'")


def _finish(stored: Stored, begun: byhand.Begun) -> None:
    where = begun.repository
    done = byhand.finish(stored.series, stored.folder)
    base = with_origin(Base(begun.base, "", "by hand"), known_kernels(), where, chosen=True)
    if done.outcome is Outcome.APPLIED:
        onbase.record(stored.folder, where, base, done)
    tell(stored, base, done, as_json=False)


@series_group.command("remove")
@click.argument("name", shell_complete=complete_series)
@tree_option
def remove_command(name: str, *, tree: Path | None) -> None:
    """Forget a revision of a series, and delete its branch where it was applied.

    A branch that was moved or is checked out stays; it is said.

    Example: khoci series remove kho-fixes:v1
    """
    stored = _stored(name)
    why = _without_branch(stored, tree)
    remove(stored)
    click.echo(f"{stored.label} removed{why and f'; {why}'}")


def _without_branch(stored: Stored, tree: Path | None) -> str:
    """Delete the branch of a series; if it stays, say why."""
    try:
        on = onbase.load(stored.folder)
    except UsageError:
        return ""
    try:
        if unpublish(open_repository(tree or on.tree), on.branch, on.head):
            return ""
    except UsageError as error:
        return f"its branch stays: {error}"
    return f"no branch {on.branch} of {tree or on.tree} is as it was applied: none was deleted"
