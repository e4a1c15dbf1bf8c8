"""What many machines share: kernels by their key, in a folder or an object store.

URL/kernels/<key>.json   the files of a kernel, with sizes and digests
URL/blobs/<sha256>       each content once

A name is there when all that it refers to is. What arrives is compared with its digest.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from khoci.errors import HarnessError, UsageError
from khoci.kernel.cache import METADATA, Cache
from khoci.kernel.download import file_sha256

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

SCHEMA = 1
_EXTRAS = {"s3": "s3", "s3a": "s3", "gs": "gcs", "gcs": "gcs"}
"""What to install for a protocol."""


@dataclass(frozen=True)
class SharedKernel:
    """A kernel of the store: key, name and release, and its size in bytes."""

    key: str
    name: str
    release: str
    size: int


class Shared:
    """A store.

    Args:
        url: a folder, or what fsspec takes: ``s3://bucket/path``, ``gs://bucket/path``. Where it
            is and who may read it, the environment says, as for all programs (``AWS_...``).

    Raises:
        UsageError: no such kind of store is known, or its library is not installed.
    """

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        self._fs, self._root = _opened(url)

    def read(self, name: str) -> dict[str, Any] | None:
        """The values that are stored under a name; None if there are none.

        Raises:
            HarnessError: the store cannot be read.
        """
        with self._told():
            try:
                data = json.loads(self._fs.cat_file(f"{self._root}/{name}.json"))
            except FileNotFoundError:
                return None
        if not isinstance(data, dict) or data.get("schema") != SCHEMA:
            raise HarnessError(f"{self.url}/{name}.json: is not of this version of khoci")
        return data

    def write(self, name: str, data: Mapping[str, Any]) -> None:
        """Store values under a name, at once.

        Raises:
            HarnessError: the store cannot be written.
        """
        content = json.dumps({"schema": SCHEMA, **data}, indent=2).encode()
        with self._told(), self._placed(f"{name}.json") as target:
            self._fs.pipe_file(target, content)

    def names(self, folder: str) -> list[str]:
        """The names below a folder, sorted.

        Raises:
            HarnessError: the store cannot be read.
        """
        with self._told():
            self._fs.invalidate_cache()
            try:
                found = self._fs.ls(f"{self._root}/{folder}", detail=False)
            except FileNotFoundError:
                return []
        files = (str(path).rpartition("/")[2] for path in found)
        return sorted(name.removesuffix(".json") for name in files if name.endswith(".json"))

    def put(self, path: Path, *, again: bool = False) -> str:
        """Store the content of a file, unless it is there; ``again``: all the same.

        Returns:
            its digest, by which `get` finds it.

        Raises:
            HarnessError: the store cannot be written.
        """
        digest = file_sha256(path)
        with self._told():
            if again or not self._is_there(f"blobs/{digest}", path.stat().st_size):
                with self._placed(f"blobs/{digest}") as target:
                    self._fs.put_file(str(path), target)
        return digest

    def get(self, digest: str, target: Path) -> None:
        """Write the content with this digest to ``target``.

        Raises:
            HarnessError: it is not there, or is not what it should be.
        """
        with self._told():
            self._fs.get_file(f"{self._root}/blobs/{digest}", str(target))
        if file_sha256(target) != digest:
            target.unlink()
            raise HarnessError(
                f"{self.url}/blobs/{digest}: has other bytes than its name says: "
                "put it there anew: khoci store push --again"
            )

    def _is_there(self, name: str, size: int) -> bool:
        try:
            return int(self._fs.info(f"{self._root}/{name}")["size"]) == size
        except FileNotFoundError:
            return False

    @contextmanager
    def _placed(self, name: str) -> Iterator[str]:
        """Where to write what then has this name: object stores show whole objects only."""
        target = f"{self._root}/{name}"
        if "file" not in self._fs.protocol:
            yield target
            return
        self._fs.makedirs(target.rpartition("/")[0], exist_ok=True)
        part = Path(f"{target}.{secrets.token_hex(4)}.part")
        try:
            yield str(part)
            part.replace(target)
        finally:
            part.unlink(missing_ok=True)

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Make one line of what a library raises; each has exceptions of its own."""
        try:
            yield
        except (HarnessError, KeyboardInterrupt):
            raise
        except Exception as error:
            first = (str(error).splitlines() or [""])[0]
            reason = f"{type(error).__name__}: {first}" if first else type(error).__name__
            raise HarnessError(f"store {self.url}: {reason}") from None


def push(shared: Shared, cache: Cache, key: str, *, again: bool = False) -> bool:
    """Put a kernel of the cache into the store; False if it is there already.

    Raises:
        HarnessError: the store cannot be written.
    """
    name = f"kernels/{key}"
    if not again and shared.read(name) is not None:
        return False
    folder = cache.folder(key)
    metadata = cache.metadata(key)
    files = {
        path.name: {"sha256": shared.put(path, again=again), "size": path.stat().st_size}
        for path in sorted(folder.iterdir())
        if path.is_file() and not path.name.startswith(".")
    }
    told = {word: str(metadata.get(word, "")) for word in ("name", "release")}
    shared.write(name, {"key": key, **told, "files": files})
    return True


def pull(shared: Shared, cache: Cache, key: str) -> bool:
    """Get a kernel from the store into the cache; False if the store has it not.

    The caller holds the key.

    Raises:
        HarnessError: the store cannot be read, or has other bytes than it says.
    """
    data = shared.read(f"kernels/{key}")
    if data is None:
        return False
    where = f"{shared.url}/kernels/{key}.json"
    try:
        files = {str(name): str(item["sha256"]) for name, item in data["files"].items()}
        if data["key"] != key or METADATA not in files or not all(map(_is_plain, files)):
            raise ValueError
    except (KeyError, TypeError, ValueError, AttributeError):
        raise HarnessError(f"{where}: is not the list of a kernel's files") from None
    with cache.new_folder(key) as folder:
        for name, digest in files.items():
            shared.get(digest, folder / name)
    return True


def kernels_in(shared: Shared) -> list[SharedKernel]:
    """The kernels of a store, by name.

    Raises:
        HarnessError: the store cannot be read.
    """
    found = []
    for key in shared.names("kernels"):
        data = shared.read(f"kernels/{key}") or {}
        size = sum(int(item.get("size", 0)) for item in data.get("files", {}).values())
        found.append(SharedKernel(key, data.get("name", ""), data.get("release", ""), size))
    return sorted(found, key=lambda each: (each.name, each.key))


def _is_plain(name: str) -> bool:
    return Path(name).name == name and not name.startswith(".")


def _opened(url: str) -> tuple[AbstractFileSystem, str]:
    from fsspec.core import url_to_fs  # noqa: PLC0415  (slow to import)

    try:
        fs, root = url_to_fs(url, use_listings_cache=False, skip_instance_cache=True)
    except ImportError:
        extra = _EXTRAS.get(url.partition(":")[0], url.partition(":")[0])
        raise UsageError(f"store {url}: needs a library, pip install 'khoci[{extra}]'") from None
    except ValueError as error:
        raise UsageError(f"store {url}: {error}") from None
    return fs, str(root).rstrip("/")
