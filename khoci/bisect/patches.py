"""The patches of a series as a history: candidate N is the base with the first N of them."""

from __future__ import annotations

import email
import re
import shutil
from dataclasses import asdict, dataclass, replace
from email.errors import MessageError
from email.header import decode_header, make_header
from email.message import Message
from pathlib import Path
from typing import TYPE_CHECKING

from khoci.bisection import Change, halving
from khoci.config.kernels import DebianSource, GitSource, TarballSource
from khoci.errors import UsageError
from khoci.series.hunks import shown

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from khoci.config.kernels import KernelSpec

KIND = "patches"
_PREFIX = re.compile(r"^\[[^]]*PATCH[^]]*\]\s*")


@dataclass(frozen=True, slots=True)
class Patched:
    """A series to bisect.

    Attributes:
        name: of the series, good for a file name.
        base: the kernel that the patches go on; it may have patches of its own.
        patches: in order.
        changes: what is known of each.
        untrusted: whether they are of strangers.
    """

    name: str
    base: KernelSpec
    patches: tuple[Path, ...]
    changes: tuple[Change, ...]
    untrusted: bool = False


@dataclass(frozen=True, slots=True)
class PatchHistory:
    """The patches from one number of a series to another; see `khoci.bisect.history.History`."""

    series: Patched
    good: str
    bad: str

    @property
    def start(self) -> str:
        """Patches are no commits."""
        return ""

    @property
    def base(self) -> KernelSpec:
        """What the patches go on."""
        return replace(self.series.base, name=f"{self.series.name}+0", series=None)

    def suspects(self, goods: Collection[str], bad: str) -> Sequence[str]:
        """Those between the last that is good and ``bad``."""
        newest = max(map(int, goods))
        return halving([str(number) for number in range(newest + 1, int(bad) + 1)])

    def change(self, id_: str) -> Change:
        """The patch of this number."""
        return self.series.changes[int(id_) - 1]

    def kernel(self, id_: str) -> KernelSpec:
        """The base with so many patches, called ``<series>+<number>``."""
        return self._with(f"{self.series.name}+{id_}", self.series.patches[: int(id_)])

    def without(self, id_: str) -> KernelSpec:
        """All patches up to the bad end but this one; that it applies is seen when it is built."""
        at = int(id_) - 1
        others = (*self.series.patches[:at], *self.series.patches[at + 1 : int(self.bad)])
        return self._with(f"{self.series.name}+{self.bad}-without-{id_}", others)

    def kept_in(self, folder: Path) -> PatchHistory:
        """The same, of copies of the patches."""
        copies = _copies(folder, len(self.series.patches))
        folder.mkdir(parents=True, exist_ok=True)
        for patch, copy in zip(self.series.patches, copies, strict=True):
            shutil.copyfile(patch, copy)
        return replace(self, series=replace(self.series, patches=copies))

    def to_json(self) -> Mapping[str, object]:
        """For `reopened`."""
        changes = [asdict(change) for change in self.series.changes]
        series = {"name": self.series.name, "untrusted": self.series.untrusted}
        return {"kind": KIND, **series, "good": self.good, "bad": self.bad, "changes": changes}

    def _with(self, name: str, patches: Sequence[Path]) -> KernelSpec:
        base = self.series.base
        return replace(
            base,
            name=name,
            series=None,
            patches=(*base.patches, *patches),
            untrusted=base.untrusted or (self.series.untrusted and bool(patches)),
        )


def series_of(spec: KernelSpec, base: KernelSpec | None = None) -> Patched:
    """The patches that a kernel has and its base has not; that is by default one without any.

    Raises:
        UsageError: it has no patches, or is a ready image.
    """
    base = base or replace(spec, patches=())
    own = spec.patches[len(base.patches) :]
    if not own:
        raise UsageError(f"--series {spec.name}: has no patches")
    if not all(isinstance(each, GitSource | DebianSource | TarballSource) for each in spec.sources):
        raise UsageError(f"--series {spec.name}: is a ready image, no patch goes on it")
    changes = (change_of(patch, number) for number, patch in enumerate(own, 1))
    return Patched(spec.name, base, own, tuple(changes), spec.untrusted)


def change_of(patch: Path, number: int) -> Change:
    """What the head of a patch file says; its name where there is no subject."""
    head = email.message_from_bytes(patch.read_bytes())
    return Change(
        id=str(number),
        what="patch",
        subject=_PREFIX.sub("", _field(head, "Subject")) or patch.name,
        author=_field(head, "From"),
        date=_field(head, "Date"),
        link=_field(head, "Message-ID"),
    )


def between(series: Patched, good: str | None, bad: str | None) -> PatchHistory:
    """The history between two numbers, by default from the base to the last patch.

    Raises:
        UsageError: they are no such numbers.
    """
    last = len(series.patches)
    ends = [_number(text, last) for text in (good or "0", bad or str(last))]
    if ends[0] >= ends[1]:
        raise UsageError(f"--good {ends[0]} has to come before --bad {ends[1]}")
    return PatchHistory(series, str(ends[0]), str(ends[1]))


def reopened(data: Mapping[str, object], base: KernelSpec, folder: Path) -> PatchHistory:
    """A history as it was begun; ``base`` has the sources and the configuration.

    Raises:
        KeyError, TypeError, ValueError: it is no such history.
    """
    changes = data["changes"]
    if not isinstance(changes, list):
        raise TypeError
    known = tuple(Change(**change) for change in changes)
    series = Patched(
        name=str(data["name"]),
        base=base,
        patches=_copies(folder, len(known)),
        changes=known,
        untrusted=bool(data["untrusted"]),
    )
    return PatchHistory(series, str(data["good"]), str(data["bad"]))


def _copies(folder: Path, number: int) -> tuple[Path, ...]:
    return tuple(folder / f"{at:04}.patch" for at in range(1, number + 1))


def _number(text: str, last: int) -> int:
    if not text.isdecimal() or int(text) > last:
        raise UsageError(f"'{text}' is no patch of the series: they are 0 (the base) to {last}")
    return int(text)


def _field(head: Message, name: str) -> str:
    """A field of the head, decoded; as it stands there if that cannot be done."""
    value = head.get(name, "")
    try:
        text = str(make_header(decode_header(value)))
    except (MessageError, LookupError, ValueError):
        text = str(value)
    return shown(" ".join(text.split()))
