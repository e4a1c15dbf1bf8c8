"""What the patches of a kernel change in the definitions of the handover, without a build.

The files that define it are kept by source, as JSON: a source package is only unpacked once for
all kernels that patch it (once more for those whose patches move other files).
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from khoci.abi.changes import changes
from khoci.abi.places import WHICH, is_handover
from khoci.config.kernels import DebianImageSource, ImageSource
from khoci.errors import HarnessError
from khoci.files import write_atomic
from khoci.kernel.cache import Cache
from khoci.kernel.download import NotThereError, UnreachableError
from khoci.kernel.patches import apply_patches, touched_by
from khoci.kernel.source import describe, fill_tree, identity
from khoci.paths import cache_dir
from khoci.progress import NoProgress

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from khoci.abi.changes import Change
    from khoci.config.kernels import KernelSpec, TreeSource
    from khoci.progress import Progress

_MAKEFILE = "Makefile"
"""Without it, it is no kernel's tree."""


def changes_by_patches(
    spec: KernelSpec, progress: Progress | None = None, cache: Cache | None = None
) -> tuple[Change, ...]:
    """What the patches of ``spec`` change, against the source that they are applied to.

    Raises:
        BuildError: one does not apply.
        HarnessError: none of the sources can be had.
    """
    patches = {patch: touched_by(spec.name, [patch]) for patch in spec.patches}
    touched = frozenset().union(*(patch.names for patch in patches.values()))
    if not any(map(is_handover, touched)):
        return ()
    moved = frozenset().union(*(patch.moved for patch in patches.values()))
    names = moved.union(filter(is_handover, touched))
    before = _before(spec, moved, cache or Cache(cache_dir()), progress or NoProgress())
    with tempfile.TemporaryDirectory(prefix="khoci-") as folder:
        tree = Path(folder) / "linux"
        tree.mkdir()
        _write(tree, {name: before[name] for name in names & before.keys()})
        for patch, of in patches.items():
            if only := of.names & names:
                apply_patches(spec.name, [patch], tree, only)
        after = {name: text for name, text in before.items() if name not in names}
        return changes(before, after | _read(tree, names))


def _before(
    spec: KernelSpec, moved: frozenset[str], cache: Cache, progress: Progress
) -> dict[str, str]:
    """The files of the first source that can be had, by path; those in ``moved`` too."""
    failure: HarnessError | None = None
    for source in spec.sources:
        if isinstance(source, ImageSource | DebianImageSource):
            continue
        try:
            if source_id := identity(source):
                return _Definitions(cache, progress, moved).of(source, source_id)
        except (NotThereError, UnreachableError) as error:
            failure = error
    raise HarnessError(f"{spec.name}: its sources are not here: {failure or 'it has none'}")


@dataclass(frozen=True, slots=True)
class _Definitions:
    """The files of sources that define the handover, and those that patches move."""

    cache: Cache
    progress: Progress
    moved: frozenset[str]

    def of(self, source: TreeSource, source_id: str) -> dict[str, str]:
        """The files by path, from the cache if they are there."""
        which = hashlib.sha256(json.dumps([WHICH, *sorted(self.moved)]).encode()).hexdigest()
        path = self.cache.definitions / f"{source_id[:32]}-{which[:16]}.json"
        kept = _kept(path)
        if kept is not None:
            return kept
        with tempfile.TemporaryDirectory(prefix="khoci-") as folder:
            tree = Path(folder) / "linux"
            fill_tree(source, tree, self.cache.downloads, self._unpacked, self.progress)
            names = (str(file.relative_to(tree)) for file in sorted(tree.rglob("*")))
            files = _read(tree, filter(self._wanted, names))
        self.cache.definitions.mkdir(parents=True, exist_ok=True)
        write_atomic(path, json.dumps({"source": describe(source), "files": files}))
        return files

    def _wanted(self, path: str) -> bool:
        return path in self.moved or is_handover(path)

    def _unpacked(self, path: str) -> bool:
        return path == _MAKEFILE or self._wanted(path)


def _kept(path: Path) -> dict[str, str] | None:
    """The files as they are kept; None if they are not, or what is there cannot be read."""
    try:
        files = json.loads(path.read_text())["files"]
    except (OSError, ValueError, LookupError, TypeError):
        return None
    return files if isinstance(files, dict) else None


def _write(tree: Path, files: Mapping[str, str]) -> None:
    for name, text in files.items():
        path = tree / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, errors="surrogateescape", newline="")


def _read(tree: Path, names: Iterable[str]) -> dict[str, str]:
    paths = ((name, tree / name) for name in names)
    return {
        name: path.read_bytes().decode(errors="surrogateescape")
        for name, path in paths
        if path.is_file() and not path.is_symlink()
    }
