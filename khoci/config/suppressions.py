"""``suppressions.toml``: breaks of the ABI that are known and let pass, each with a reason."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from khoci.config.toml import load

DEFAULT = Path("matrix/suppressions.toml")
"""Read where it is there and no other is named."""


@dataclass(frozen=True, slots=True)
class LetPass:
    """A break that is let pass.

    Attributes:
        key: ``component:name`` of what differs, as `khoci abi diff --json` has them.
        reason: why.
        old: the kernel that it is let pass from, None for any.
        new: the kernel that it is let pass to, None for any.
    """

    key: str
    reason: str
    old: str | None = None
    new: str | None = None

    def is_for(self, old: str, new: str) -> bool:
        """Whether it is about these two kernels."""
        return self.old in (None, old) and self.new in (None, new)


def load_suppressions(path: Path | None = None) -> tuple[LetPass, ...]:
    """All that is let pass; nothing where no file is named and there is none.

    Raises:
        UsageError: the file or a key is wrong, or a reason is missing; the message says which.
    """
    if path is None and not DEFAULT.is_file():
        return ()
    top = load(path or DEFAULT)
    top.only("let_pass")
    found = []
    for table in top.tables("let_pass"):
        table.only("key", "reason", "old", "new")
        key = table.need("key", table.string("key"))
        reason = table.need("reason", table.string("reason"))
        if not reason.strip():
            raise table.error("key 'reason' is empty: say why this may pass")
        found.append(LetPass(key, reason, table.string("old"), table.string("new")))
    return tuple(found)


def reasons(let_pass: tuple[LetPass, ...], old: str, new: str) -> dict[str, str]:
    """The reasons by key, of what is let pass between two kernels."""
    return {each.key: each.reason for each in let_pass if each.is_for(old, new)}
