"""What runs there are, and how far each went."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from khoci.errors import UsageError
from khoci.run.folder import MATRIX, RunFolder, all_runs, kind_of, load_all
from khoci.run.matrix import Plan


@dataclass(frozen=True)
class Listed:
    """A run.

    Attributes:
        run: its id.
        kind: what it is of, a word of `run.folder.MADE_BY`.
        matrix: name of the matrix file.
        series: label of the series that it is about, if it is about one.
        cells: how many it has; None if that is not known.
        verdicts: how many cells ended with each, in no order.
    """

    run: str
    kind: str
    matrix: str
    series: str
    cells: int | None
    verdicts: Mapping[str, int]

    @property
    def done(self) -> int:
        """Cells that have a result."""
        return sum(self.verdicts.values())

    def to_json(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {**asdict(self), "done": self.done}


def listed(parent: Path) -> Iterator[Listed]:
    """The runs of a folder that can be read, in the order in which they began."""
    for folder in all_runs(parent):
        try:
            yield _listed(folder)
        except UsageError:
            continue


def _listed(folder: RunFolder) -> Listed:
    request = folder.request()
    kind = kind_of(request)
    plan = Plan.from_json(request) if kind == MATRIX else None
    names = [path.stem for path in folder.path.glob("*.json")]
    found = load_all(folder, [cell.name for cell in plan.cells] if plan else names)
    return Listed(
        run=folder.id,
        kind=kind,
        matrix=str(request.get("matrix", "")),
        series=plan.series.label if plan and plan.series else "",
        cells=len(plan.cells) if plan else None,
        verdicts=dict(Counter(str(result.verdict) for result in found.values())),
    )
