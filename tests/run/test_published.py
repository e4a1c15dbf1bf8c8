from __future__ import annotations

import io
from pathlib import Path

import pytest

from khoci.errors import HarnessError
from khoci.kernel.shared import Shared
from khoci.kernel.tar import tarfile
from khoci.run.folder import RunFolder
from khoci.run.published import publish, published, take
from tests.run.stored import whole


def content(folder: Path) -> dict[str, bytes]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def test_a_shard_comes_back_as_it_was(tmp_path: Path) -> None:
    run, shared = whole(tmp_path), Shared(str(tmp_path / "store"))
    assert published(shared, "all", "2/3") == ""
    publish(shared, "all", "2/3", run)
    digest = published(shared, "all", "2/3")
    take(shared, digest, tmp_path / "there")
    assert content(tmp_path / "there") == content(run.path)
    assert shared.names("runs/all") == ["2-of-3"]


def test_what_went_on_is_published_anew(tmp_path: Path) -> None:
    run, shared = RunFolder(tmp_path / "run"), Shared(str(tmp_path / "store"))
    (tmp_path / "run").mkdir()
    (run.path / "a").write_text("1")
    publish(shared, "all", "1/1", run)
    first = published(shared, "all", "1/1")
    (run.path / "b").write_text("2")
    publish(shared, "all", "1/1", run)
    take(shared, first, tmp_path / "there")
    take(shared, published(shared, "all", "1/1"), tmp_path / "there")
    assert content(tmp_path / "there") == {"a": b"1", "b": b"2"}


@pytest.mark.parametrize("name", ["../outside", "/etc/outside"])
def test_nothing_is_written_outside(tmp_path: Path, name: str) -> None:
    archive = tmp_path / "x.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        member = tarfile.TarInfo(name)
        member.size = 1
        tar.addfile(member, io.BytesIO(b"x"))
    shared = Shared(str(tmp_path / "store"))
    digest = shared.put(archive)
    if name.startswith("/"):
        take(shared, digest, tmp_path / "there")
        assert content(tmp_path / "there") == {"etc/outside": b"x"}
    else:
        with pytest.raises(HarnessError, match="is no shard"):
            take(shared, digest, tmp_path / "there")
    assert not (tmp_path / "outside").exists()


def test_what_is_no_archive(tmp_path: Path) -> None:
    shared = Shared(str(tmp_path / "store"))
    with pytest.raises(HarnessError, match="is no shard"):
        take(shared, shared.put(Path(__file__)), tmp_path / "there")
