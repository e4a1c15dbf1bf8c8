"""One cell in words: each component with its verdict and what proves it."""

from __future__ import annotations

from collections.abc import Iterator

from khoci.results import CellResult

_INDENT = "    "


def describe(result: CellResult) -> str:
    """The cell's verdict, its components with their evidence, and the command to run it again.

    Beside the observation of each component stands what was predicted.
    """
    lines = [f"{result.producer} -> {result.consumer} {result.scenario}: {result.verdict}", ""]
    for name, judgement in result.components.items():
        lines.append(f"  {name}: {judgement.verdict}")
        lines += [f"{_INDENT}{item.kind}: {item.text}" for item in judgement.evidence]
        lines += _predicted(result, name)
    lines += [f"  splat in the log of the {line}" for line in result.splats]
    lines += ["", f"run it again: {result.reproduce}", ""]
    return "\n".join(lines)


def _predicted(result: CellResult, name: str) -> Iterator[str]:
    if name in result.agreement:
        word = "predicted" if result.agreement[name] else "PREDICTED OTHERWISE"
        yield f"{_INDENT}{word}: {(result.prediction or {}).get(name, 'nothing')}"
