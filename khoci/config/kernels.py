"""``kernels.toml``: the kernels by name, and where each may come from."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from khoci.config.toml import Table, did_you_mean, load
from khoci.errors import UsageError
from khoci.paths import data_dir

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

ARCHES = ("x86_64",)
DEFAULT_CONFIG = ("base", "kho")
_RELEASE = re.compile(r"v?(\d+(?:\.\d+)+)(?:-rc(\d+))?")
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class GitSource:
    """A commit of a git tree; no ``tree`` means the user's own linux.git, if one is set up."""

    ref: str
    tree: Path | None = None


@dataclass(frozen=True, slots=True)
class Package:
    """One package of the Debian archive; ``pool`` is the source package it is filed under."""

    name: str
    version: str
    sha256: str
    arch: str = "all"
    pool: str = "linux"


@dataclass(frozen=True, slots=True)
class DebianSource:
    """A Debian ``linux-source`` package, in the pool of the machine's mirror."""

    package: Package


@dataclass(frozen=True, slots=True)
class TarballSource:
    """A tar archive of a source tree, by address (``https:``, ``file:``) or path."""

    url: str
    sha256: str


@dataclass(frozen=True, slots=True)
class ImageSource:
    """An image that is there already, and what is known about it."""

    path: Path
    system_map: Path | None = None
    config: Path | None = None


@dataclass(frozen=True, slots=True)
class DebianImageSource:
    """A distribution kernel: the packages that together hold image, config and System.map."""

    packages: tuple[Package, ...]


TreeSource = GitSource | DebianSource | TarballSource
ReadySource = ImageSource | DebianImageSource
Source = TreeSource | ReadySource


@dataclass(frozen=True, slots=True)
class KernelSpec:
    """A kernel as the matrix file defines it.

    ``sources`` in the order to try. ``config`` holds kconfig fragments, later ones win;
    ``exceptions`` says in which releases a symbol may be asked for.
    ``patches`` are applied in order. ``cmdline`` is added to its kernel command line.
    ``full_tree`` unpacks all of the sources, for configs that need more drivers than a
    virtual machine does. ``untrusted``: strangers wrote the patches (where there are none, the
    source), so it is built in a sandbox; the bytes are the same, and so is the key.
    """

    name: str
    sources: tuple[Source, ...]
    arch: str = "x86_64"
    series: str | None = None
    config: tuple[Path, ...] = ()
    exceptions: Path | None = None
    patches: tuple[Path, ...] = ()
    cmdline: str = ""
    full_tree: bool = False
    untrusted: bool = False

    @property
    def version(self) -> tuple[int, ...]:
        """The release number for ordering; a release candidate comes before its release."""
        return release_number(self.name)


@dataclass(frozen=True, slots=True)
class Kernels:
    """Kernels by name; ``file`` is the one that counts most of those that define them."""

    file: Path
    by_name: Mapping[str, KernelSpec]

    @property
    def names(self) -> tuple[str, ...]:
        """All names: releases by number, then the others by name."""
        return tuple(sorted(self.by_name, key=_order))

    def trusted(self) -> Kernels:
        """The same kernels, trusted all: what ``--no-sandbox`` asks for.

        What their patches make of the makefiles then runs with the rights of the user, in the
        trees that other kernels are built in.
        """
        trusted = {name: replace(spec, untrusted=False) for name, spec in self.by_name.items()}
        return Kernels(self.file, trusted)

    def with_config(self, fragments: tuple[Path, ...]) -> Kernels:
        """The same kernels, with these kconfig fragments on top of those that each has."""
        more = {
            name: replace(spec, config=(*spec.config, *fragments))
            for name, spec in self.by_name.items()
        }
        return Kernels(self.file, more)

    def select(self, name: str) -> KernelSpec:
        """The kernel called ``v6.18.15`` or ``6.18.15``, or the newest of the series ``6.18``.

        Raises:
            UsageError: there is none; the message lists what exists.
        """
        for exact in (name, f"v{name}"):
            if exact in self.by_name:
                return self.by_name[exact]
        series = [spec for spec in self.by_name.values() if spec.series == name.removeprefix("v")]
        if series:
            return max(series, key=lambda spec: spec.version)
        raise UsageError(
            f"unknown kernel '{name}'{did_you_mean(name, self.names)}: "
            f"there are {', '.join(self.names)} ({self.file})"
        )


def release_number(name: str) -> tuple[int, ...]:
    """``v6.18.15`` as (6, 18, 15, 0); of a release candidate, the last number is negative.

    A name that is no release gives an empty tuple.
    """
    match = _RELEASE.fullmatch(name)
    if match is None:
        return ()
    numbers = [int(part) for part in match[1].split(".")]
    candidate = int(match[2]) - 1_000_000 if match[2] else 0
    return (*numbers, *[0] * (3 - len(numbers)), candidate)


def known_kernels(*more: Path) -> Kernels:
    """The kernels that are shipped, on top of them those of ``matrix/kernels.toml`` here.

    Args:
        more: files whose kernels go before both, if they are there; the last one before all.

    Raises:
        UsageError: a file, a table or a key is wrong; the message says which.
    """
    files = (data_dir("matrix") / "kernels.toml", Path("matrix/kernels.toml"), *more)
    here = {path.resolve(): path for path in files if path.is_file()}
    loaded = [load_kernels(path) for path in here.values()]
    by_name = {name: spec for kernels in loaded for name, spec in kernels.by_name.items()}
    return Kernels(loaded[-1].file, by_name)


def load_kernels(path: Path) -> Kernels:
    """Read ``kernels.toml``.

    Raises:
        UsageError: the file, a table or a key is wrong; the message says which.
    """
    top = load(path)
    top.only("kernel")
    tables = top.named("kernel")
    if not tables:
        raise top.error("no [kernel.NAME] table")
    return Kernels(path, {name: _kernel(name, table) for name, table in tables.items()})


def usual_kernel(name: str, source: Source) -> KernelSpec:
    """A kernel that no file defines: with the fragments that one gets that names none.

    Raises:
        UsageError: a fragment is not there.
    """
    table = Table(Path("matrix/kernels.toml"), f"kernel.{name}", {})
    return KernelSpec(
        name=name,
        sources=(source,),
        config=fragments(table, DEFAULT_CONFIG),
        exceptions=_kconfig(table.file, "exceptions.toml"),
    )


def fragments(table: Table, words: Iterable[str]) -> tuple[Path, ...]:
    """Kconfig fragments that a matrix file names: ``base`` is ``kconfig/base.config``, or by path.

    Raises:
        UsageError: one is not there.
    """
    return tuple(_fragment(table, word) for word in words)


def _order(name: str) -> tuple[bool, tuple[int, ...], str]:
    number = release_number(name)
    return not number, number, name


def _kernel(name: str, table: Table) -> KernelSpec:
    table.only(
        "arch", "series", "sources", "config", "patches", "cmdline", "full_tree", "untrusted"
    )
    sources = tuple(_source(source) for source in table.tables("sources"))
    if not sources:
        raise table.error("key 'sources' is missing")
    strange = any(isinstance(each, GitSource) and _is_applied(each.ref) for each in sources)
    if strange and table.strings("patches"):
        raise table.error("a branch of khoci's with patches: apply-series --onto does that")
    arch = table.string("arch") or "x86_64"
    if arch not in ARCHES:
        raise table.error(f"arch '{arch}' is not supported{did_you_mean(arch, ARCHES)}")
    return KernelSpec(
        name=name,
        sources=sources,
        arch=arch,
        series=table.string("series") or _series(name),
        config=fragments(table, table.strings("config") or DEFAULT_CONFIG),
        exceptions=_kconfig(table.file, "exceptions.toml"),
        patches=tuple(_existing(table, Path(word)) for word in table.strings("patches")),
        cmdline=table.string("cmdline") or "",
        full_tree=table.boolean("full_tree") or False,
        untrusted=strange or table.boolean("untrusted") or False,
    )


def _is_applied(ref: str) -> bool:
    """Whether it is a branch of a series that khoci applied, which strangers wrote."""
    return ref.removeprefix("refs/").removeprefix("heads/").startswith("khoci/")


def _series(name: str) -> str | None:
    number = release_number(name)
    return f"{number[0]}.{number[1]}" if number else None


def _fragment(table: Table, word: str) -> Path:
    """A fragment by name (``base``: ``kconfig/base.config``) or by path."""
    if "/" in word:
        return _existing(table, Path(word))
    return _kconfig(table.file, f"{word}.config") or _existing(
        table, Path(f"kconfig/{word}.config")
    )


def _kconfig(file: Path, name: str) -> Path | None:
    """A file of the folder ``kconfig`` beside the matrix file, else of the one shipped."""
    for folder in (file.parent, data_dir("matrix")):
        path = folder / "kconfig" / name
        if path.is_file():
            return path
    return None


def _existing(table: Table, path: Path) -> Path:
    found = table.file.parent / path.expanduser()
    if not found.is_file():
        raise table.error(f"{found} does not exist")
    return found


def _source(table: Table) -> Source:
    for kind, read in _SOURCES.items():
        if kind in table.values:
            return read(table)
    raise table.error(f"needs one of the keys {', '.join(_SOURCES)}")


def _git(table: Table) -> GitSource:
    table.only("ref", "git")
    return GitSource(table.need("ref", table.string("ref")), table.path("git"))


def _debian(table: Table) -> DebianSource:
    table.only("debian", "version", "sha256")
    return DebianSource(
        Package(
            name=table.need("debian", table.string("debian")),
            version=table.need("version", table.string("version")),
            sha256=_sha256(table),
        )
    )


def _tarball(table: Table) -> TarballSource:
    table.only("tarball", "sha256")
    address = table.need("tarball", table.string("tarball"))
    if "://" not in address:
        address = table.need("tarball", table.path("tarball")).absolute().as_uri()
    return TarballSource(address, _sha256(table))


def _image(table: Table) -> ImageSource:
    table.only("image", "system_map", "config")
    return ImageSource(
        path=table.need("image", table.path("image")),
        system_map=table.path("system_map"),
        config=table.path("config"),
    )


def _debian_image(table: Table) -> DebianImageSource:
    table.only("debian-image")
    packages = tuple(_package(package) for package in table.tables("debian-image"))
    if not packages:
        raise table.error("key 'debian-image' must list at least one package")
    return DebianImageSource(packages)


def _package(table: Table) -> Package:
    table.only("package", "version", "arch", "pool", "sha256")
    return Package(
        name=table.need("package", table.string("package")),
        version=table.need("version", table.string("version")),
        sha256=_sha256(table),
        arch=table.string("arch") or "amd64",
        pool=table.string("pool") or "linux",
    )


def _sha256(table: Table) -> str:
    digest = table.need("sha256", table.string("sha256"))
    if not _SHA256.fullmatch(digest):
        raise table.error("key 'sha256' must be 64 lower-case hex digits")
    return digest


_SOURCES: Mapping[str, Callable[[Table], Source]] = {
    "ref": _git,
    "debian": _debian,
    "tarball": _tarball,
    "image": _image,
    "debian-image": _debian_image,
}
