"""What a bisection goes over: a series of patches, or the commits of a tree."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from khoci.errors import KhociError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from pathlib import Path

    from khoci.bisection import Change
    from khoci.config.kernels import KernelSpec


class NoRevertError(KhociError):
    """A change cannot be taken back alone; the message says why."""


class History(Protocol):
    """Changes between two ends, by their ids; a candidate is the kernel up to one of them."""

    @property
    def good(self) -> str:
        """The id of the good end, which is no suspect."""

    @property
    def bad(self) -> str:
        """The id of the bad end."""

    @property
    def start(self) -> str:
        """The git command that begins the same search; '' where git cannot do it."""

    def suspects(self, goods: Collection[str], bad: str) -> Sequence[str]:
        """See `khoci.bisection.Suspects`."""

    def change(self, id_: str) -> Change:
        """The change that made a candidate of the one before it."""

    def kernel(self, id_: str) -> KernelSpec:
        """The kernel with this change and all before it."""

    def without(self, id_: str) -> KernelSpec:
        """The kernel of the bad end with this one change taken back.

        Raises:
            NoRevertError: it cannot be.
        """

    @property
    def base(self) -> KernelSpec:
        """A kernel with the sources and the configuration of all candidates."""

    def kept_in(self, folder: Path) -> History:
        """The same; all that candidates are made of, but for commits, lies in that folder."""

    def to_json(self) -> Mapping[str, object]:
        """What is needed to go on with it later, besides `base` and the folder."""
