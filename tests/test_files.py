from __future__ import annotations

import stat
import threading
from typing import TYPE_CHECKING

import pytest

from khoci.files import atomic_path, write_atomic

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("content", [b"bytes\0", "text \N{SNOWMAN}", ""])
def test_write(tmp_path: Path, content: bytes | str) -> None:
    target = tmp_path / "new" / "folder" / "file"
    write_atomic(target, content)
    assert target.read_bytes() == (content if isinstance(content, bytes) else content.encode())
    assert [path.name for path in target.parent.iterdir()] == ["file"]
    assert stat.S_IMODE(target.stat().st_mode) == 0o644


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt, SystemExit])
def test_a_failure_keeps_the_old_file_and_leaves_nothing(
    tmp_path: Path, error: type[BaseException]
) -> None:
    target = tmp_path / "file"
    target.write_text("old")

    def fail() -> None:
        with atomic_path(target) as path:
            path.write_text("half")
            assert target.read_text() == "old"
            raise error

    with pytest.raises(error):
        fail()
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_readers_never_see_half_a_file(tmp_path: Path) -> None:
    target = tmp_path / "file"
    contents = [bytes([byte]) * 200_000 for byte in range(20)]
    write_atomic(target, contents[0])

    def write() -> None:
        for content in contents:
            write_atomic(target, content)

    writer = threading.Thread(target=write)
    writer.start()
    seen = []
    while writer.is_alive():
        seen.append(target.read_bytes())
    writer.join()
    assert seen
    assert all(item in contents for item in seen)
