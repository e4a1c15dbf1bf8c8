"""The handover's ABI of kernels and trees, from their sources, without building anything.

Of a kernel from a source package, the few hundred headers that a probe comes to are kept with
their configuration in the cache: the second time, and for all series on top of it, nothing is
unpacked and no make runs.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from khoci.abi.extracted import extracted
from khoci.abi.places import WHICH, is_document, is_handover
from khoci.abi.probe import Probe
from khoci.config.kernels import (
    DebianImageSource,
    DebianSource,
    ImageSource,
    TarballSource,
    usual_kernel,
)
from khoci.errors import BuildError, HarnessError, UsageError
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
from khoci.paths import cache_dir
from khoci.progress import NoProgress

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from khoci.abi.model import KernelAbi
    from khoci.config.kernels import KernelSpec, TreeSource
    from khoci.kernel.configure import Request
    from khoci.progress import Progress

RECIPE = 2
"""To be raised when other headers or another configuration have to be kept."""

_ARCH = "x86_64"
_CONFIG = ".config"
_ALSO = ("include/linux/compiler-version.h", "include/linux/kconfig.h")
_NOT_LINKED = frozenset({".config", ".git", OBJECTS})
_GENERATED = frozenset({"config", "generated"})
_CONFIG_SYMBOL = "config "


def abi_of_tree(tree: Path, progress: Progress | None = None) -> KernelAbi:
    """The ABI of the sources in a folder, which is not written to.

    Raises:
        UsageError: it holds no kernel's sources.
        BuildError, HarnessError: it cannot be configured, or a probe does not compile.
    """
    if not (tree / "Makefile").is_file() or not (tree / "Kconfig").is_file():
        raise UsageError(f"{tree}: holds no kernel's sources (no Makefile and Kconfig at its top)")
    name = tree.resolve().name
    with tempfile.TemporaryDirectory(prefix="khoci-") as temporary:
        folder = Path(temporary) / "linux"
        link_tree(tree.resolve(), folder)
        request = request_of(usual_kernel(name, ImageSource(tree)))
        headers = Headers(name, folder)
        with _told(progress, f"{name}: configuring"):
            headers.prepare(_config(headers, request, Path(temporary) / "log"))
        return _extracted(headers, {"source": f"folder {tree.name}"})


def texts_of_tree(tree: Path) -> dict[str, str]:
    """What defines the handover in a folder of sources, and tells of it in words, by path."""
    headers = Headers(tree.name, tree)
    documents = {name: text_of(tree / name) for name in headers.documents()}
    return {**headers.definitions(), **documents}


def texts_of(spec: KernelSpec, progress: Progress, cache: Cache | None = None) -> dict[str, str]:
    """The same of a kernel, with its patches.

    Raises:
        as `abi_of`.
    """
    kit = _kit(spec, cache or Cache(cache_dir()), progress)
    with tempfile.TemporaryDirectory(prefix="khoci-") as temporary:
        folder = Path(temporary) / "linux"
        _patched(kit, spec, folder)
        return texts_of_tree(folder)


def abi_of(
    spec: KernelSpec, progress: Progress | None = None, cache: Cache | None = None
) -> KernelAbi:
    """The ABI of a kernel.

    Raises:
        UsageError: it is a ready image.
        BuildError: a patch does not apply, or the probe does not compile.
        HarnessError: none of its sources can be had.
    """
    return abis_of([spec], progress, cache)[0]


def abis_of(
    specs: Sequence[KernelSpec], progress: Progress | None = None, cache: Cache | None = None
) -> list[KernelAbi]:
    """The ABI of each of several kernels that differ in their patches only.

    Of one whose last patches touch nothing that the handover's definitions come to, it is that of
    the one before, by another name.

    Raises:
        as `abi_of`.
    """
    cache, progress = cache or Cache(cache_dir()), progress or NoProgress()
    kit = _kit(specs[0], cache, progress)
    found: list[KernelAbi] = []
    before: frozenset[Path] | None = None
    for spec in specs:
        last = [patch for patch in spec.patches if before is None or patch not in before]
        grown = before is not None and before <= frozenset(spec.patches)
        if grown and not kit.concerns(spec.name, last):
            found.append(replace(found[-1], name=spec.name))
        else:
            found.append(_of_kit(kit, spec, cache, progress))
        before = frozenset(spec.patches)
    return found


def takes(spec: KernelSpec, cache: Cache, progress: Progress) -> None:
    """See whether the patches of a kernel fit what is kept of its sources.

    Raises:
        BuildError: one does not.
        HarnessError: none of the sources can be had.
    """
    kit = _kit(spec, cache, progress)
    with tempfile.TemporaryDirectory(prefix="khoci-") as temporary:
        _patched(kit, spec, Path(temporary) / "linux")


@dataclass(frozen=True, slots=True)
class _Kit:
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


def _of_kit(kit: _Kit, spec: KernelSpec, cache: Cache, progress: Progress) -> KernelAbi:
    """The ABI by what is kept; by the whole tree where a patch needs more headers than that."""
    sandbox = _sandbox(spec)
    with tempfile.TemporaryDirectory(prefix="khoci-") as temporary:
        folder = Path(temporary) / "linux"
        _patched(kit, spec, folder)
        headers = Headers(spec.name, folder, sandbox)
        headers.prepare(kit.config + _new_symbols(spec.patches))
        try:
            return _extracted(headers, kit.provenance)
        except BuildError:
            if not spec.patches:
                raise
    return _of_whole_tree(spec, cache, progress)


def _patched(kit: _Kit, spec: KernelSpec, folder: Path) -> None:
    """Write what is kept into a folder, with the patches of a kernel applied."""
    _write(folder, kit.files)
    only = kit.names(spec.name, spec.patches)
    for patch in spec.patches:
        names = touched_by(spec.name, [patch]).names & only
        if names:
            apply_patches(spec.name, [patch], folder, names)


def _of_whole_tree(spec: KernelSpec, cache: Cache, progress: Progress) -> KernelAbi:
    source = _first(spec)
    with _tree(spec, source, cache, progress) as headers:
        apply_patches(spec.name, spec.patches, headers.folder)
        headers.prepare((headers.objects / _CONFIG).read_text() + _new_symbols(spec.patches))
        shown = {"source": describe(source), "source_id": identity(source) or ""}
        return _extracted(replace(headers, sandbox=_sandbox(spec)), shown)


def _sandbox(spec: KernelSpec) -> Sandbox | None:
    if not spec.untrusted:
        return None
    sandbox = Sandbox(spec.name)
    sandbox.require()
    return sandbox


def _extracted(headers: Headers, source: Mapping[str, str]) -> KernelAbi:
    files = headers.definitions()
    probe = Probe(files)
    found, unknown = headers.read(probe)
    provenance = {"arch": _ARCH, "compiler": toolchain()[0], **source}
    return extracted(headers.name, files, probe, found, unknown, provenance)


def _kit(spec: KernelSpec, cache: Cache, progress: Progress) -> _Kit:
    """What is kept of the first source of a kernel that can be had; it is made if need be."""
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
            with _tree(spec, source, cache, progress) as headers:
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


def _first(spec: KernelSpec) -> TreeSource:
    return next(source for source in _sources(spec) if identity(source) is not None)


def _kit_key(spec: KernelSpec) -> str:
    data = [RECIPE, WHICH, toolchain()[0], request_of(spec).canonical()]
    return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()


def _kept(path: Path) -> _Kit | None:
    try:
        data = json.loads(path.read_text())
        return _Kit(**data)
    except (OSError, ValueError, LookupError, TypeError):
        return None


@contextmanager
def _tree(
    spec: KernelSpec, source: TreeSource, cache: Cache, progress: Progress
) -> Iterator[Headers]:
    """The configured tree of a source, without patches, removed at the end."""
    with tempfile.TemporaryDirectory(prefix="khoci-") as temporary:
        folder = Path(temporary) / "linux"
        fill_tree(source, folder, cache.downloads, _chosen, progress)
        strange = spec.untrusted and not isinstance(source, DebianSource | TarballSource)
        sandbox = _sandbox(spec) if strange and not spec.patches else None
        headers = Headers(spec.name, folder, sandbox)
        progress.start(f"{spec.name}: configuring")
        try:
            config = _config(headers, request_of(spec), Path(temporary) / "log")
        finally:
            progress.done()
        headers.prepare(config)
        yield headers


def _made(headers: Headers, source: Mapping[str, str]) -> _Kit:
    """The kit of a tree: what its probe comes to."""
    files = headers.definitions()
    headers.read(Probe(files))
    names = {*files, *headers.documents(), *headers.used(), *_ALSO, "Makefile"}
    texts = {
        name: text_of(headers.folder / name)
        for name in sorted(names)
        if (headers.folder / name).is_file()
    }
    return _Kit(source, (headers.objects / _CONFIG).read_text(), texts)


def _config(headers: Headers, request: Request, log: Path) -> str:
    log.touch()
    make = Make(headers.folder, log, ARCHES[_ARCH].srcarch, 2, headers.sandbox)
    return requested_config(headers.name, make, request)


def _chosen(path: str) -> bool:
    """Whether a file of the tree is needed to configure it, or for a probe."""
    if is_document(path):
        return True
    if path.startswith(("drivers/", "fs/", "net/", "sound/", "block/", "tools/", "lib/")):
        name = path.rpartition("/")[2]
        return name.startswith(("Kconfig", "Makefile", "Kbuild")) or is_handover(path)
    return wanted(path, ARCHES[_ARCH].srcarch) or is_handover(path)


def link_tree(tree: Path, folder: Path) -> None:
    """Make a folder of links to all of a tree but what a build has left in it."""
    nested: dict[str, object] = {"arch": {"x86": {"include": {}}}, "include": {}}
    _link_level(tree, folder, nested, top=True)


def _link_level(
    tree: Path, folder: Path, nested: Mapping[str, object], *, top: bool = False
) -> None:
    folder.mkdir()
    left_out = _NOT_LINKED if top else _GENERATED
    for path in tree.iterdir():
        if path.name in left_out:
            continue
        inside = nested.get(path.name)
        if isinstance(inside, dict) and path.is_dir():
            _link_level(path, folder / path.name, inside)
        else:
            (folder / path.name).symlink_to(path)


def _write(folder: Path, files: Mapping[str, str]) -> None:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, errors="surrogateescape", newline="")
    (folder / OBJECTS).mkdir(parents=True, exist_ok=True)


def _new_symbols(patches: Sequence[Path]) -> str:
    """The symbols of Kconfig that patches bring along, as if each were set."""
    lines = (line for patch in patches for line in _added(patch))
    names = (line.split() for line in lines if line.startswith(_CONFIG_SYMBOL))
    return "".join(f"CONFIG_{name[1]}=y\n" for name in names if len(name) == 2)


def _added(patch: Path) -> Iterator[str]:
    text = patch.read_bytes().decode(errors="replace")
    return (line[1:] for line in text.splitlines() if line.startswith("+"))


@contextmanager
def _told(progress: Progress | None, task: str) -> Iterator[None]:
    told = progress or NoProgress()
    told.start(task)
    try:
        yield
    finally:
        told.done()
