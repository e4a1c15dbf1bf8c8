"""The handover's ABI of kernels and trees, from their sources, without building anything."""

from __future__ import annotations

import tempfile
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from khoci.abi.extracted import extracted
from khoci.abi.probe import Probe
from khoci.config.kernels import (
    ImageSource,
    usual_kernel,
)
from khoci.errors import BuildError, UsageError
from khoci.kernel.cache import Cache
from khoci.kernel.configure import request_of
from khoci.kernel.headers import Headers, text_of
from khoci.kernel.job import toolchain
from khoci.kernel.kit import (
    ARCH,
    CONFIG,
    Kit,
    config_of,
    configured_tree,
    first_source,
    kit_of,
    put,
    sandbox_of,
)
from khoci.kernel.make import OBJECTS
from khoci.kernel.patches import apply_patches, touched_by
from khoci.kernel.source import describe, identity
from khoci.paths import cache_dir
from khoci.progress import NoProgress

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from khoci.abi.model import KernelAbi
    from khoci.config.kernels import KernelSpec
    from khoci.progress import Progress

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
            headers.prepare(config_of(headers, request, Path(temporary) / "log"))
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
    kit = kit_of(spec, cache or Cache(cache_dir()), progress)
    with tempfile.TemporaryDirectory(prefix="khoci-") as temporary:
        folder = Path(temporary) / "linux"
        put(kit, spec, folder)
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
    kit = kit_of(specs[0], cache, progress)
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
    kit = kit_of(spec, cache, progress)
    with tempfile.TemporaryDirectory(prefix="khoci-") as temporary:
        put(kit, spec, Path(temporary) / "linux")


def _of_kit(kit: Kit, spec: KernelSpec, cache: Cache, progress: Progress) -> KernelAbi:
    """The ABI by what is kept; by the whole tree where a patch needs more headers than that."""
    sandbox = sandbox_of(spec)
    with tempfile.TemporaryDirectory(prefix="khoci-") as temporary:
        folder = Path(temporary) / "linux"
        put(kit, spec, folder)
        headers = Headers(spec.name, folder, sandbox)
        headers.prepare(kit.config + _new_symbols(spec.patches))
        try:
            return _extracted(headers, kit.provenance)
        except BuildError:
            if not spec.patches:
                raise
    return _of_whole_tree(spec, cache, progress)


def _of_whole_tree(spec: KernelSpec, cache: Cache, progress: Progress) -> KernelAbi:
    source = first_source(spec)
    with configured_tree(spec, source, cache, progress) as headers:
        for patch in spec.patches:
            touched = touched_by(spec.name, [patch])
            near = {name for name in touched.created if name.startswith("include/")}
            there = {name for name in touched.names if (headers.folder / name).is_file()}
            if there | near:
                apply_patches(spec.name, [patch], headers.folder, there | near)
        headers.prepare((headers.objects / CONFIG).read_text() + _new_symbols(spec.patches))
        shown = {"source": describe(source), "source_id": identity(source) or ""}
        return _extracted(replace(headers, sandbox=sandbox_of(spec)), shown)


def _extracted(headers: Headers, source: Mapping[str, str]) -> KernelAbi:
    files = headers.definitions()
    probe = Probe(files)
    found, unknown = headers.read(probe)
    provenance = {"arch": ARCH, "compiler": toolchain()[0], **source}
    return extracted(headers.name, files, probe, found, unknown, provenance)


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
