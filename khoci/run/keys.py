"""Which bytes the kernels of a run have: their keys, kept with it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

from khoci.errors import UsageError
from khoci.files import write_atomic
from khoci.run.folder import RunFolder

Keys = Mapping[str, str]
"""Keys of kernels, by name."""

_FILE = "kernels.json"
_SCHEMA = 1


def keys_of(folder: RunFolder) -> dict[str, str]:
    """The keys of the kernels that a run has used so far.

    Raises:
        UsageError: they were written by another version of khoci.
    """
    file = folder.meta(_FILE)
    try:
        data = json.loads(file.read_text(encoding="utf-8"))
        if data["schema"] != _SCHEMA:
            raise ValueError
        return {str(name): str(key) for name, key in data["kernels"].items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise UsageError(f"{file}: cannot be read by this version of khoci") from None


def keep_keys(folder: RunFolder, keys: Keys) -> None:
    """Keep the keys of these kernels beside those that the run has already.

    Raises:
        UsageError: it has results of another kernel of the same name.
    """
    known = keys_of(folder)
    agreed = agreed_keys([(folder.id, known), ("what would run now", keys)])
    if agreed != known:
        data = {"schema": _SCHEMA, "kernels": dict(sorted(agreed.items()))}
        write_atomic(folder.meta(_FILE), json.dumps(data, indent=2) + "\n")


def agreed_keys(runs: Iterable[tuple[str, Keys]]) -> dict[str, str]:
    """The keys of all kernels of some runs, that are named.

    Raises:
        UsageError: two runs have different kernels of the same name.
    """
    found: dict[str, tuple[str, str]] = {}
    for run, keys in runs:
        for name, key in keys.items():
            other, known = found.setdefault(name, (run, key))
            if known != key:
                raise UsageError(
                    f"{name} is not the same kernel everywhere: its key is {known[:12]} in "
                    f"{other} and {key[:12]} in {run}: these results do not belong together"
                )
    return {name: key for name, (_, key) in found.items()}
