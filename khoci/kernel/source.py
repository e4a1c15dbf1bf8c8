"""Where the sources of a kernel come from, what identifies them, and how they become a tree."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from khoci.config.kernels import (
    DebianImageSource,
    DebianSource,
    GitSource,
    ImageSource,
    TarballSource,
)
from khoci.errors import HarnessError
from khoci.kernel.download import NotThereError, UnreachableError, download, verified
from khoci.kernel.gittree import configured_tree, export, tree_id
from khoci.kernel.mirror import deb_name, mirrors, pool_path
from khoci.kernel.unpack import Choice, packed_in, unpack_deb, unpack_tarball

if TYPE_CHECKING:
    from collections.abc import Iterator

    from khoci.config.kernels import Package, Source, TreeSource
    from khoci.progress import Progress


def identity(source: TreeSource) -> str | None:
    """What decides the content of ``source``, found without fetching it.

    None where it is not usable here: no git tree is set up, or it does not have the ref.
    """
    match source:
        case GitSource():
            return tree_id(source)
        case DebianSource():
            return source.package.sha256
        case TarballSource():
            return source.sha256


def describe(source: Source) -> str:
    """A few words on where a source is, for lists and messages."""
    match source:
        case GitSource():
            return f"git {source.ref} of {source.tree or configured_tree() or 'no tree set up'}"
        case DebianSource():
            return f"{source.package.name} {source.package.version}"
        case TarballSource():
            return source.url
        case ImageSource():
            return str(source.path)
        case DebianImageSource():
            first = source.packages[0]
            return f"{first.name} {first.version}"


def on_disk(source: TreeSource, downloads: Path) -> bool:
    """Whether nothing has to be fetched for ``source``."""
    match source:
        case DebianSource():
            return (downloads / deb_name(source.package)).is_file()
        case TarballSource():
            return source.url.startswith("file:") or _tarball_path(source, downloads).is_file()
        case GitSource():
            return True


def fill_tree(
    source: TreeSource, tree: Path, downloads: Path, chosen: Choice, progress: Progress
) -> None:
    """Put the chosen files of a source into the folder ``tree``, which has none of them yet.

    Raises:
        NotThereError, UnreachableError: it cannot be fetched now; another source may do.
        HarnessError: what was fetched is wrong or damaged, or the disk is full.
    """
    tree.mkdir(exist_ok=True)
    match source:
        case GitSource():
            with _told(progress, f"checking out {source.ref}"):
                export(source, tree, chosen)
        case DebianSource():
            deb = fetch_package(source.package, downloads, progress)
            with _told(progress, f"unpacking {deb.name}"):
                unpack_deb(deb, tree, chosen)
        case TarballSource():
            tarball = _fetch_tarball(source, downloads, progress)
            with _told(progress, f"unpacking {tarball.name}"):
                unpack_tarball(tarball, tree, chosen)


@contextmanager
def packed_tree(
    source: DebianSource | TarballSource, downloads: Path, progress: Progress
) -> Iterator[IO[bytes]]:
    """The tar archive, compressed, of a source tree; fetched if need be.

    Raises:
        NotThereError, UnreachableError: it cannot be fetched now.
        HarnessError: what was fetched is wrong or damaged, or the disk is full.
    """
    match source:
        case DebianSource():
            with packed_in(fetch_package(source.package, downloads, progress)) as packed:
                yield packed
        case TarballSource():
            with _fetch_tarball(source, downloads, progress).open("rb") as packed:
                yield packed


def fetch_package(package: Package, downloads: Path, progress: Progress) -> Path:
    """A package of the Debian pool, from the first of this machine's mirrors that has it.

    Raises:
        NotThereError, UnreachableError: no mirror has it, or none can be reached.
        HarnessError: the digest is wrong, or the disk is full.
    """
    target = downloads / deb_name(package)
    if verified(target, package.sha256):
        return target
    failure: HarnessError | None = None
    for base in mirrors():
        try:
            return download(base + pool_path(package), target, package.sha256, progress)
        except (NotThereError, UnreachableError) as error:
            failure = _worse(failure, error)
    raise failure or NotThereError(f"{target.name} is not on the mirror")


def _worse(one: HarnessError | None, other: HarnessError) -> HarnessError:
    """The failure worth showing: that a mirror cannot be reached, over that it lacks a file."""
    return one if isinstance(one, UnreachableError) else other


@contextmanager
def _told(progress: Progress, task: str) -> Iterator[None]:
    progress.start(task)
    try:
        yield
    finally:
        progress.done()


def _fetch_tarball(source: TarballSource, downloads: Path, progress: Progress) -> Path:
    parts = urlsplit(source.url)
    if parts.scheme != "file":
        return download(source.url, _tarball_path(source, downloads), source.sha256, progress)
    path = Path(unquote(parts.path))
    if not path.is_file():
        raise NotThereError(f"{path}: does not exist")
    if not verified(path, source.sha256):
        raise HarnessError(f"{path}: its SHA-256 is not {source.sha256} as the matrix file says")
    return path


def _tarball_path(source: TarballSource, downloads: Path) -> Path:
    name = unquote(urlsplit(source.url).path.rpartition("/")[2])
    return downloads / f"{source.sha256[:12]}-{name}"
