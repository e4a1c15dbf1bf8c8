"""One cell in words: each component with its verdict and what proves it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from khoci.results import CellResult

_INDENT = "    "


def describe(result: CellResult, known: Iterable[str] = ()) -> str:
    """The cell's verdict, its components with their evidence, and the command to run it again.

    Beside the observation of each component stands what was predicted; below them what became of
    the memory, in bytes, and what else is worth knowing of the run.

    Args:
        result: of the cell.
        known: why it is as it is, if that is known.
    """
    broken = f" with {result.fault}" if result.fault else ""
    name = f"{result.producer} -> {result.consumer} {result.scenario}{broken}"
    lines = [f"{name}: {result.verdict}", *(f"known: {reason}" for reason in known), ""]
    for component in result.components:
        lines += component_lines(result, component)
    lines += [f"  splat in the log of the {line}" for line in result.splats]
    lines += [*_memory(result), *_run(result)]
    lines += ["", f"run it again: {result.reproduce}", ""]
    return "\n".join(lines)


def component_lines(result: CellResult, name: str) -> Iterator[str]:
    """The verdict of a component that the cell has, what proves it, and what was predicted."""
    judgement = result.components[name]
    yield f"  {name}: {judgement.verdict}"
    yield from (f"{_INDENT}{item.kind}: {item.text}" for item in judgement.evidence)
    yield from _predicted(result, name)


def _predicted(result: CellResult, name: str) -> Iterator[str]:
    if name in result.agreement:
        word = "predicted" if result.agreement[name] else "PREDICTED OTHERWISE"
        yield f"{_INDENT}{word}: {(result.prediction or {}).get(name, 'nothing')}"


def _memory(result: CellResult) -> Iterator[str]:
    """What became of each owner's memory; bytes of a fate that nobody met are not named."""
    if any(any(fate.values()) for fate in result.memory.values()):
        yield "  memory, in bytes:"
    for owner, fate in result.memory.items():
        met = [f"{size} {name.replace('_', ' ')}" for name, size in fate.items() if size]
        if met:
            yield f"{_INDENT}{owner}: {', '.join(met)}"


def _run(result: CellResult) -> Iterator[str]:
    if result.matched:
        yield f"  lines of the log that were known: {', '.join(result.matched)}"
    phases = result.details.get("phases", ())
    if phases:
        parts = (f"{each['name']} {each['seconds']:.1f} s" for each in phases)
        yield f"  time: {', '.join(parts)}"
    if result.joint:
        yield f"  in one boot with: {', '.join(result.joint)}"
    yield from (f"  run once more, because the harness had failed: {why}" for why in result.retries)
