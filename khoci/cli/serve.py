"""``khoci report serve``: the page of a run on this machine, while the run goes on."""

from __future__ import annotations

import hashlib
import webbrowser
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import click

from khoci.cli.completing import complete_runs
from khoci.cli.mailing import templates_option
from khoci.cli.report import report_on, run_folder
from khoci.errors import HarnessError
from khoci.report import page
from khoci.run.folder import RunFolder

HOST = "127.0.0.1"


@click.command(name="serve")
@click.argument("run", required=False, shell_complete=complete_runs)
@click.option(
    "--against",
    metavar="RUN",
    shell_complete=complete_runs,
    help="say what is otherwise than in this run",
)
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="0: one that is free")
@click.option("--no-browser", is_flag=True, help="only say the address")
@templates_option
def serve_command(
    run: str | None,
    against: str | None,
    port: int,
    templates: Path | None,
    *,
    no_browser: bool,
) -> None:
    """Show the page of RUN in a browser, and follow the run while it goes on; Ctrl-C ends it.

    Only this machine can see it. For others: khoci report --format html -o page.html.

    Example: khoci report serve --port 8000
    """
    folder = run_folder(run)

    def content() -> str:
        return page.render(report_on(str(folder.path), against), templates, live=True)

    content()
    with server_of(content, lambda: state_of(folder), port) as server:
        address = f"http://{HOST}:{server.server_port}/"
        click.echo(address)
        if not no_browser:
            webbrowser.open(address)
        server.serve_forever()


def state_of(folder: RunFolder) -> str:
    """What changes when a result is stored."""
    files = sorted(folder.path.glob("*.json"))
    stamps = [(path.name, path.stat().st_mtime_ns) for path in files]
    return hashlib.sha256(repr(stamps).encode()).hexdigest()[:16]


def server_of(
    content: Callable[[], str], state: Callable[[], str], port: int
) -> ThreadingHTTPServer:
    """A server of the page at ``/`` and of its state at ``/state``, for this machine only.

    Raises:
        HarnessError: the port is taken.
    """

    class Handler(BaseHTTPRequestHandler):
        """Answers requests whose Host is this server: no name of a stranger's leads here."""

        def do_GET(self) -> None:
            """The page, its state, or 404."""
            if self.headers.get("Host", "").partition(":")[0] not in (HOST, "localhost"):
                self.send_error(403, "another host")
            elif self.path == "/":
                self._answer("text/html; charset=utf-8", content())
            elif self.path == "/state":
                self._answer("text/plain; charset=utf-8", state())
            else:
                self.send_error(404)

        def _answer(self, kind: str, text: str) -> None:
            data = text.encode("utf-8", "replace")
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(data)))
            self.send_header("Cache-Control", "no-store")
            self.send_header("X-Content-Type-Options", "nosniff")
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            """Nothing: who follows a run asks every two seconds."""

    try:
        return ThreadingHTTPServer((HOST, port), Handler)
    except OSError as error:
        raise HarnessError(f"port {port}: {error.strerror}: take another, or 0") from None
