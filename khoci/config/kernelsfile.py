"""Kernels as ``kernels.toml``: what `khoci.config.kernels.load_kernels` reads."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from khoci.config.kernels import DebianSource, GitSource, TarballSource

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from khoci.config.kernels import KernelSpec, Source


def render_kernels(specs: Iterable[KernelSpec]) -> str:
    """The text of a file that defines these kernels; paths in it are absolute.

    The exceptions are not in it: they lie beside the file, as ``kconfig/exceptions.toml``.

    Raises:
        ValueError: one is a ready image.
    """
    return "\n".join(_kernel(spec) for spec in specs)


def _kernel(spec: KernelSpec) -> str:
    sources = ", ".join(_table(_source(source)) for source in spec.sources)
    values = {
        "arch": spec.arch,
        "series": spec.series,
        "config": [str(path.absolute()) for path in spec.config],
        "patches": [str(path.absolute()) for path in spec.patches],
        "cmdline": spec.cmdline,
        "full_tree": spec.full_tree,
        "untrusted": spec.untrusted,
    }
    lines = [f"{key} = {_value(value)}" for key, value in values.items() if value]
    return "\n".join((f"[kernel.{_value(spec.name)}]", f"sources = [{sources}]", *lines, ""))


def _source(source: Source) -> Mapping[str, str]:
    match source:
        case GitSource(ref, None):
            return {"ref": ref}
        case GitSource(ref, tree):
            return {"ref": ref, "git": str(tree)}
        case DebianSource(package):
            named = {"debian": package.name, "version": package.version}
            return {**named, "sha256": package.sha256}
        case TarballSource(url, sha256):
            return {"tarball": url, "sha256": sha256}
    raise ValueError(f"{source} is no source tree")


def _table(values: Mapping[str, str]) -> str:
    return "{ " + ", ".join(f"{key} = {_value(value)}" for key, value in values.items()) + " }"


def _value(value: object) -> str:
    """A JSON value of text, lists and booleans is one of TOML, but for one control character."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
