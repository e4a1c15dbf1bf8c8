"""`python -m fuzz [FAMILY ...] --seconds N`: fuzz each family, print a table, exit 1 on a crash."""

from __future__ import annotations

import argparse
import importlib.util
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from fuzz import campaign, oracle
from fuzz.families import FAMILIES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fuzz.campaign import Outcome

CRASHED, WRONG_USE, NO_ENGINE = 1, 2, 3


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line says; returns the exit code."""
    options = _parser().parse_args(arguments)
    if options.replay:
        return _replay(options.families, options.replay)
    if importlib.util.find_spec("atheris") is None:
        version = sys.version.split()[0]
        _say(
            f"fuzz: nothing was fuzzed: no atheris for {sys.executable} (Python {version}); its"
            " wheels are for x86-64 Linux: pip install atheris with another Python"
        )
        return NO_ENGINE
    with ThreadPoolExecutor(options.jobs) as pool:
        names = options.families or FAMILIES
        outcomes = list(pool.map(lambda name: _fuzz(name, options), names))
    _say(table(outcomes))
    return CRASHED if any(outcome.failed for outcome in outcomes) else 0


def table(outcomes: Sequence[Outcome]) -> str:
    """One line a family."""
    lines = [f"{'family':12} {'executions':>10} {'branches':>8} {'features':>8} {'s':>5}  result"]
    for item in outcomes:
        result = f"CRASH {item.crash or ''}" if item.failed else "ok"
        counts = f"{item.executions:10} {item.coverage:8} {item.features:8} {item.seconds:5.0f}"
        lines.append(f"{item.family:12} {counts}  {result}")
    return "\n".join(lines)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m fuzz",
        description="Fuzz the decoders: each family in a process of its own, guided by coverage.",
        epilog="Exit code: 0 nothing found, 1 an input failed, 2 wrong use, 3 no atheris here.",
    )
    parser.add_argument(
        "families",
        nargs="*",
        choices=[[], *FAMILIES],
        metavar="FAMILY",
        help=f"all by default: {', '.join(FAMILIES)}",
    )
    parser.add_argument("--seconds", type=int, default=10, help="for each family (default: 10)")
    parser.add_argument("--jobs", type=int, default=1, help="families at once (default: 1)")
    parser.add_argument("--corpus", type=Path, help="folder that keeps inputs between runs")
    parser.add_argument("--seed", type=int, default=1, help="of the random numbers (default: 1)")
    parser.add_argument("--replay", type=Path, metavar="FILE", help="run one input, no fuzzing")
    return parser


def _replay(families: Sequence[str], path: Path) -> int:
    if len(families) != 1:
        _say("fuzz: --replay needs the one family whose input it is")
        return WRONG_USE
    oracle.be_strict()
    oracle.check(FAMILIES[families[0]].run, path.read_bytes())
    _say(f"{families[0]}: {path} is decoded, or refused, as it should be")
    return 0


def _fuzz(name: str, options: argparse.Namespace) -> Outcome:
    outcome = campaign.run(FAMILIES[name], options.seconds, options.corpus, options.seed)
    if outcome.failed:
        _say(f"{name}: {outcome.detail}")
        if outcome.crash:
            _say(f"replay it: python -m fuzz {name} --replay {outcome.crash}")
    return outcome


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
