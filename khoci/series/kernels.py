"""A series as kernels: its base with all of its patches, or with the first ones only. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from khoci.config.kernels import GitSource, Kernels, KernelSpec, TreeSource, usual_kernel
from khoci.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from khoci.series.onbase import OnBase, PatchFile


@dataclass(frozen=True, slots=True)
class SeriesKernels:
    """The kernels of one revision of a series, and what each is to be compared with.

    Attributes:
        slug: of the series.
        revision: from 1.
        base: the kernel without the series.
        whole: the kernel with all of it.
        steps: with ``each_patch`` the kernels that have the first patches, without the last.
    """

    slug: str
    revision: int
    base: KernelSpec
    whole: KernelSpec
    steps: tuple[KernelSpec, ...] = ()

    @property
    def changed(self) -> dict[str, str]:
        """The name of each kernel with patches, and of the one that has a patch less.

        Without steps that is the base.
        """
        names = [spec.name for spec in (self.base, *self.steps, self.whole)]
        return dict(zip(names[1:], names, strict=False))

    @property
    def specs(self) -> tuple[KernelSpec, ...]:
        """All of them, in the order of the patches."""
        return (self.base, *self.steps, self.whole)


def name_of(slug: str, revision: int) -> str:
    """What the kernel with all of a series is called."""
    return f"{slug}-v{revision}"


def kernels_of(
    slug: str, revision: int, on: OnBase, known: Kernels, *, each_patch: bool = False
) -> SeriesKernels:
    """The kernels of a series that is on a base.

    The base is a kernel that the matrix knows or, where it is only a commit, one of its own; or
    that one with the patches of strangers that the series is on top of. All are built from its
    sources with patches, so they share the objects; what has patches is built in a sandbox.

    Raises:
        UsageError: the kernel that the base was is not known any more.
    """
    name = name_of(slug, revision)
    root = known.select(on.kernel) if on.kernel else _own(name, on)
    if not any(isinstance(source, TreeSource) for source in root.sources):
        raise UsageError(f"{root.name}: has no sources to put patches on")
    if root.untrusted:
        raise UsageError(f"{root.name}: is untrusted, so nothing can be built from its objects")
    base = _patched(root, f"{name}-base", on.below) if on.below else root
    whole = _patched(base, name, on.patches)
    of = len(on.patches)
    steps = [
        _patched(base, f"{name}-{number}of{of}", on.patches[:number]) for number in range(1, of)
    ]
    return SeriesKernels(slug, revision, base, whole, tuple(steps) if each_patch else ())


def with_series(known: Kernels, series: Iterable[SeriesKernels]) -> Kernels:
    """The known kernels and those of series; one of a series hides a known one of its name."""
    added = {spec.name: spec for each in series for spec in each.specs}
    return Kernels(known.file, {**known.by_name, **added})


def _own(name: str, on: OnBase) -> KernelSpec:
    return usual_kernel(f"{name}-{'root' if on.below else 'base'}", GitSource(on.root, on.tree))


def _patched(base: KernelSpec, name: str, patches: Sequence[PatchFile]) -> KernelSpec:
    return replace(
        base,
        name=name,
        series=None,
        untrusted=True,
        patches=(*base.patches, *(patch.path for patch in patches)),
    )
