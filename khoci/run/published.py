"""Shards that come back through the shared store, where machines have no folder in common.

URL/runs/<run>/<I>-of-<N>.json names an archive of the shard's folder, as far as it went.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from khoci.errors import HarnessError
from khoci.kernel.shared import Shared
from khoci.kernel.tar import tarfile
from khoci.run.folder import RunFolder


def publish(shared: Shared, run: str, label: str, folder: RunFolder) -> None:
    """Put a shard as it is into the store.

    Args:
        shared: the store.
        run: id of the run that it is a part of.
        label: of the shard, ``1/8``.
        folder: its own.

    Raises:
        HarnessError: the store cannot be written.
    """
    with tempfile.TemporaryDirectory(prefix="khoci-") as work:
        archive = Path(work) / "shard.tar.gz"
        with tarfile.open(archive, "w:gz", compresslevel=6) as tar:
            tar.add(folder.path, arcname=".")
        shared.write(_name(run, label), {"archive": shared.put(archive)})


def published(shared: Shared, run: str, label: str) -> str:
    """The digest of what the store has of a shard; empty if it has nothing.

    Raises:
        HarnessError: the store cannot be read.
    """
    data = shared.read(_name(run, label))
    return "" if data is None else str(data["archive"])


def take(shared: Shared, digest: str, folder: Path) -> None:
    """Put what was published into a folder, over what is there.

    Raises:
        HarnessError: the store cannot be read, or has something else than a shard.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="khoci-") as work:
        archive = Path(work) / "shard.tar.gz"
        shared.get(digest, archive)
        try:
            with tarfile.open(archive) as tar:
                tar.extractall(folder, filter="data")
        except (tarfile.TarError, OSError, ValueError) as error:
            raise HarnessError(f"{shared.url}/blobs/{digest}: is no shard: {error}") from None


def _name(run: str, label: str) -> str:
    return f"runs/{run}/{label.replace('/', '-of-')}"
