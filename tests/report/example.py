"""A report with one of each: every verdict, a series that breaks something, and hostile text."""

from __future__ import annotations

from khoci.report.causes import causes
from khoci.report.model import KernelInRun, Report, Violation, key_of
from khoci.report.series import changes_of
from khoci.results import CellResult, Evidence, Expected, Judgement, SeriesInRun, Versions
from khoci.verdicts import Verdict

OLD, BASE, PATCHED = "v6.18.15", "v7.3.4", "kho-words-v1"
ORDER = (OLD, BASE, PATCHED)
HOSTILE = "<script>alert(1)</script> ]]> ``` | \x1b[2J\x00 # SKIP \ud800 \N{RIGHT-TO-LEFT OVERRIDE}"
SERIES = SeriesInRun(
    label="kho-words:v1",
    title="kho: say it better",
    msgid="20261110-kho-words-v1-0@example.org",
    kernel=PATCHED,
    base=BASE,
    changed={PATCHED: BASE},
    patches={PATCHED: "1/1 kho: say it better"},
)


def cell(
    producer: str,
    consumer: str,
    verdict: Verdict,
    scenario: str = "kho-test",
    text: str = "KHO: found kexec handover data.",
    splats: tuple[str, ...] = (),
) -> CellResult:
    """A cell whose root is as predicted."""
    return CellResult(
        producer,
        consumer,
        scenario,
        verdict,
        {
            "root": Judgement(Verdict.RESTORED, (Evidence("log", "all is well"),)),
            "kho_test": Judgement(verdict, (Evidence("log", text, {"size": 4096}),)),
        },
        splats,
        details={"khoci": "0.1.0", "regions": []},
        reproduce=f"khoci cell run {producer} {consumer} {scenario}",
        seconds=1.25,
        prediction={"root": Expected(Verdict.RESTORED, "the strings are equal")},
        versions={"root": Versions("kho-v4", None)},
        memory={"root": {"kept": 4096, "lost": 0}},
    )


def one_of_each() -> list[CellResult]:
    pairs = [(producer, consumer) for producer in ORDER for consumer in ORDER]
    verdicts = iter([each for each in Verdict if each is not Verdict.ERROR])
    found = [cell(*pair, next(verdicts)) for pair in pairs]
    return [
        *found,
        cell(OLD, OLD, Verdict.ERROR, "memfd", "QEMU did not start"),
        cell(BASE, BASE, Verdict.RESTORED, "memfd", splats=(f"consumer: WARNING: {HOSTILE}",)),
        cell(PATCHED, PATCHED, Verdict.CORRUPT, "memfd", HOSTILE),
        cell(BASE, OLD, Verdict.RESTORED, "memfd"),
        cell(PATCHED, OLD, Verdict.PANIC, "memfd", "Kernel panic - not syncing"),
    ]


def report(results: list[CellResult] | None = None) -> Report:
    found = one_of_each() if results is None else results
    changes = tuple(changes_of(found, SERIES, ORDER))
    bad = [each for each in found if each.verdict in (Verdict.CORRUPT, Verdict.PANIC)]
    return Report(
        run="20261123-120000-00ff",
        matrix="default",
        began="2026-11-23T12:00:00Z",
        khoci="0.1.0",
        accelerator="tcg",
        guest={"memory": 1 << 30},
        kernels=(
            KernelInRun(OLD, "6.18.15", "aa"),
            KernelInRun(BASE, "7.3.4", "bb"),
            KernelInRun(PATCHED, "7.3.4", "cc", BASE, "1/1 kho: say it better"),
        ),
        scenarios=("kho-test", "memfd"),
        results=tuple(found),
        missing=((OLD, BASE, "memfd", ""),),
        known={"it is a known break (https://example.org/)": tuple(bad[:1])},
        violations=tuple(
            Violation(key_of(each), f"{each.verdict} must never happen") for each in bad
        ),
        series=SERIES,
        changes=changes,
        causes=causes(found, SERIES, changes),
    )
