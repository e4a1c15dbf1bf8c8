from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from khoci.errors import HarnessError, UsageError
from khoci.kernel.cache import IMAGE, METADATA, Cache
from khoci.kernel.shared import Shared, kernels_in, pull, push
from tests.stores import BUCKET, s3_server, surrounded_by

KEY = "a" * 64


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with s3_server(tmp_path_factory.mktemp("s3")) as environment, surrounded_by(environment):
        yield


@pytest.fixture(params=["folder", "s3"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "folder":
        return str(tmp_path / "store")
    request.getfixturevalue("s3")
    return f"s3://{BUCKET}/{tmp_path.name}"


def filled(folder: Path, key: str = KEY, image: bytes = b"image") -> Cache:
    cache = Cache(folder)
    with cache.new_folder(key) as kernel:
        (kernel / IMAGE).write_bytes(image)
        (kernel / METADATA).write_text(json.dumps({"name": "v1.0", "release": "1.0.0"}))
    return cache


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_what_is_pushed_comes_back(url: str, tmp_path: Path) -> None:
    mine, theirs = filled(tmp_path / "mine"), Cache(tmp_path / "theirs")
    shared = Shared(url)
    assert kernels_in(shared) == []
    assert not pull(shared, theirs, KEY)
    assert push(shared, mine, KEY)
    assert not push(shared, mine, KEY)
    assert pull(Shared(url), theirs, KEY)
    assert theirs.has(KEY)
    assert content(theirs.folder(KEY)) == content(mine.folder(KEY))
    (found,) = kernels_in(shared)
    assert (found.key, found.name, found.release) == (KEY, "v1.0", "1.0.0")
    assert found.size == sum(map(len, content(mine.folder(KEY)).values()))


def test_bytes_that_changed_on_the_way_are_refused(url: str, tmp_path: Path) -> None:
    mine, theirs = filled(tmp_path / "mine"), Cache(tmp_path / "theirs")
    shared = Shared(url)
    push(shared, mine, KEY)
    image = shared.read(f"kernels/{KEY}")
    assert image is not None
    digest = image["files"][IMAGE]["sha256"]
    shared._fs.pipe_file(f"{shared._root}/blobs/{digest}", b"IMAGE")
    with pytest.raises(HarnessError, match=r"has other bytes than its name says: .*push --again"):
        pull(shared, theirs, KEY)
    assert not theirs.has(KEY)
    assert not list(theirs.kernels.rglob(IMAGE))
    push(shared, mine, KEY, again=True)
    assert pull(shared, theirs, KEY)


@pytest.mark.parametrize("name", ["../escape", "a/b", ".hidden"])
def test_a_list_of_files_from_elsewhere_is_refused(url: str, tmp_path: Path, name: str) -> None:
    shared, theirs = Shared(url), Cache(tmp_path / "theirs")
    digest = shared.put(Path(__file__))
    files = {METADATA: {"sha256": digest}, name: {"sha256": digest}}
    shared.write(f"kernels/{KEY}", {"key": KEY, "files": files})
    with pytest.raises(HarnessError, match="is not the list of a kernel's files"):
        pull(shared, theirs, KEY)
    shared.write(f"kernels/{KEY}", {"key": "b" * 64, "files": {METADATA: {"sha256": digest}}})
    with pytest.raises(HarnessError, match="is not the list of a kernel's files"):
        pull(shared, theirs, KEY)


def test_many_push_at_once(url: str, tmp_path: Path) -> None:
    caches = [filled(tmp_path / str(number), image=b"x" * 100_000) for number in range(4)]
    shared = Shared(url)
    threads = [threading.Thread(target=push, args=(shared, cache, KEY)) for cache in caches]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    theirs = Cache(tmp_path / "theirs")
    assert pull(shared, theirs, KEY)
    assert (theirs.folder(KEY) / IMAGE).read_bytes() == b"x" * 100_000


def test_a_folder_that_is_written_shows_no_half_file(tmp_path: Path) -> None:
    shared = Shared(str(tmp_path / "store"))
    shared.put(Path(__file__))
    assert not list((tmp_path / "store").rglob("*.part"))


def test_a_store_that_cannot_be_reached_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with pytest.raises(HarnessError, match=r"^store s3://nowhere/x: ") as caught:
        Shared("s3://nowhere/x").read("kernels/a")
    assert "\n" not in str(caught.value)
    (tmp_path / "file").write_text("")
    with pytest.raises(HarnessError, match=r"^store .*file: NotADirectoryError"):
        Shared(str(tmp_path / "file")).put(Path(__file__))


def test_what_is_no_store() -> None:
    with pytest.raises(UsageError, match=r"^store nonsense://x: "):
        Shared("nonsense://x")


def test_a_library_that_is_missing_is_named(tmp_path: Path) -> None:
    script = (
        "import sys; sys.modules['s3fs'] = None\n"
        "from khoci.kernel.shared import Shared\n"
        "Shared('s3://bucket/x')"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False, env=os.environ
    )
    assert "pip install 'khoci[s3]'" in done.stderr


def test_the_commands(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from click.testing import CliRunner  # noqa: PLC0415

    from khoci.cli import cli  # noqa: PLC0415
    from khoci.config.kernels import known_kernels  # noqa: PLC0415
    from khoci.kernel.store import key  # noqa: PLC0415

    key_73 = key(known_kernels().select("7.3"))
    filled(tmp_path / "mine", key_73)

    def run(cache: str, *arguments: str) -> str:
        monkeypatch.setenv("KHOCI_CACHE", str(tmp_path / cache))
        done = CliRunner().invoke(cli, ["store", *arguments], env={"KHOCI_STORE": url})
        return done.output + str(done.exception or "")

    assert "v7.3.4 is not in the cache: khoci kernel build v7.3.4" in run("theirs", "push", "7.3")
    assert f"{url} has no v7.3.4 with the key" in run("theirs", "pull", "7.3")
    assert run("mine", "push", "7.3").startswith("v7.3.4  stored  ")
    assert run("mine", "push", "7.3").startswith("v7.3.4  is there  ")
    assert run("theirs", "pull", "7.3").startswith("v7.3.4  fetched  ")
    assert run("theirs", "pull", "7.3").startswith("v7.3.4  is there  ")
    assert json.loads(run("theirs", "list", "--json"))["kernels"][0]["key"] == key_73
    assert run("theirs", "list").split() == [key_73[:12], "0", "MB", "v1.0", "1.0.0"]
    monkeypatch.delenv("KHOCI_STORE", raising=False)
    done = CliRunner().invoke(cli, ["store", "list"])
    assert "which store?" in str(done.exception)
