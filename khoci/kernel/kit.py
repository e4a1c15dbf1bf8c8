"""What is kept of a kernel's sources to read the ABI of: the headers that a probe comes to.

A few hundred files and a configuration, as JSON in the cache: the second time, and for all series
on top of the source, nothing is unpacked and no make runs.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from khoci.abi.places import WHICH, is_document, is_handover
from khoci.abi.probe import Probe
from khoci.config.kernels import (
    DebianImageSource,
    DebianSource,
    ImageSource,
    TarballSource,
)
from khoci.errors import HarnessError, UsageError
from khoci.files import write_atomic
from khoci.kernel.arch import ARCHES
from khoci.kernel.cache import Cache
from khoci.kernel.configure import request_of, requested_config
from khoci.kernel.download import NotThereError, UnreachableError
from khoci.kernel.headers import Headers, text_of
from khoci.kernel.job import toolchain
from khoci.kernel.make import OBJECTS, Make
from khoci.kernel.patches import apply_patches, touched_by
from khoci.kernel.sandbox import Sandbox
from khoci.kernel.source import describe, fill_tree, identity
from khoci.kernel.unpack import wanted

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from khoci.config.kernels import KernelSpec, TreeSource
    from khoci.kernel.configure import Request
    from khoci.progress import Progress

RECIPE = 2
"""To be raised when other headers or another configuration have to be kept."""

CONFIG = ".config"
ARCH = "x86_64"
_ALSO = ("include/linux/compiler-version.h", "include/linux/kconfig.h")


@dataclass(frozen=True, slots=True)
class Kit:
    """What is kept of a source: the texts of files by path, its config, where it comes from."""

    provenance: Mapping[str, str]
    config: str
    files: Mapping[str, str]

    def concerns(self, name: str, patches: Sequence[Path]) -> bool:
        """Whether patches touch something that is kept, or bring along what might be."""
        touched = touched_by(name, patches)
        return any(map(self._is_near, touched.names | touched.created))

    def _is_near(self, path: str) -> bool:
        return path in self.files or is_handover(path) or path.startswith("include/")

    def names(self, name: str, patches: Sequence[Path]) -> frozenset[str]:
        """The files that patches touch and that are kept, or new and near."""
        touched = touched_by(name, patches)
        return frozenset(
            path
            for path in touched.names
            if path in self.files or self._is_new(path, touched.created)
        )

    def _is_new(self, path: str, created: frozenset[str]) -> bool:
        return path in created and self._is_near(path)


def put(kit: Kit, spec: KernelSpec, folder: Path) -> None:
    """Write what is kept into a folder, with the patches of a kernel applied.

    Raises:
        BuildError: one does not apply.
    """
    _write(folder, kit.files)
    only = kit.names(spec.name, spec.patches)
    for patch in spec.patches:
        names = touched_by(spec.name, [patch]).names & only
        if names:
            apply_patches(spec.name, [patch], folder, names)


def sandbox_of(spec: KernelSpec) -> Sandbox | None:
    """The sandbox that the compiler of a kernel runs in, seen to work; None if it needs none.

    Raises:
        HarnessError: it needs one, and none can be had here.
    """
    if not spec.untrusted:
        return None
    sandbox = Sandbox(spec.name)
    sandbox.require()
    return sandbox


def kit_of(spec: KernelSpec, cache: Cache, progress: Progress) -> Kit:
    """What is kept of the first source of a kernel that can be had; it is made if need be.

    Raises:
        UsageError: it is a ready image.
        HarnessError: none of its sources can be had.
    """
    failure: HarnessError | None = None
    for source in _sources(spec):
        source_id = identity(source)
        if source_id is None:
            continue
        path = cache.definitions / f"{source_id[:32]}-{_kit_key(spec)[:16]}.kit.json"
        kept = _kept(path)
        if kept is not None:
            return kept
        try:
            with configured_tree(spec, source, cache, progress) as headers:
                made = _made(headers, {"source": describe(source), "source_id": source_id})
        except (NotThereError, UnreachableError) as error:
            failure = error
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(
            path,
            json.dumps(asdict(made)),
        )
        return made
    raise HarnessError(f"{spec.name}: its sources are not here: {failure or 'it has none'}")


def _sources(spec: KernelSpec) -> list[TreeSource]:
    found = [
        source for source in spec.sources if not isinstance(source, ImageSource | DebianImageSource)
    ]
    if not found:
        raise UsageError(f"{spec.name}: is a ready image: it has no sources to read the ABI of")
    return found


def first_source(spec: KernelSpec) -> TreeSource:
    """The first source that is usable here."""
    return next(source for source in _sources(spec) if identity(source) is not None)


def _kit_key(spec: KernelSpec) -> str:
    data = [RECIPE, WHICH, toolchain()[0], request_of(spec).canonical()]
    return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()


def _kept(path: Path) -> Kit | None:
    try:
        data = json.loads(path.read_text())
        return Kit(**data)
    except (OSError, ValueError, LookupError, TypeError):
        return None


@contextmanager
def configured_tree(
    spec: KernelSpec, source: TreeSource, cache: Cache, progress: Progress
) -> Iterator[Headers]:
    """The configured tree of a source, without patches, removed at the end."""
    with tempfile.TemporaryDirectory(prefix="khoci-") as temporary:
        folder = Path(temporary) / "linux"
        fill_tree(source, folder, cache.downloads, _chosen, progress)
        strange = spec.untrusted and not isinstance(source, DebianSource | TarballSource)
        sandbox = sandbox_of(spec) if strange and not spec.patches else None
        headers = Headers(spec.name, folder, sandbox)
        progress.start(f"{spec.name}: configuring")
        try:
            config = config_of(headers, request_of(spec), Path(temporary) / "log")
        finally:
            progress.done()
        headers.prepare(config)
        yield headers


def _made(headers: Headers, source: Mapping[str, str]) -> Kit:
    """The kit of a tree: what its probe comes to."""
    files = headers.definitions()
    headers.read(Probe(files))
    names = {*files, *headers.documents(), *headers.used(), *_ALSO, "Makefile"}
    texts = {
        name: text_of(headers.folder / name)
        for name in sorted(names)
        if (headers.folder / name).is_file()
    }
    return Kit(source, (headers.objects / CONFIG).read_text(), texts)


def config_of(headers: Headers, request: Request, log: Path) -> str:
    """Configure a folder; the text of its ``.config``.

    Raises:
        BuildError: make fails.
    """
    log.touch()
    make = Make(headers.folder, log, ARCHES[ARCH].srcarch, 2, headers.sandbox)
    return requested_config(headers.name, make, request)


def _chosen(path: str) -> bool:
    """Whether a file of the tree is needed to configure it, or for a probe."""
    if is_document(path):
        return True
    if path.startswith(("drivers/", "fs/", "net/", "sound/", "block/", "tools/", "lib/")):
        name = path.rpartition("/")[2]
        return name.startswith(("Kconfig", "Makefile", "Kbuild")) or is_handover(path)
    return wanted(path, ARCHES[ARCH].srcarch) or is_handover(path)


def _write(folder: Path, files: Mapping[str, str]) -> None:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, errors="surrogateescape", newline="")
    (folder / OBJECTS).mkdir(parents=True, exist_ok=True)
