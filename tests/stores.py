"""A local server that speaks S3, for tests."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

BUCKET = "khoci"


@contextmanager
def s3_server(folder: Path) -> Iterator[Mapping[str, str]]:
    """Runs moto's server in a process of its own; yields the environment of its clients."""
    with (folder / "s3.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-u", "-m", "moto.server", "-H", "127.0.0.1", "-p", "0"],
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        url = _address(folder / "s3.log", process)
        environment = {
            "AWS_ENDPOINT_URL": url,
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
        }
        _asked(url, "PUT", f"/{BUCKET}")
        yield environment
    finally:
        process.terminate()
        process.wait(10)


def _address(log: Path, process: subprocess.Popen[bytes]) -> str:
    """The address it says that it listens on, once it does."""
    for _ in range(600):
        for line in log.read_text().splitlines():
            _, found, rest = line.partition("Running on ")
            if found:
                url = rest.split()[0]
                with suppress(OSError):
                    _asked(url, "GET", "/")
                    return url
        if process.poll() is not None:
            break
        time.sleep(0.1)
    raise RuntimeError(f"moto's server did not start: {log.read_text()}")


def _asked(url: str, method: str, path: str) -> None:
    """One request, of which only matters that it is answered."""
    address = urlsplit(url)
    connection = HTTPConnection(address.hostname or "", address.port, timeout=30)
    connection.request(method, path)
    connection.getresponse().read()
    connection.close()


@contextmanager
def surrounded_by(environment: Mapping[str, str]) -> Iterator[None]:
    """These variables are set."""
    before = dict(os.environ)
    os.environ.update(environment)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
