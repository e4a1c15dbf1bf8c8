from __future__ import annotations

import errno
import hashlib
from typing import TYPE_CHECKING

import pytest

from khoci.errors import HarnessError
from khoci.kernel import download as module
from khoci.kernel.download import NotThereError, UnreachableError, download
from khoci.progress import NoProgress

if TYPE_CHECKING:
    from pathlib import Path

    from tests.kernel.conftest import Server

CONTENT = bytes(range(256)) * 4000
DIGEST = hashlib.sha256(CONTENT).hexdigest()


def fetch(server: Server, target: Path, digest: str = DIGEST) -> Path:
    return download(f"{server.url}/file.deb", target, digest, NoProgress())


def leftovers(target: Path) -> list[str]:
    return [path.name for path in target.parent.iterdir() if not path.name.endswith(".lock")]


def test_downloads_once(server: Server, tmp_path: Path) -> None:
    server.files["/file.deb"] = CONTENT
    for _ in range(2):
        assert fetch(server, tmp_path / "file.deb").read_bytes() == CONTENT
    assert server.requests == [("/file.deb", None)]
    assert leftovers(tmp_path / "file.deb") == ["file.deb"]


def test_continues_a_part_of_an_earlier_run(server: Server, tmp_path: Path) -> None:
    server.files["/file.deb"] = CONTENT
    (tmp_path / "file.deb.part").write_bytes(CONTENT[:1000])
    assert fetch(server, tmp_path / "file.deb").read_bytes() == CONTENT
    assert server.requests == [("/file.deb", "bytes=1000-")]


def test_continues_after_the_connection_broke(server: Server, tmp_path: Path) -> None:
    server.files["/file.deb"] = CONTENT
    server.cut = [3000, 5000]
    assert fetch(server, tmp_path / "file.deb").read_bytes() == CONTENT
    assert [asked for _, asked in server.requests] == [None, "bytes=3000-", "bytes=8000-"]


def test_gives_up_on_a_bad_connection_and_keeps_the_part(server: Server, tmp_path: Path) -> None:
    server.files["/file.deb"] = CONTENT
    server.cut = [100] * module.ATTEMPTS
    with pytest.raises(UnreachableError, match="run again"):
        fetch(server, tmp_path / "file.deb")
    assert (tmp_path / "file.deb.part").stat().st_size == 100 * module.ATTEMPTS


def test_starts_over_where_ranges_are_not_served(server: Server, tmp_path: Path) -> None:
    server.files["/file.deb"] = CONTENT
    server.ranges = False
    (tmp_path / "file.deb.part").write_bytes(b"old" * 100)
    assert fetch(server, tmp_path / "file.deb").read_bytes() == CONTENT


def test_starts_over_where_the_part_is_too_long(server: Server, tmp_path: Path) -> None:
    server.files["/file.deb"] = CONTENT
    (tmp_path / "file.deb.part").write_bytes(CONTENT + b"more")
    assert fetch(server, tmp_path / "file.deb").read_bytes() == CONTENT


def test_wrong_digest_is_one_line_and_nothing_is_kept(server: Server, tmp_path: Path) -> None:
    server.files["/file.deb"] = b"something else"
    found = hashlib.sha256(b"something else").hexdigest()
    with pytest.raises(HarnessError) as caught:
        fetch(server, tmp_path / "file.deb")
    assert DIGEST in str(caught.value)
    assert found in str(caught.value)
    assert "\n" not in str(caught.value)
    assert leftovers(tmp_path / "file.deb") == []


def test_a_damaged_file_is_fetched_again(server: Server, tmp_path: Path) -> None:
    server.files["/file.deb"] = CONTENT
    (tmp_path / "file.deb").write_bytes(b"bad")
    assert fetch(server, tmp_path / "file.deb").read_bytes() == CONTENT


def test_a_missing_file_is_not_on_the_mirror(server: Server, tmp_path: Path) -> None:
    with pytest.raises(NotThereError, match=r"file\.deb is not on the mirror"):
        fetch(server, tmp_path / "file.deb")
    assert leftovers(tmp_path / "file.deb") == []


def test_no_network(tmp_path: Path) -> None:
    with pytest.raises(UnreachableError, match="check the network"):
        download("http://127.0.0.1:9/file.deb", tmp_path / "file.deb", DIGEST, NoProgress())
    assert leftovers(tmp_path / "file.deb") == []


def test_local_addresses_work(tmp_path: Path) -> None:
    origin = tmp_path / "origin"
    origin.write_bytes(CONTENT)
    target = tmp_path / "cache" / "file.deb"
    assert download(origin.as_uri(), target, DIGEST, NoProgress()).read_bytes() == CONTENT
    with pytest.raises(NotThereError):
        download((tmp_path / "none").as_uri(), tmp_path / "x", DIGEST, NoProgress())


def test_a_full_disk_is_one_line(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        (tmp_path / "file.deb.part").write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    server.files["/file.deb"] = CONTENT
    monkeypatch.setattr(module, "_copy", full)
    with pytest.raises(HarnessError, match=r"file\.deb: the disk of .* is full; free some space"):
        fetch(server, tmp_path / "file.deb")
    assert leftovers(tmp_path / "file.deb") == []
