from __future__ import annotations

import http.client
import signal
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from khoci.cli.serve import HOST, server_of, state_of
from khoci.errors import HarnessError
from khoci.verdicts import Verdict
from tests.run import stored


@contextmanager
def serving() -> Iterator[int]:
    with server_of(lambda: "<p>page</p>", lambda: "now", 0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def ask(port: int, path: str, host: str = "localhost") -> tuple[int, str]:
    connection = http.client.HTTPConnection(HOST, port)
    connection.request("GET", path, headers={"Host": host})
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer.status, text


def test_the_page_and_its_state_are_served_and_nothing_else() -> None:
    with serving() as port:
        assert ask(port, "/") == (200, "<p>page</p>")
        assert ask(port, "/state") == (200, "now")
        assert ask(port, "/etc/passwd")[0] == ask(port, "/../x")[0] == 404


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", ""])
def test_no_other_name_leads_here(host: str) -> None:
    with serving() as port:
        assert ask(port, "/", host)[0] == 403


def test_a_port_that_is_taken_is_said() -> None:
    with serving() as port, pytest.raises(HarnessError, match=f"port {port}: "):
        server_of(str, str, port)


def test_the_state_is_another_when_a_result_is_there(tmp_path: Path) -> None:
    run = stored.begin(tmp_path)
    before = state_of(run)
    assert state_of(run) == before
    stored.store(run, stored.result(stored.OLD, stored.OLD, Verdict.RESTORED))
    assert state_of(run) != before


def test_a_run_is_served_until_it_is_interrupted(tmp_path: Path) -> None:
    stored.whole(tmp_path)
    command = [sys.executable, "-m", "khoci", "report", "serve", "--no-browser"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        address = process.stdout.readline().strip()
        with urllib.request.urlopen(address) as answer:  # noqa: S310  (loopback)
            text = answer.read().decode()
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=30) == 130
    assert "v6.18.15 to v7.2.12, kho-test: refused" in text
    assert "connect-src &#39;self&#39;" in text
    assert 'data-live="state"' in text
