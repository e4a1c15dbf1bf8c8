"""``khoci report``: a stored run in the form that somebody reads."""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path

import click

from khoci.cli.completing import complete_runs
from khoci.cli.mailing import mail_of, templates_option, trailer_options, trailers_of
from khoci.cli.options import load
from khoci.cli.where import write
from khoci.report import junit, kcidb, ktap, lava, markdown, page, plain, text
from khoci.report.model import Report
from khoci.run.folder import RUNS, RunFolder, latest_run, open_run
from khoci.run.reported import plan_of, report_of

Render = Callable[[Report, Path | None], str]
"""Makes the text of a report; the folder has templates of the project's own."""


def _fixed(render: Callable[[Report], str]) -> Render:
    """A form that no template changes: programs read it."""
    return lambda report, _: render(report)


FORMATS: Mapping[str, Render] = {
    "text": text.render,
    "markdown": markdown.render,
    "html": page.render,
    "json": _fixed(plain.render),
    "junit": _fixed(junit.render),
    "ktap": _fixed(ktap.render),
    "kcidb": _fixed(kcidb.render),
    "lava": _fixed(lava.render),
}

SERVE = "serve"
MAIL = "mail"
"""The answer to the thread of a series: it needs more than the report."""

_EXAMPLES = """\b
Examples:
  khoci report
  khoci report 20261123-123647-202a --format text -o table.txt
  khoci report --against 20261122-101500-00ff
  khoci report --format junit -o junit.xml
  khoci report --format mail --tested-by
"""


class ReportGroup(click.Group):
    """A group that takes what is none of its commands for the arguments of ``write``."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """With the one that is in a module of its own."""
        return [*super().list_commands(ctx), SERVE]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Load what is in a module of its own when it is asked for: it uses this one."""
        if cmd_name != SERVE:
            return super().get_command(ctx, cmd_name)
        command: click.Command = importlib.import_module("khoci.cli.serve").serve_command
        return command

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put the name of the command in where it was left out."""
        asks_help = args[:1] in (["-h"], ["--help"])
        if not asks_help and (not args or args[0] not in self.list_commands(ctx)):
            args = ["write", *args]
        return super().parse_args(ctx, args)


@click.group(name="report", cls=ReportGroup, epilog=_EXAMPLES)
def report_group() -> None:
    """Say what a run found, from what is stored: nothing is run again.

    `khoci report [RUN] ...` is short for `khoci report write [RUN] ...`, which has all options.
    """


@report_group.command("write", epilog=_EXAMPLES)
@click.argument("run", required=False, shell_complete=complete_runs)
@click.option("--format", "form", type=click.Choice((*FORMATS, MAIL)), default="text")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="to this file")
@click.option(
    "--against",
    metavar="RUN",
    shell_complete=complete_runs,
    help="say what is otherwise than in this run",
)
@templates_option
@trailer_options
def write_command(
    run: str | None,
    form: str,
    output: Path | None,
    against: str | None,
    templates: Path | None,
    trailers: tuple[str, ...],
    *,
    tested_by: bool,
) -> None:
    """Write the report of RUN, an id or a path; of the last run if none is named.

    Exit codes: 0 it is written, whatever it says; 2 wrong use.
    """
    report = report_on(run, against)
    if form == MAIL:
        content = mail_of(report, trailers_of(trailers, tested_by=tested_by), templates).to_text()
    else:
        content = FORMATS[form](report, templates)
    write(content.encode("utf-8", "replace").decode(), output)


@report_group.command("schema")
def schema_command() -> None:
    """Print the JSON schema of `khoci report --format json`.

    Example: khoci report schema
    """
    click.echo(json.dumps(plain.schema(), indent=2))


def report_on(run: str | None, against: str | None = None) -> Report:
    """The report of a run, by id or path, or of the last one.

    Raises:
        UsageError: there is no such run, or it cannot be read.
    """
    folder = run_folder(run)
    plan = plan_of(folder)
    _, _, policy = load(plan.matrix)
    return report_of(folder, plan, policy, open_run(RUNS, against) if against else None)


def run_folder(run: str | None) -> RunFolder:
    """A run by id or path, or the last one.

    Raises:
        UsageError: there is none.
    """
    return open_run(RUNS, run) if run else latest_run(RUNS)
