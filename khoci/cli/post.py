"""``khoci post``: the answer to the thread of a series, shown, drafted, or sent once."""

from __future__ import annotations

import time
from pathlib import Path

import click

from khoci.cli.completing import complete_runs
from khoci.cli.mailing import (
    mail_of,
    now_in_thread,
    templates_option,
    trailer_options,
    trailers_of,
)
from khoci.cli.report import report_on
from khoci.errors import HarnessError, UsageError
from khoci.files import write_atomic
from khoci.mailer.mbox import draft
from khoci.mailer.once import is_answered, send_once, to_self
from khoci.mailer.sent import SentMails
from khoci.mailer.settings import settings
from khoci.paths import state_dir
from khoci.report.mail import Mail
from khoci.report.model import Report

_EXAMPLES = """\b
Examples:
  khoci post
  khoci post --draft answer.eml
  khoci post --send --to-self
  khoci post --send --tested-by
"""


@click.command(name="post", epilog=_EXAMPLES)
@click.argument("run", required=False, shell_complete=complete_runs)
@click.option(
    "--draft",
    "file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="write it to a file: a mbox if the name ends in .mbox, else the mail alone",
)
@click.option("--send", is_flag=True, help="send it, as git send-email is set up to")
@click.option("--to-self", "only_self", is_flag=True, help="to nobody but you, to have a look")
@click.option("--again", is_flag=True, help="send it though an earlier try may have sent it")
@click.option("--offline", is_flag=True, help="do not look into the archive for an answer")
@click.option("-c", "config", multiple=True, metavar="NAME=VALUE", help="b4's configuration")
@templates_option
@trailer_options
def post_command(
    run: str | None,
    file: Path | None,
    config: tuple[str, ...],
    templates: Path | None,
    trailers: tuple[str, ...],
    *,
    send: bool,
    only_self: bool,
    again: bool,
    offline: bool,
    tested_by: bool,
) -> None:
    """Show the answer to the patch thread of RUN, the last run if none is named.

    Nothing is sent without --send. Then it goes out once: a thread that has this result already,
    from you or anybody else, is not answered again. It goes only to addresses that
    `git config khoci.allowRecipient` allows, and at most khoci.maxPerHour (5) times an hour.

    Exit codes: 0 shown, drafted, sent or answered already; 2 wrong use, or a guard refuses it; 3 it
    could not be sent, or not to all.
    """
    if file and send:
        raise UsageError("--draft or --send: one of the two")
    report = report_on(run)
    mail = mail_of(report, trailers_of(trailers, tested_by=tested_by), templates)
    mail = to_self(mail) if only_self else mail
    if send:
        _send(report, mail, config, again=again, offline=offline)
    elif file:
        _write(mail, file)
        click.echo(f"{file}: written, nothing is sent", err=True)
    else:
        click.echo(mail.to_text(), nl=False)
        click.echo("nothing is sent: --draft FILE or --send", err=True)


def _write(mail: Mail, file: Path) -> None:
    if not file.resolve().parent.is_dir():
        raise UsageError(f"{file}: there is no folder {file.resolve().parent}")
    try:
        write_atomic(file, draft(mail, mbox=file.suffix == ".mbox"))
    except OSError as error:
        raise UsageError(f"{file}: cannot be written: {error.strerror}") from None


def _send(
    report: Report, mail: Mail, config: tuple[str, ...], *, again: bool, offline: bool
) -> None:
    ids = now_in_thread(report, config, offline=offline)
    if is_answered(mail, ids):
        click.echo(f"not sent: the thread has this result already: {mail.msgid}")
        return
    done = send_once(mail, settings(), SentMails(state_dir() / "mails"), time.time(), again=again)
    if not done.sent:
        click.echo(f"not sent: it was sent before: {mail.msgid}")
        return
    click.echo(f"sent to {', '.join(mail.recipients)}: {mail.msgid}")
    if done.refused:
        raise HarnessError(f"sent, but the server refused {', '.join(done.refused)}")
