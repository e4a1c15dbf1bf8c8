from __future__ import annotations

import difflib
import hashlib
import http.server
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from khoci.config.kernels import KernelSpec, Package, TarballSource
from khoci.kernel.cache import Cache
from tests.kernel.fakelinux import make_tree, pack

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@dataclass
class Server:
    """A web server whose files the test sets; ``cut`` answers end after so many bytes."""

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    requests: list[tuple[str, str | None]] = field(default_factory=list)
    cut: list[int] = field(default_factory=list)
    ranges: bool = True

    def put_package(self, package: Package, content: bytes) -> None:
        name = f"{package.name}_{package.version}_{package.arch}.deb"
        self.files[f"/pool/main/l/{package.pool}/{name}"] = content


@pytest.fixture
def server() -> Iterator[Server]:
    state = Server()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked = self.headers.get("Range")
            state.requests.append((self.path, asked))
            content = state.files.get(self.path)
            if content is None:
                self.send_error(404)
                return
            start = int(asked.removeprefix("bytes=").rstrip("-")) if asked and state.ranges else 0
            if start >= len(content):
                self.send_error(416)
                return
            body = content[start:]
            self.send_response(206 if start else 200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[: state.cut.pop(0)] if state.cut else body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    web = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.url = f"http://127.0.0.1:{web.server_port}"
    thread = threading.Thread(target=web.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield state
    web.shutdown()
    thread.join()
    web.server_close()


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache")


@dataclass
class Fake:
    """Makes kernels of the fake tree, as a tarball with fragments beside it."""

    folder: Path

    @property
    def runs(self) -> int:
        """How often make was asked for an image."""
        counted = self.folder / "runs"
        return len(counted.read_text().splitlines()) if counted.exists() else 0

    def kernel(
        self, name: str = "v6.18.15", config: str = "CONFIG_A=y\n", **files: str
    ) -> KernelSpec:
        tree = make_tree(self.folder / "tree", **files)
        packed = pack(tree)
        tarball = self.folder / f"{name}.tar.xz"
        tarball.write_bytes(packed)
        fragment = self.folder / f"{name}.config"
        fragment.write_text(config)
        source = TarballSource(tarball.as_uri(), hashlib.sha256(packed).hexdigest())
        return KernelSpec(name, (source,), config=(fragment,))

    def patch(self, name: str, **files: str) -> Path:
        """A patch that gives files of the tree a new content; it adds those that are not there."""
        path = self.folder / f"{name}.patch"
        path.write_text("".join(self._diff(file, files[file]) for file in files))
        return path

    def _diff(self, name: str, new: str) -> str:
        there = self.folder / "tree" / name
        old = there.read_text().splitlines(keepends=True) if there.exists() else []
        before, after = f"a/{name}" if old else "/dev/null", f"b/{name}"
        kind = "" if old else "new file mode 100644\n"
        lines = difflib.unified_diff(old, new.splitlines(keepends=True), before, after)
        return f"diff --git a/{name} b/{name}\n{kind}" + "".join(lines)


@pytest.fixture
def fake(tmp_path: Path) -> Fake:
    folder = tmp_path / "fake"
    folder.mkdir()
    return Fake(folder)
