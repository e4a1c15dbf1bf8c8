"""The static check of a series, as `khoci abi check` and `khoci b4-check` run it."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

from khoci.abi.checked import Checked, SeriesCheck
from khoci.abi.compare import compare
from khoci.abi.findings import Finding, Judgement, suppressed, worst
from khoci.abi.model import KernelAbi
from khoci.cli.options import with_stored
from khoci.config.kernels import known_kernels
from khoci.config.suppressions import LetPass, load_suppressions, reasons
from khoci.errors import EXIT_DISAGREE, EXIT_OK
from khoci.kernel.cache import Cache
from khoci.kernel.extract import abis_of
from khoci.paths import cache_dir
from khoci.progress import progress_for
from khoci.series.gate import gate
from khoci.series.hunks import shown


def check_series(
    name: str, onto: str | None = None, suppressions: Path | None = None
) -> SeriesCheck:
    """What a series changes, by slug, message-id or path.

    Raises:
        UsageError: there is no such series, no kernel takes it, or the suppressions are wrong.
        BuildError: it does not compile.
        HarnessError: it cannot be fetched, or sources cannot, or there is no sandbox.
    """
    let_pass = load_suppressions(suppressions)
    cache, progress = Cache(cache_dir()), progress_for()
    known = with_stored(known_kernels())
    with gate(name, onto, known, cache, progress) as found:
        base, *after = abis_of([found.base, *found.steps], progress, cache)
        titles = [
            f"{number}/{found.numbers[-1]} {shown(subject)}"
            for number, subject in zip(found.numbers, found.subjects, strict=True)
        ]
        pairs = pairwise([base, *after])
        patches = tuple(
            _checked(title, one, other, let_pass)
            for title, (one, other) in zip(titles, pairs, strict=True)
        )
        whole = _checked(shown(found.title), base, after[-1], let_pass)
        return SeriesCheck(shown(found.title), found.base.name, whole, patches)


def exit_code(findings: tuple[Finding, ...]) -> int:
    """1 for a silent break, else 0."""
    return EXIT_DISAGREE if worst(findings) is Judgement.SILENT else EXIT_OK


def _checked(title: str, old: KernelAbi, new: KernelAbi, let_pass: tuple[LetPass, ...]) -> Checked:
    known = reasons(let_pass, old.name, new.name)
    return Checked(title, old, new, suppressed(compare(old, new), known))
