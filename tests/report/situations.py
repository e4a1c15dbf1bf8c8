"""Reports of series, one for each thing that a mail may have to say."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from khoci.report.causes import causes
from khoci.report.excerpt import around
from khoci.report.model import CellEvidence, KernelInRun, LookUp, Report
from khoci.report.series import changes_of
from khoci.results import CellResult, Evidence, Expected, Judgement, SeriesInRun
from khoci.thread import Thread
from khoci.verdicts import Verdict

OLD, BASE, HALF, PATCHED = "v6.18.15", "v7.3.4", "kho-leaves-v2-1of2", "kho-leaves-v2"
SCENARIOS = ("kho-test", "reserve-mem", "memfd")
JOERG = "J\N{LATIN SMALL LETTER O WITH DIAERESIS}rg"
THREAD = Thread(
    msgid="20261110-kho-leaves-v2-0@example.org",
    subject=f"[PATCH v2 0/2] kho: leaves of half the size, for {JOERG}",
    author=("Ada Example", "ada@example.org"),
    to=(("Ada Example", "ada@example.org"), ("", "kexec@lists.example.org")),
    cc=(
        (f"{JOERG} Example", "joerg@example.org"),
        ("Me", "me@example.net"),
        ("Maintainer, KHO", "kho@example.org"),
    ),
    references=("20261101-kho-leaves-v1-0@example.org",),
)
ME = ("Me Myself", "me@example.net")
SERIES = SeriesInRun(
    label="kho-leaves:v2",
    title="kho: leaves of half the size",
    msgid=THREAD.msgid,
    kernel=PATCHED,
    base=BASE,
    changed={HALF: BASE, PATCHED: HALF},
    patches={HALF: "1/2 kho: name the size of a leaf", PATCHED: "2/2 kho: halve it"},
    commits={"kho-leaves:v2": "0123456789abcdef"},
)
PANIC_LOG = """\
[    0.000000] Linux version 7.3.4
[    0.004100] KHO: found kexec handover data.
[    0.005000] BUG: unable to handle page fault for address: ffff888140000000
[    0.005010] #PF: supervisor read access in kernel mode
[    0.005020] #PF: error_code(0x0000) - not-present page
[    0.005030] RIP: 0010:kho_memory_init+0x1f0/0x330 [and a tail that no mail can hold]
[    0.005040] Kernel panic - not syncing: Fatal exception
[    0.005050] ---[ end Kernel panic - not syncing: Fatal exception ]---
"""
REFUSAL_LOG = """\
[    0.000000] Linux version 7.3.4
[    0.004000] setup_data: 16 bytes
[    0.004100] KHO: incompatible FDT: 'kho-v5' is incompatible with 'kho-v4'
[    0.004200] Memory: 900000K/1048576K available
"""
PANIC = "[    0.005030] RIP: 0010:kho_memory_init+0x1f0/0x330 [and a tail that no mail can hold]"
REFUSAL = "[    0.004100] KHO: incompatible FDT: 'kho-v5' is incompatible with 'kho-v4'"

Wrong = Mapping[tuple[str, str, str], CellResult]


def cell(
    producer: str, consumer: str, scenario: str, verdict: Verdict, kind: str = "log", text: str = ""
) -> CellResult:
    component = {"kho-test": "kho_test", "reserve-mem": "reserve_mem"}.get(scenario, scenario)
    if verdict in (Verdict.PANIC, Verdict.REFUSED):
        component = "memory map" if verdict is Verdict.PANIC else "root"
    proof = (Evidence(kind, text),) if text else ()
    return CellResult(
        producer,
        consumer,
        scenario,
        verdict,
        {component: Judgement(verdict, proof)},
        details={"khoci": "0.1.0"},
        reproduce=f"khoci cell run {producer} {consumer} {scenario}",
        prediction={component: Expected(verdict, "the formats are equal")},
    )


def usual(producer: str, consumer: str, scenario: str) -> CellResult:
    """Kernels of one format understand each other, and refuse the other one."""
    if (producer == OLD) is not (consumer == OLD):
        return cell(producer, consumer, scenario, Verdict.REFUSED, text=REFUSAL)
    if OLD in (producer, consumer) and scenario == "memfd":
        return cell(producer, consumer, scenario, Verdict.ABSENT)
    return cell(producer, consumer, scenario, Verdict.RESTORED)


def report(wrong: Wrong, *, steps: bool = False, log: str = "") -> Report:
    """All cells as on the base but for some."""
    kernels = (OLD, BASE, *((HALF,) if steps else ()), PATCHED)
    pairs = [(p, c) for p in kernels for c in kernels if {p, c} & {BASE, HALF, PATCHED}]
    results = [
        wrong.get((*pair, scenario), usual(*pair, scenario))
        for scenario in SCENARIOS
        for pair in pairs
    ]
    series = SERIES if steps else replace(SERIES, changed={PATCHED: BASE}, patches={PATCHED: ""})
    changes = tuple(changes_of(results, series, kernels))
    return Report(
        run="20261123-120000-00ff",
        matrix="default",
        began="2026-11-23T12:00:00Z",
        khoci="0.1.0",
        accelerator="tcg",
        kernels=tuple(KernelInRun(name, base=series.bases.get(name, "")) for name in kernels),
        scenarios=SCENARIOS,
        results=tuple(results),
        series=series,
        changes=changes,
        causes=causes(results, series, changes),
        evidence=evidence_of(log),
    )


def evidence_of(log: str) -> LookUp:
    def look_up(result: CellResult) -> CellEvidence:
        wanted = [item.text for each in result.components.values() for item in each.evidence]
        return CellEvidence(consumer_log=around(log, wanted))

    return look_up


def no_change() -> Report:
    return report({})


def regression() -> Report:
    """A panic that the second of two patches brings, and one cell that is mended."""
    wrong = {
        (producer, consumer, scenario): cell(
            producer, consumer, scenario, Verdict.PANIC, text=PANIC
        )
        for producer, consumer in (
            (BASE, PATCHED),
            (HALF, PATCHED),
            (PATCHED, BASE),
            (PATCHED, HALF),
        )
        for scenario in SCENARIOS
    }
    return report(wrong, steps=True, log=PANIC_LOG)


def clean_refusal() -> Report:
    """A version string was bumped, so that old and new refuse each other."""
    wrong = {
        (producer, consumer, scenario): cell(
            producer, consumer, scenario, Verdict.REFUSED, text=REFUSAL
        )
        for producer, consumer in ((BASE, PATCHED), (PATCHED, BASE))
        for scenario in SCENARIOS
    }
    return report(wrong, log=REFUSAL_LOG)


def silent_corruption() -> Report:
    text = "memfd file 1 of 'khoci-memfd': 3 of 64 pages are not what was handed over"
    wrong = {
        (BASE, PATCHED, "memfd"): cell(BASE, PATCHED, "memfd", Verdict.CORRUPT, "digest", text)
    }
    return report(wrong, log="[    0.004100] KHO: found kexec handover data.\n" * 9)


def harness_errors() -> Report:
    text = "kho-leaves-v2: QEMU did not start: Cannot allocate memory"
    wrong = {
        (PATCHED, PATCHED, name): cell(PATCHED, PATCHED, name, Verdict.ERROR, "harness", text)
        for name in ("kho-test", "memfd")
    }
    made = report(wrong)
    return replace(made, missing=((PATCHED, BASE, "memfd-later", ""),))


def splats() -> Report:
    warning = "[    1.200000] WARNING: CPU: 0 PID: 1 at mm/memblock.c:1234 memblock_free+0x10/0x20"
    noisy = replace(usual(PATCHED, PATCHED, "memfd"), splats=(f"consumer: {warning}",))
    log = f"[    1.1] a\n[    1.15] b\n{warning}\n[    1.3] Modules linked in:\n"
    made = report({(PATCHED, PATCHED, "memfd"): noisy})
    seen = CellEvidence(consumer_log=around(log, [warning]))
    return replace(made, evidence=lambda _: seen)


def no_series() -> Report:
    made = report(
        {(BASE, OLD, "kho-test"): cell(BASE, OLD, "kho-test", Verdict.PANIC, text=PANIC)},
        log=PANIC_LOG,
    )
    kept = tuple(each for each in made.results if PATCHED not in (each.producer, each.consumer))
    kernels = tuple(each for each in made.kernels if each.name != PATCHED)
    return replace(made, results=kept, kernels=kernels, series=None, changes=(), causes={})


SITUATIONS: Mapping[str, Callable[[], Report]] = {
    "no-change": no_change,
    "regression": regression,
    "clean-refusal": clean_refusal,
    "silent-corruption": silent_corruption,
    "harness-errors": harness_errors,
    "splats": splats,
    "no-series": no_series,
}
