"""One cell in words: each component with its verdict and what proves it."""

from __future__ import annotations

from khoci.results import CellResult

_INDENT = "    "


def describe(result: CellResult) -> str:
    """The cell's verdict, its components with their evidence, and the command to run it again."""
    lines = [f"{result.producer} -> {result.consumer} {result.scenario}: {result.verdict}", ""]
    for name, judgement in result.components.items():
        lines.append(f"  {name}: {judgement.verdict}")
        lines += [f"{_INDENT}{item.kind}: {item.text}" for item in judgement.evidence]
    lines += [f"  splat in the log of the {line}" for line in result.splats]
    lines += ["", f"run it again: {result.reproduce}", ""]
    return "\n".join(lines)
