"""How much memory there is for guests: of the machine, and of the cgroups that khoci runs in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")
_CGROUPS = Path("/sys/fs/cgroup")


@dataclass(frozen=True)
class _Version:
    """The files of a memory cgroup.

    Attributes:
        limit, usage: in bytes.
        caches: fields of ``memory.stat`` with what is given back when it is needed.
    """

    limit: str
    usage: str
    caches: tuple[str, ...]


_V1 = _Version(
    "memory.limit_in_bytes",
    "memory.usage_in_bytes",
    ("total_inactive_file", "total_active_file"),
)
_V2 = _Version("memory.max", "memory.current", ("inactive_file", "active_file"))


def available_memory(proc: Path = _PROC, cgroups: Path = _CGROUPS) -> int | None:
    """Bytes that can be used before anything is killed for it; None where nobody can tell."""
    found = [_of_the_machine(proc / "meminfo"), *_of_cgroups(proc / "self/cgroup", cgroups)]
    return min((value for value in found if value is not None), default=None)


def _of_the_machine(meminfo: Path) -> int | None:
    with suppress(OSError, ValueError, KeyError):
        return int(_fields(meminfo, ":")["MemAvailable"].split()[0]) * 1024
    return None


def _of_cgroups(own: Path, root: Path) -> Iterator[int]:
    """What is left in each group with a limit, from khoci's own to the root.

    In a container the path may be one that only the host has: then the root is what counts.
    """
    with suppress(OSError):
        for line in own.read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            if not controllers:
                yield from _upwards(root, path, _V2)
            elif "memory" in controllers.split(","):
                yield from _upwards(root / "memory", path, _V1)


def _upwards(root: Path, path: str, version: _Version) -> Iterator[int]:
    inside = Path(path.lstrip("/"))
    for folder in (inside, *inside.parents):
        with suppress(OSError, ValueError):  # no such group, or no limit
            limit = int((root / folder / version.limit).read_text())
            used = int((root / folder / version.usage).read_text())
            stat = _fields(root / folder / "memory.stat", " ")
            yield max(0, limit - used + sum(int(stat.get(name, 0)) for name in version.caches))


def _fields(file: Path, separator: str) -> Mapping[str, str]:
    lines = (line.partition(separator) for line in file.read_text().splitlines())
    return {name: value for name, _, value in lines}
