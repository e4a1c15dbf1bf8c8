"""What the patched kernels of a run understand, kept with it: their sources may be gone later."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict

from khoci.config.abi import Abi, Releases
from khoci.errors import UsageError
from khoci.files import write_atomic
from khoci.run.folder import RunFolder

_SCHEMA = 1


def keep(folder: RunFolder, readers: Iterable[Abi]) -> None:
    """Keep these patched kernels beside those that the run has already."""
    known = {abi.name: abi for abi in (*kept(folder), *readers)}
    if known:
        data = {"schema": _SCHEMA, "readers": [asdict(abi) for abi in known.values()]}
        write_atomic(folder.meta("readers.json"), json.dumps(data, indent=2) + "\n")


def with_kept(releases: Releases, folder: RunFolder) -> Releases:
    """The releases, and the patched kernels of a run.

    Raises:
        UsageError: what the run keeps of them was written by another version of khoci.
    """
    return releases.with_patched(kept(folder))


def kept(folder: RunFolder) -> list[Abi]:
    """What a run keeps of its patched kernels.

    Raises:
        UsageError: it was written by another version of khoci.
    """
    file = folder.meta("readers.json")
    try:
        data = json.loads(file.read_text(encoding="utf-8"))
        if data["schema"] != _SCHEMA:
            raise ValueError
        return [Abi.from_json(item) for item in data["readers"]]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, KeyError, TypeError):
        raise UsageError(f"{file}: cannot be read by this version of khoci") from None
