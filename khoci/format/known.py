"""What may be known of a producer that its handover does not say."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from khoci.format.versions import Version


@dataclass(frozen=True, slots=True)
class Known:
    """Of a kernel whose sources are at hand.

    Attributes:
        layout: of its memory map: ``radix``, ``A``, ``B``, or the size of a bitmap in bytes; None
            where the version of the root tells it.
        meant: of its versions those that no release has, each with that of a release that has the
            same format.
    """

    layout: str | None = None
    meant: Mapping[Version, Version] = field(default_factory=dict)


NOTHING = Known()
