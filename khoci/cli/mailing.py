"""The mail of a run, for the commands that show and send it."""

from __future__ import annotations

import re
import time
from collections.abc import Collection, Sequence
from contextlib import suppress
from pathlib import Path

import click

from khoci.cli.options import tell
from khoci.errors import KhociError, UsageError
from khoci.kernel.cache import Cache
from khoci.mailer.settings import sender
from khoci.paths import cache_dir
from khoci.report.mail import Mail, mail
from khoci.report.mailbody import body
from khoci.report.model import Report
from khoci.results import SeriesInRun
from khoci.series import onbase
from khoci.series.answering import thread_to_answer
from khoci.series.b4 import B4, configured
from khoci.series.mails import message_id, split
from khoci.series.maintainers import maintainers_of
from khoci.series.plumbing import Git
from khoci.series.store import find
from khoci.thread import Thread

templates_option = click.option(
    "--templates",
    envvar="KHOCI_TEMPLATES",
    type=click.Path(path_type=Path),
    help="a folder of templates that stand for khoci's own of the same name",
)
_TRAILER = re.compile(r"[A-Za-z][A-Za-z0-9-]*: \S.*")


def trailer_options(command: click.decorators.FC) -> click.decorators.FC:
    """What a mail has below it if the user asks for it."""
    options = [
        click.option("--tested-by", is_flag=True, help="of a mail: with your Tested-by"),
        click.option(
            "--trailer",
            "trailers",
            multiple=True,
            metavar="'TOKEN: VALUE'",
            help="of a mail: this line below it",
        ),
    ]
    for option in reversed(options):
        command = option(command)
    return command


def trailers_of(trailers: Sequence[str], *, tested_by: bool) -> tuple[str, ...]:
    """The lines that a mail is to have below it.

    Raises:
        UsageError: one is no trailer, or git does not say who tested.
    """
    for each in trailers:
        if not _TRAILER.fullmatch(each):
            raise UsageError(f"--trailer '{each}': write it like 'Reviewed-by: You <you@example>'")
    own = ("Tested-by: {} <{}>".format(*sender()),) if tested_by else ()
    return (*own, *trailers)


def mail_of(report: Report, trailers: Sequence[str] = (), templates: Path | None = None) -> Mail:
    """The mail that answers the thread of a report's series, or that tells of a run without one.

    Raises:
        UsageError: the series is not stored any more, or git does not say who sends.
    """
    thread = thread_of(report.series) if report.series else None
    text = body(report, trailers, templates)
    return mail(report, text, sender(), thread, time.time())


def thread_of(series: SeriesInRun) -> Thread:
    """The thread of a series, with those who maintain what it changes.

    Raises:
        UsageError: it is not stored any more, or was another one then.
    """
    stored = find(Cache(cache_dir()).series, series.label)
    if stored.series.msgid != series.msgid:
        raise UsageError(f"{series.label}: is another series now: {stored.series.msgid}")
    who: tuple[tuple[str, str], ...] = ()
    with suppress(UsageError):
        who = maintainers_of(onbase.load(stored.folder))
    return thread_to_answer(stored, Git(stored.folder), who)


def now_in_thread(report: Report, config: Sequence[str], *, offline: bool) -> Collection[str]:
    """The message-ids in the thread of a report's series, as the archive has it now.

    Without a network, or with ``offline``, as it was when the series was fetched; that is said.

    Args:
        report: of a run.
        config: of b4, ``NAME=VALUE`` each.
        offline: whether the archive is not to be asked.
    """
    if report.series is None:
        return ()
    cache = Cache(cache_dir())
    stored = find(cache.series, report.series.label)
    git = Git(stored.folder)
    own: tuple[str, ...] = ()
    with suppress(UsageError):
        own = configured(Git(onbase.load(stored.folder).tree))
    known = thread_to_answer(stored, git).answered
    if offline:
        return known
    try:
        found = B4(cache.b4, (*own, *config)).thread(report.series.msgid)
    except KhociError as error:
        tell(error)
        click.echo("khoci: the thread is taken as it was when the series was fetched", err=True)
        return known
    return {*known, *(message_id(mail) for mail in split(found, git))}
