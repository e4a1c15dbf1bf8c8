"""Downloads that resume, are verified before anyone uses them, and appear at once or not at all."""

from __future__ import annotations

import hashlib
import http.client
import urllib.error
import urllib.request
from typing import TYPE_CHECKING

from filelock import FileLock

from khoci.errors import HarnessError
from khoci.kernel.disk import one_line

if TYPE_CHECKING:
    from email.message import Message
    from pathlib import Path

    from khoci.progress import Progress

ATTEMPTS = 4
TIMEOUT_SECONDS = 30
_BLOCK = 1 << 20


class NotThereError(HarnessError):
    """The server was asked and does not have the file."""


class UnreachableError(HarnessError):
    """The server cannot be reached, or does not answer well."""


class _BrokenOffError(Exception):
    """The connection ended early; what came so far is kept."""


def download(url: str, target: Path, sha256: str, progress: Progress) -> Path:
    """Make ``target`` be the file at ``url`` with the digest ``sha256``, and return it.

    A file that is there and has the digest is not fetched again. A part that an earlier run left
    behind (``target`` + ``.part``) is continued. Two processes do not fetch the same file twice.

    Raises:
        NotThereError: the server has no such file.
        UnreachableError: no network, or the connection keeps breaking (the part is kept).
        HarnessError: the digest is wrong, or the disk is full (nothing is kept).
    """
    with one_line(target.name, target.parent):
        target.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(target.with_name(f".{target.name}.lock")):
            if not verified(target, sha256):
                _fetch(url, target, sha256, progress)
    return target


def verified(path: Path, sha256: str) -> bool:
    """Whether ``path`` is there with this digest."""
    return path.is_file() and file_sha256(path) == sha256


def file_sha256(path: Path) -> str:
    """The SHA-256 of a file as 64 hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _fetch(url: str, target: Path, sha256: str, progress: Progress) -> None:
    part = target.with_name(f"{target.name}.part")
    try:
        _fetch_part(url, part, progress)
    except OSError:
        part.unlink(missing_ok=True)
        raise
    digest = file_sha256(part)
    if digest != sha256:
        part.unlink()
        raise HarnessError(
            f"{target.name}: wrong SHA-256: the matrix file says {sha256}, {url} has {digest}; "
            "the download was deleted"
        )
    part.replace(target)


def _fetch_part(url: str, part: Path, progress: Progress) -> None:
    for _ in range(ATTEMPTS):
        try:
            return _continue(url, part, progress)
        except _BrokenOffError:
            continue
        except urllib.error.HTTPError as error:
            with error:
                raise _http_error(url, error) from error
        except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
            raise _unreachable(url, str(getattr(error, "reason", error))) from error
    raise _unreachable(url, f"the connection broke {ATTEMPTS} times; run again to continue")


def _continue(url: str, part: Path, progress: Progress) -> None:
    """Fetch what ``part`` does not have yet."""
    have = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(url)  # noqa: S310  (an address of the user's own matrix file)
    if have:
        request.add_header("Range", f"bytes={have}-")
    try:
        response = urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS)  # noqa: S310
    except urllib.error.HTTPError as error:
        if error.code != http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE or not have:
            raise
        part.unlink()
        with error:
            raise _BrokenOffError from error
    with response:
        resumes = getattr(response, "status", None) == http.HTTPStatus.PARTIAL_CONTENT
        have = have if resumes else 0
        total = _length(response.headers)
        progress.start(f"downloading {part.stem} (MB)", _megabytes(total, have))
        try:
            progress.advance(have / 1e6)
            _copy(response, part, have, total, progress)
        finally:
            progress.done()


def _copy(
    response: http.client.HTTPResponse,
    part: Path,
    have: int,
    total: int | None,
    progress: Progress,
) -> None:
    received = 0
    with part.open("ab" if have else "wb") as file:
        try:
            while block := response.read(_BLOCK):
                file.write(block)
                received += len(block)
                progress.advance(len(block) / 1e6)
        except (http.client.HTTPException, TimeoutError, ConnectionError) as error:
            raise _BrokenOffError from error
    if total is not None and received < total:
        raise _BrokenOffError


def _length(headers: Message) -> int | None:
    text = headers.get("Content-Length")
    return int(text) if text and text.isdigit() else None


def _megabytes(total: int | None, have: int) -> float | None:
    return None if total is None else (total + have) / 1e6


def _http_error(url: str, error: urllib.error.HTTPError) -> HarnessError:
    gone = (http.HTTPStatus.NOT_FOUND, http.HTTPStatus.GONE)
    if error.code in gone:
        return NotThereError(f"{url.rpartition('/')[2]} is not on the mirror: no {url}")
    return _unreachable(url, f"HTTP {error.code} {error.reason}")


def _unreachable(url: str, reason: str) -> HarnessError:
    if "No such file" in reason:
        return NotThereError(f"{url.rpartition('/')[2]} is not on the mirror: no {url}")
    return UnreachableError(f"{url} cannot be fetched: {reason}; check the network and run again")
