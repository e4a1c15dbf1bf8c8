"""Matrix files: which kernels, pairs and scenarios a run is made of."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from khoci.config.kernels import fragments
from khoci.config.toml import Table, load
from khoci.errors import UsageError
from khoci.paths import data_dir
from khoci.sizes import parse_size

DEFAULT_MATRIX = "default"
"""The matrix that is run when none is named."""

PAIRS = ("self", "adjacent", "upgrade", "rollback", "all")
_STEP = 1 << 20
_OTHERS = ("kernels", "policy", "loglines")
"""Files beside the matrix files that are none."""


@dataclass(frozen=True)
class GuestConfig:
    """What both sides of every cell run on.

    Attributes:
        memory: RAM in bytes.
        cpus: number of virtual CPUs.
        scratch: value of ``kho_scratch=``; the same on all kernels, so that an old producer
            leaves enough room for a newer consumer.
        cmdline: more kernel parameters.
    """

    memory: int = 1 << 30
    cpus: int = 1
    scratch: str = "16M,256M,128M"
    cmdline: str = "liveupdate=on"


@dataclass(frozen=True)
class MatrixConfig:
    """One matrix file.

    Attributes:
        file: where it was read from.
        name: what the user called it.
        kernels: names as in ``kernels.toml`` (``6.18`` is the newest of that series).
        pairs: one of ``PAIRS``.
        scenarios: names of scenarios.
        guest: the machine.
        config: kconfig fragments on top of those of each kernel.
    """

    file: Path
    name: str
    kernels: tuple[str, ...]
    pairs: str
    scenarios: tuple[str, ...]
    guest: GuestConfig
    config: tuple[Path, ...] = ()


def load_matrix(path: Path, name: str = "") -> MatrixConfig:
    """Read a matrix file, that the user calls ``name``, or else by its path.

    Raises:
        UsageError: the file, a table or a key is wrong; the message says which.
    """
    top = load(path)
    top.only("kernels", "pairs", "scenarios", "guest", "config")
    pairs = top.string("pairs") or "all"
    if pairs not in PAIRS:
        raise top.error(f"key 'pairs' must be one of {', '.join(PAIRS)}, not '{pairs}'")
    return MatrixConfig(
        file=path,
        name=name or str(path),
        kernels=_needed(top, "kernels"),
        pairs=pairs,
        scenarios=_needed(top, "scenarios"),
        guest=_guest(top.table("guest")),
        config=fragments(top, top.strings("config")),
    )


def _needed(table: Table, key: str) -> tuple[str, ...]:
    values = table.strings(key)
    if not values:
        raise table.error(f"key '{key}' is missing or empty")
    return values


def _guest(table: Table | None) -> GuestConfig:
    default = GuestConfig()
    if table is None:
        return default
    table.only("memory", "cpus", "kho_scratch", "cmdline")
    return GuestConfig(
        memory=_memory(table, default.memory),
        cpus=_positive(table, "cpus", default.cpus),
        scratch=_or(table.string("kho_scratch"), default.scratch),
        cmdline=_or(table.string("cmdline"), default.cmdline),
    )


def _or(value: str | None, default: str) -> str:
    return default if value is None else value


def _positive(table: Table, key: str, default: int) -> int:
    value = table.integer(key)
    if value is not None and value < 1:
        raise table.error(f"key '{key}' must be at least 1")
    return default if value is None else value


def _memory(table: Table, default: int) -> int:
    text = table.string("memory")
    size = default if text is None else parse_size(text)
    if not size or size % _STEP or size < 128 << 20:
        raise table.error(
            f"key 'memory' must be whole megabytes, at least 128M, such as '1G', not '{text}'"
        )
    return size


def matrix_folders() -> tuple[Path, ...]:
    """Where matrix files are looked for: here, then what is shipped."""
    return Path("matrix"), data_dir("matrix")


def matrix_files(folders: tuple[Path, ...]) -> dict[str, Path]:
    """The matrix files of some folders by name, sorted; those of an earlier folder go first."""
    found = {
        path.stem: path
        for folder in reversed(folders)
        for path in folder.glob("*.toml")
        if path.stem not in _OTHERS
    }
    return dict(sorted(found.items()))


def find_matrix_file(name: str, folders: tuple[Path, ...]) -> Path:
    """A matrix file by path, or by name in one of the folders (``releases``: releases.toml).

    Raises:
        UsageError: there is none.
    """
    path = Path(name)
    named = [folder / f"{path.stem}.toml" for folder in folders]
    candidates = [path] if path.parent.name else [path, *named]
    for candidate in candidates:
        if candidate.is_file():
            return candidate
    raise UsageError(f"no matrix file '{name}': looked for {', '.join(map(str, candidates))}")
