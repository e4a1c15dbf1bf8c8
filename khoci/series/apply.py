"""Putting a series on a commit, and telling where and why it stops."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from khoci.series.applied import Application
from khoci.series.hunks import misfit, parse_diff, shown
from khoci.series.inside import already_in
from khoci.series.mails import body
from khoci.series.model import Outcome
from khoci.series.patching import diff_of, put, step_of
from khoci.series.plumbing import absent, blobs_at, resolve
from khoci.series.publish import publish, require_room
from khoci.series.workshop import workshop

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from khoci.series.applied import Step
    from khoci.series.hunks import FileDiff, Misfit
    from khoci.series.model import Patch, Series
    from khoci.series.plumbing import Git, Repository


def branch_of(series: Series) -> str:
    """The branch that a series becomes: ``khoci/<slug>/v<N>``."""
    return f"khoci/{series.slug}/v{series.revision}"


def apply_series(
    series: Series, base: str, repository: Repository, place: Path, *, set_branch: bool = True
) -> Application:
    """Apply a series on the commit that ``base`` names.

    The repository gets the commits and the branch, and only if the whole of the series is in; else
    it is not written to. What is applied gets the same commit ids everywhere.

    Args:
        series: what to apply; if it is not complete nothing is tried.
        base: whatever git takes for a commit.
        repository: where the commit is and the branch goes.
        place: the folder for workshops, below the cache.
        set_branch: False to only try.

    Raises:
        UsageError: the branch is checked out somewhere, has commits of the user, or another is in
            its way; or a patch does what none may.
        HarnessError: git or the disk fails.
    """
    if series.missing or not series.patches:
        return incomplete(series)
    commit = resolve(repository.git, base)
    if commit is None:
        why = f"'{base}' is no commit of {repository.folder}"
        return Application(Outcome.BASE_UNKNOWN, series.expected, why=why)
    if set_branch:
        require_room(repository, branch_of(series))
    with workshop(repository, commit, place, touched(series)) as shop:
        tried = _put_all(series, commit, shop)
        if tried.outcome is not Outcome.APPLIED or not set_branch:
            return tried
        publish(shop, repository, commit, tried.head, branch_of(series))
    return replace(tried, branch=branch_of(series))


def incomplete(series: Series) -> Application:
    """What comes of a series that lacks patches, wherever it would be put."""
    numbers = ", ".join(map(str, series.missing))
    lacking = f"patch {numbers} of {series.expected} is missing" if numbers else "it has no patches"
    why = f"the series is not complete: {lacking}"
    return Application(Outcome.INCOMPLETE, series.expected, why=why)


def touched(series: Series) -> list[str]:
    """The files that a series changes, by their names before and after."""
    after = {blob.path for patch in series.patches for blob in patch.blobs}
    texts = (text for patch in series.patches for text in (patch.mail, body(patch.mail)))
    files = [file for text in texts for file in parse_diff(text.replace(b"\r\n", b"\n"))]
    named = {path for file in files for path in (file.path, file.renamed)}
    return sorted((after | named) - {""})


def _put_all(series: Series, commit: str, shop: Git) -> Application:
    steps: list[Step] = []
    inside: frozenset[int] = frozenset()
    for at, patch in enumerate(series.patches):
        if patch.number in inside:
            steps.append(step_of(patch, Outcome.ALREADY_IN))
            continue
        result = put(patch, shop)
        if result.step.outcome is not Outcome.CONFLICT:
            steps.append(result.step)
            continue
        inside = already_in(series.patches[at:], shop)
        if patch.number not in inside:
            rest = (step_of(p, _behind(p, inside)) for p in series.patches[at + 1 :])
            return _conflict(series, commit, [*steps, result.step, *rest], result.said, shop)
        steps.append(step_of(patch, Outcome.ALREADY_IN))
    made = [step.commit for step in steps if step.commit]
    return Application(
        outcome=Outcome.APPLIED if made else Outcome.ALREADY_IN,
        of=series.expected,
        base=commit,
        steps=tuple(steps),
        head=made[-1] if made else "",
        why="" if made else "the base has all of it",
    )


def _behind(patch: Patch, inside: frozenset[int]) -> Outcome | None:
    """The outcome of a patch behind a conflict: it is not tried."""
    return Outcome.ALREADY_IN if patch.number in inside else None


def _conflict(
    series: Series, commit: str, steps: Sequence[Step], said: str, shop: Git
) -> Application:
    at = next(at for at, step in enumerate(steps) if step.outcome is Outcome.CONFLICT)
    patch = series.patches[at]
    files = parse_diff(diff_of(patch, shop))
    misfits = _misfits(files, shop)
    reason = (
        "; ".join(each.line for each in misfits) or shown(said)
        if files
        else "its mail has no patch"
    )
    return Application(
        outcome=Outcome.CONFLICT,
        of=series.expected,
        base=commit,
        steps=tuple(steps),
        why=f"conflict at {patch.number} of {series.expected}: {reason}{_no_merge(patch, shop)}",
        misfits=misfits,
    )


def _misfits(files: Sequence[FileDiff], shop: Git) -> tuple[Misfit, ...]:
    blobs = blobs_at(shop, "HEAD", [file.path for file in files])
    contents = {path: shop.tell("cat-file", "blob", blob) for path, blob in blobs.items()}
    return tuple(filter(None, (misfit(file, contents.get(file.path)) for file in files)))


def _no_merge(patch: Patch, shop: Git) -> str:
    """What the repository lacks for a merge, in words."""
    old = {blob.old: blob.path for blob in patch.blobs if blob.old.strip("0")}
    gone = absent(shop, list(old))
    if not gone:
        return ""
    named = ", ".join(f"{shown(path)} ({blob[:12]})" for blob, path in old.items() if blob in gone)
    return f"; no merge was possible: the tree never had this version of {named}"
