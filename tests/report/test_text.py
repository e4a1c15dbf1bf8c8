from __future__ import annotations

import itertools
from dataclasses import replace

import pytest

from khoci.compat.plan import cells
from khoci.report.grid import deciding, grids, notable
from khoci.report.text import MOST_GRIDS, WIDTH, table
from khoci.results import CellResult, Evidence, Expected, Judgement
from khoci.verdicts import MEANING, Verdict

EIGHT = (
    *("v6.16.12", "v6.17.13", "v6.18.15", "v6.19.14"),
    *("v7.0.13", "v7.1.13", "v7.2.12", "v7.3.4"),
)
THREE = (EIGHT[1], EIGHT[2], EIGHT[7])


def cell(
    verdict: Verdict,
    producer: str = EIGHT[0],
    consumer: str = EIGHT[1],
    scenario: str = "kho-test",
    text: str = "KHO: found kexec handover data.",
    splats: tuple[str, ...] = (),
) -> CellResult:
    components = {
        "root": Judgement(Verdict.RESTORED, (Evidence("log", "all is well"),)),
        "memory map": Judgement(verdict, (Evidence("log", text),)),
    }
    command = f"khoci cell run {producer} {consumer} {scenario}"
    return CellResult(producer, consumer, scenario, verdict, components, splats, reproduce=command)


def matrix(kernels: tuple[str, ...], verdicts: tuple[Verdict, ...]) -> list[CellResult]:
    wanted = cells(kernels, "all", ("kho-test", "reserve-mem"))
    return [
        cell(verdict, item.producer, item.consumer, item.scenario, text="x" * 200)
        for item, verdict in zip(wanted, itertools.cycle(verdicts), strict=False)
    ]


@pytest.mark.parametrize("kernels", [EIGHT, THREE])
def test_no_line_is_too_long(kernels: tuple[str, ...]) -> None:
    lines = table(matrix(kernels, tuple(Verdict)), kernels).splitlines()
    assert max(map(len, lines)) <= WIDTH == 75
    assert not any(line != line.rstrip() for line in lines)


@pytest.mark.parametrize("kernels", [EIGHT, THREE])
@pytest.mark.parametrize("verdict", Verdict)
def test_every_word_stands_alone_and_is_explained(
    kernels: tuple[str, ...], verdict: Verdict
) -> None:
    text = table(matrix(kernels, (verdict,)), kernels)
    rows = [line.split() for line in text.splitlines() if line.startswith("v") and "->" not in line]
    assert len(rows) == 2 * len(kernels)
    (word,) = {word for row in rows for word in row[1:]}
    assert all(len(row) == 1 + len(kernels) for row in rows)
    assert f"  {word:<9} {MEANING[verdict]}" in text.splitlines()


def test_words_differ_without_colour() -> None:
    for kernels in (EIGHT, THREE):
        found = [table([cell(verdict, *kernels[:2])], kernels).split() for verdict in Verdict]
        assert len({tuple(words) for words in found}) == len(Verdict)
    assert "\x1b" not in table(matrix(EIGHT, tuple(Verdict)), EIGHT)


def test_columns_are_below_their_heads() -> None:
    wanted = cells(EIGHT, "all", ("kho-test",))
    order = itertools.cycle(Verdict)
    results = [
        cell(verdict, c.producer, c.consumer) for c, verdict in zip(wanted, order, strict=False)
    ]
    lines = table(results, EIGHT).splitlines()
    head = next(line for line in lines if line.startswith("producer"))
    starts = [head.index(name.removeprefix("v")) for name in EIGHT]
    for line in (line for line in lines if line.startswith("v") and "->" not in line):
        assert all(line[start - 1] == " " and line[start] != " " for start in starts)


def test_a_name_that_does_not_fit_has_a_letter() -> None:
    kernels = ("v6.17.13", "kho-fixes:v2", "kho-fixes:v3", "v7.3.4")
    lines = table(matrix(kernels, tuple(Verdict)), kernels).splitlines()
    at = next(number for number, line in enumerate(lines) if line.startswith("producer"))
    assert lines[at].split() == ["producer", "6.17.13", "[a]", "[b]", "7.3.4"]
    assert lines[at + 5] == "[a] kho-fixes:v2, [b] kho-fixes:v3"


@pytest.mark.parametrize("count", [8, 9, 50])
def test_grids_that_are_too_wide_share_one_table(count: int) -> None:
    kernels = tuple(f"v6.{number}" for number in range(10, 10 + count))
    lines = table(matrix(kernels, tuple(Verdict)), kernels).splitlines()
    assert max(map(len, lines)) <= WIDTH
    pairs = sum(line.startswith("v6.") and " -> " in line for line in lines)
    assert pairs == (0 if count == 8 else count**2)


def test_cells_that_were_not_run_are_blank() -> None:
    results = [cell(Verdict.RESTORED, THREE[0], THREE[0]), cell(Verdict.HANG, THREE[1], THREE[2])]
    rows = [line for line in table(results, THREE).splitlines() if line.startswith("v6")]
    assert [row.split() for row in rows[:2]] == [[THREE[0], "restored"], [THREE[1], "HANG"]]
    assert rows[1].index("HANG") == rows[0].index("restored") + 9


def test_only_used_words_are_in_the_legend() -> None:
    text = table([cell(Verdict.RESTORED)], EIGHT)
    assert MEANING[Verdict.RESTORED] in text
    assert sum(meaning in text for meaning in MEANING.values()) == 1


def test_a_note_says_what_decided_and_how_to_see_it_again() -> None:
    note = """\
PANIC: v6.16.12 -> v6.17.13 kho-test
  memory map: Kernel panic - not syncing: oops
  khoci cell run v6.16.12 v6.17.13 kho-test
"""
    assert note in table([cell(Verdict.PANIC, text="Kernel panic - not syncing: oops")], EIGHT)


@pytest.mark.parametrize("verdict", [Verdict.ABSENT, Verdict.RESTORED, Verdict.REFUSED])
def test_a_right_cell_has_a_note_only_for_its_splat(verdict: Verdict) -> None:
    command = "khoci cell run"
    assert command not in table([cell(verdict)], EIGHT)
    text = table([cell(verdict, splats=("consumer: WARNING: CPU: 0",))], EIGHT)
    assert command in text
    assert "\n  consumer: WARNING: CPU: 0\n" in text


def test_a_long_reason_is_wrapped_and_nothing_of_it_is_lost() -> None:
    reason = " ".join(f"word{number}" for number in range(30))
    lines = table([cell(Verdict.CORRUPT, text=reason)], EIGHT).splitlines()
    start = lines.index("CORRUPT: v6.16.12 -> v6.17.13 kho-test")
    end = next(at for at, line in enumerate(lines) if line.startswith("  khoci cell run"))
    note = lines[start + 1 : end]
    assert len(note) > 1
    assert all(len(line) <= WIDTH and line.startswith("  ") for line in note)
    assert " ".join(" ".join(note).split()) == f"memory map: {reason}"


def test_a_note_has_the_first_two_proofs_only() -> None:
    proofs = tuple(Evidence("log", f"proof {number}") for number in range(3))
    many = replace(cell(Verdict.PANIC), components={"luo": Judgement(Verdict.PANIC, proofs)})
    text = table([many], EIGHT)
    assert "luo: proof 0\n  luo: proof 1\n" in text
    assert "proof 2" not in text


def test_counts() -> None:
    results = [cell(Verdict.RESTORED), cell(Verdict.PANIC), cell(Verdict.RESTORED)]
    assert table(results, EIGHT).endswith("\n2 restored, 1 panic\n")


def test_no_results() -> None:
    assert table([], EIGHT).strip() == ""


def test_grids_follow_the_given_order() -> None:
    newest_first = EIGHT[::-1]
    first, second = grids(matrix(THREE, (Verdict.RESTORED,)), newest_first)
    assert (first.scenario, second.scenario) == ("kho-test", "reserve-mem")
    assert first.consumers == THREE[::-1]
    assert [row.producer for row in first.rows] == list(THREE[::-1])
    assert all(
        result and (result.producer, result.consumer) == (row.producer, consumer)
        for row in first.rows
        for result, consumer in zip(row.cells, first.consumers, strict=True)
    )


def test_the_deciding_component() -> None:
    decision = deciding(cell(Verdict.HANG))
    assert decision is not None
    assert decision[0] == "memory map"
    assert deciding(CellResult("a", "b", "c", Verdict.ERROR, {})) is None


def test_notable_cells_are_sorted_worst_first() -> None:
    found = notable([cell(verdict) for verdict in Verdict])
    assert [result.verdict for result in found] == [
        *(Verdict.ERROR, Verdict.HANG, Verdict.RESET, Verdict.PANIC),
        *(Verdict.CORRUPT, Verdict.DROPPED, Verdict.ACCEPTED),
    ]


def predicted(result: CellResult, verdict: Verdict, reason: str = "so it reads it") -> CellResult:
    """The cell with a prediction that is right but for the memory map's, which is ``verdict``."""
    right = {name: Expected(item.verdict, "x") for name, item in result.components.items()}
    return replace(result, prediction={**right, "memory map": Expected(verdict, reason)})


@pytest.mark.parametrize("kernels", [EIGHT, THREE])
@pytest.mark.parametrize("verdict", Verdict)
def test_a_cell_predicted_otherwise_is_marked_in_its_column(
    kernels: tuple[str, ...], verdict: Verdict
) -> None:
    cells = matrix(kernels, (verdict,))
    other = Verdict.HANG if verdict is not Verdict.HANG else Verdict.PANIC
    right = table([predicted(item, verdict) for item in cells], kernels)
    wrong = table([predicted(item, other, reason="y" * 200) for item in cells], kernels)
    assert not any(line.endswith("!") for line in right.splitlines())
    rows = [line for line in wrong.splitlines() if line.startswith("v") and "->" not in line]
    marked = verdict is not Verdict.ERROR
    assert all(row.count("!") == marked * len(kernels) for row in rows)
    assert all(len(row.split()) == 1 + len(kernels) for row in rows)
    assert max(map(len, wrong.splitlines())) <= WIDTH
    assert ("  !         predicted otherwise" in wrong) is marked


def test_a_right_cell_predicted_otherwise_has_a_note() -> None:
    wrong = predicted(cell(Verdict.RESTORED), Verdict.CORRUPT, "64 of 64 KiB are free memory")
    assert notable([wrong, predicted(cell(Verdict.RESTORED), Verdict.RESTORED)]) == [wrong]
    note = """\
RESTORED: v6.16.12 -> v6.17.13 kho-test
  memory map is restored, predicted was corrupt: 64 of 64 KiB are free
    memory
  khoci cell run v6.16.12 v6.17.13 kho-test
"""
    assert note in table([wrong], EIGHT)


def test_how_many_cells_came_out_as_predicted() -> None:
    right, wrong = (
        predicted(cell(Verdict.REFUSED), verdict) for verdict in (Verdict.REFUSED, Verdict.PANIC)
    )
    not_predicted, failed = cell(Verdict.REFUSED), predicted(cell(Verdict.ERROR), Verdict.PANIC)
    text = table([right, wrong, right, not_predicted, failed], EIGHT)
    assert text.endswith("prediction agrees in 2 of 3 cells\n")
    assert "prediction" not in table([not_predicted, failed], EIGHT)


def test_cells_with_one_verdict_for_one_reason_share_a_note() -> None:
    same = [cell(Verdict.PANIC, scenario=name, text="oops") for name in ("memfd:size=64M", "empty")]
    same.append(cell(Verdict.PANIC, consumer=EIGHT[2], text="oops"))
    other = [cell(Verdict.PANIC, scenario="crash", text="no"), cell(Verdict.HANG, text="oops")]
    note = """\
PANIC: v6.16.12 -> v6.17.13 memfd:size=64M, empty; v6.16.12 -> v6.18.15
  kho-test
  memory map: oops
  khoci cell run v6.16.12 v6.17.13 memfd:size=64M
"""
    text = table([*same, *other], EIGHT)
    assert note in text
    assert text.count("khoci cell run") == 3


def test_a_note_on_many_scenarios_is_not_too_long() -> None:
    names = [f"memory-shape:memory={number}G:nodes=2" for number in range(1, 9)]
    text = table([cell(Verdict.PANIC, scenario=name) for name in names], EIGHT)
    assert max(map(len, text.splitlines())) <= WIDTH
    assert all(text.count(name) >= 2 for name in names)
    assert text.count("khoci cell run") == 1


def test_known_breaks_have_one_note_with_the_reason() -> None:
    known = [cell(Verdict.PANIC), cell(Verdict.CORRUPT), cell(Verdict.PANIC, scenario="memfd")]
    new = cell(Verdict.PANIC, producer=EIGHT[2], text="new")
    text = table([*known, new], EIGHT, {"the bitmaps grew (docs/findings.md#grew)": known})
    note = """\
KNOWN: 1 corrupt, 2 panic
  the bitmaps grew (docs/findings.md#grew)
  khoci cell run v6.16.12 v6.17.13 kho-test
"""
    assert note in text
    assert text.count("khoci cell run") == 2
    assert text.index("PANIC: v6.18.15 -> v6.17.13 kho-test\n  memory map: new") < text.index(note)


def test_a_known_break_that_was_predicted_otherwise_has_a_note_of_its_own() -> None:
    wrong = predicted(cell(Verdict.PANIC), Verdict.HANG)
    text = table([wrong], EIGHT, {"a reason": [wrong]})
    assert "memory map is panic, predicted was hang" in text
    assert "KNOWN: 1 panic\n" in text


def test_how_many_cells_were_run_once_more() -> None:
    again = replace(cell(Verdict.RESTORED), retries=("QEMU did not start",))
    line = "run once more, because the harness had failed: 1\n"
    assert line in table([again, cell(Verdict.RESTORED)], EIGHT)
    assert "once more" not in table([cell(Verdict.RESTORED)], EIGHT)


def test_many_scenarios_share_one_table() -> None:
    names = ("empty", "kho-test", "memfd", "reserve-mem")
    few = [cell(Verdict.RESTORED, scenario=name) for name in names]
    assert len(few) == MOST_GRIDS
    assert "rows hand over, columns take over" in table(few, EIGHT)
    many = [*few, cell(Verdict.CORRUPT, scenario="memory-shape:memory=1G:nodes=2")]
    text = table(many, EIGHT)
    assert "rows hand over, columns take over" not in text
    assert "\n  e  memory-shape:memory=1G:nodes=2\n" in text
    assert "v6.16.12 -> 6.17.13 .  .  .  .  C\n" in text
    assert f"  {'.':<9} {MEANING[Verdict.RESTORED]}\n" in text


def kept(leaked: int) -> dict[str, int]:
    return {"kept": 8192, "leaked": leaked}


def test_what_is_leaked_is_said_where_all_else_is_well() -> None:
    whole = replace(cell(Verdict.RESTORED), memory={"root": kept(0), "luo": kept(0)})
    leaks = [
        replace(whole, consumer=name, memory={"root": kept(0), "luo": kept(size)})
        for name, size in zip(EIGHT[1:3], (4096, 8192), strict=True)
    ]
    lost = replace(cell(Verdict.DROPPED, consumer=EIGHT[3]), memory={"memfd": kept(4096)})
    line = "leaked where all else is well, at most: 8K of luo (2 cells)"
    assert line in table([whole, *leaks, lost], EIGHT).splitlines()
    assert "leaked" not in table([whole, lost], EIGHT)
