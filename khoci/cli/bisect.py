"""``khoci bisect``: the change that turned a cell."""

from __future__ import annotations

import sys
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from khoci.bisect import patches, tree
from khoci.bisect.folder import BISECTIONS, Request, begin, find, read
from khoci.bisect.question import VARIED, Question, check_open
from khoci.bisect.session import bisect
from khoci.bisect.trial import Trial
from khoci.cli.completing import (
    complete_kernels,
    complete_scenarios,
    complete_series,
)
from khoci.cli.options import (
    accelerator_option,
    echo_json,
    guest_option,
    json_option,
    load,
    no_sandbox_option,
    words,
)
from khoci.config.kernels import Kernels, KernelSpec
from khoci.config.toml import did_you_mean
from khoci.errors import EXIT_DISAGREE, EXIT_OK, KhociError, UsageError
from khoci.kernel.cache import Cache
from khoci.kernel.gittree import TREE_CONFIG, configured_tree
from khoci.paths import cache_dir
from khoci.progress import progress_for
from khoci.report.bisection import render
from khoci.scenario import select
from khoci.series.known import as_kernels, base_of
from khoci.series.store import find as find_series
from khoci.verdicts import Verdict

if TYPE_CHECKING:
    from collections.abc import Iterator

    from khoci.bisect.history import History
    from khoci.bisection import Bisection
    from khoci.run.folder import RunFolder

_EXAMPLES = """\b
Examples:
  khoci bisect 7.2 @ --scenario memfd --tree ~/linux --good v7.2 --bad mine
  khoci bisect @ @ --scenario memfd --tree ~/linux --good v7.2 --bad v7.3
  khoci bisect @ 7.3 --scenario kho-test --series my-series
  khoci bisect --resume
"""


@dataclass(frozen=True)
class _Ends:
    """What is searched, as it stands on the command line."""

    series: str | None
    tree: Path | None
    good: str | None
    bad: str | None
    first_parent: bool
    config_of: str | None


@click.command(name="bisect", epilog=_EXAMPLES)
@click.argument("producer", required=False, shell_complete=complete_kernels)
@click.argument("consumer", required=False, shell_complete=complete_kernels)
@click.option("--scenario", shell_complete=complete_scenarios, help="what is handed over")
@click.option(
    "--series",
    shell_complete=complete_series,
    metavar="SLUG[:vN]|KERNEL",
    help="search the patches of a series that is applied, or of a kernel",
)
@click.option(
    "--tree",
    "tree_",
    type=click.Path(path_type=Path, file_okay=False),
    help=f"search the commits of this git tree  [default: git config {TREE_CONFIG}]",
)
@click.option("--good", help="a commit; or the number of a patch, 0 is the base  [default: 0]")
@click.option("--bad", help="a commit; or the number of a patch  [default: the last]")
@click.option("--first-parent", is_flag=True, help="take what was merged for one change")
@click.option(
    "--config-of",
    metavar="KERNEL",
    help="commits are configured as this kernel is  [default: the newest release]",
)
@click.option("--component", help="look at this component's verdict, not at the cell's")
@click.option(
    "--bad-when",
    callback=words,
    metavar="VERDICT,...",
    help="what is bad  [default: all that is worse than the good end]",
)
@json_option
@click.option("--resume", is_flag=True, help="go on with the last bisection, or the one of --run")
@click.option("--run", "run_id", help="the bisection to resume, by id or path")
@guest_option
@accelerator_option
@no_sandbox_option
@click.pass_context
def bisect_command(
    context: click.Context,
    producer: str | None,
    consumer: str | None,
    scenario: str | None,
    series: str | None,
    tree_: Path | None,
    good: str | None,
    bad: str | None,
    first_parent: bool,
    config_of: str | None,
    component: str | None,
    bad_when: list[str],
    as_json: bool,
    resume: bool,
    run_id: str | None,
    matrix: str,
    accel: str | None,
    *,
    no_sandbox: bool,
) -> None:
    """Find the change that turned a cell, by testing halves, as git bisect does.

    PRODUCER and CONSUMER are kernels; @ is the one that is searched for. If both are @, each
    candidate hands over to itself.

    A candidate is good if the cell is as it is with --good, or better; bad if it is worse; and
    skipped if it does not build, does not boot, or hands nothing over. Of a tree, git says what is
    tested next, behind merges too. The change that is found is verified: it is reverted from the
    bad end, and the cell run again. The tree is only read. The results go to bisections/<id>/; what
    has a result there is not run again, and git bisect replay takes bisect.log.

    Exit codes: 0 found, 1 not narrowed down to one change (too much was skipped), 2 wrong use or
    the ends do not differ, 3 the harness or the host failed.
    """
    if resume or run_id:
        _only_resume(context)
        folder = find(BISECTIONS, run_id)
        request, history = read(folder, _workshops())
        _, known, _ = load(request.matrix)
    else:
        if not (producer and consumer and scenario):
            raise UsageError("say PRODUCER, CONSUMER and --scenario: khoci bisect --help")
        check_open(producer, consumer)
        _, known, _ = load(matrix)
        question = _question(known, (producer, consumer), scenario, component, bad_when)
        ends = _Ends(series, tree_, good, bad, first_parent, config_of)
        request = Request(question, matrix, accel)
        folder, history = begin(BISECTIONS, request, _history(ends, known))
    found = _run(request, history, folder, no_sandbox=no_sandbox)
    if as_json:
        data = {**found.to_json(), "results": str(folder.path)}
        echo_json(data)
    else:
        click.echo(render(found))
        click.echo(f"results: {folder.path}/")
    context.exit(EXIT_OK if found.found else EXIT_DISAGREE)


def _only_resume(context: click.Context) -> None:
    """A resumed bisection goes on as it began: refuse what would ask for another one."""
    for name in context.params:
        given = context.get_parameter_source(name) is ParameterSource.COMMANDLINE
        if given and name not in ("resume", "run_id", "as_json", "no_sandbox"):
            raise UsageError(f"a bisection is resumed as it began: leave out {name.strip('_')}")


def _question(
    known: Kernels,
    pair: tuple[str, str],
    scenario: str,
    component: str | None,
    bad_when: list[str],
) -> Question:
    for word in bad_when:
        if word not in set(Verdict) - {Verdict.ERROR}:
            raise UsageError(f"--bad-when: '{word}' is no verdict{did_you_mean(word, Verdict)}")
    names = [name if name == VARIED else known.select(name).name for name in pair]
    return Question(
        producer=names[0],
        consumer=names[1],
        scenario=select([scenario])[0].name,
        component=component or "",
        bad_when=tuple(Verdict(word) for word in bad_when),
    )


def _history(ends: _Ends, known: Kernels) -> History:
    """The history that is searched.

    Raises:
        UsageError: what was said does not go together, or there is no such thing.
    """
    if ends.series:
        if ends.tree or ends.first_parent or ends.config_of:
            raise UsageError("--series goes without --tree, --first-parent and --config-of")
        series = patches.series_of(*_series(ends.series, known))
        return patches.between(series, ends.good, ends.bad)
    where = ends.tree or configured_tree()
    if where is None:
        raise UsageError(f"say --tree or --series, or set git config {TREE_CONFIG}")
    if not (ends.good and ends.bad):
        raise UsageError("say --good and --bad: a commit before the change, and one after it")
    template = _newest(known) if ends.config_of is None else known.select(ends.config_of)
    opened = tree.open_tree(where, template, _workshops())
    return tree.between(opened, ends.good, ends.bad, first_parent=ends.first_parent)


def _series(name: str, known: Kernels) -> tuple[KernelSpec, KernelSpec | None]:
    """The kernel with all of a series, and the one without: a stored one, or any with patches."""
    root = Cache(cache_dir()).series
    with suppress(UsageError):
        whole = known.select(name)
        return whole, base_of(whole.name, known, root)
    stored = as_kernels(find_series(root, name), known)
    return stored.whole, stored.base


def _newest(known: Kernels) -> KernelSpec:
    return max(known.by_name.values(), key=lambda spec: spec.version)


def _workshops() -> Path:
    return Cache(cache_dir()).trees


def _run(request: Request, history: History, folder: RunFolder, *, no_sandbox: bool) -> Bisection:
    config, known, _ = load(request.matrix, no_sandbox=no_sandbox)
    trial = Trial(
        request.question,
        known,
        config,
        folder,
        progress_for(),
        accelerator=request.accelerator,
        trusted=no_sandbox,
    )
    with _can_go_on(folder):
        return bisect(history, trial, lambda line: click.echo(line, err=True))


@contextmanager
def _can_go_on(folder: RunFolder) -> Iterator[None]:
    try:
        yield
    except UsageError:
        raise
    except (KhociError, KeyboardInterrupt):
        click.echo(f"khoci bisect --resume --run {folder.path} goes on from here", file=sys.stderr)
        raise
