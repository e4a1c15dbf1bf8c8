from __future__ import annotations

import itertools
from dataclasses import replace

from khoci.compat.plan import cells
from khoci.report.grid import grids
from khoci.report.summary import LETTERS, summary
from khoci.results import CellResult, Expected, Judgement
from khoci.verdicts import Verdict

EIGHT = (
    *("v6.16.12", "v6.17.13", "v6.18.15", "v6.19.14"),
    *("v7.0.13", "v7.1.13", "v7.2.12", "v7.3.4"),
)
WIDTH = 75


def results(kernels: tuple[str, ...], scenarios: int) -> list[CellResult]:
    names = [f"scenario-{number}:size=64M" for number in range(scenarios)]
    verdicts = itertools.cycle(Verdict)
    return [
        CellResult(item.producer, item.consumer, item.scenario, verdict, {"x": Judgement(verdict)})
        for item, verdict in zip(cells(kernels, "all", names), verdicts, strict=False)
    ]


def lines(found: list[CellResult], kernels: tuple[str, ...] = EIGHT) -> list[str]:
    return summary(grids(found, kernels), WIDTH, "!")


def rows(text: list[str]) -> list[str]:
    return [line for line in text if "->" in line]


def test_the_whole_matrix_of_the_releases_fits() -> None:
    text = lines(results(EIGHT, 15))
    assert max(map(len, text)) <= WIDTH
    assert len(rows(text)) == 64
    assert len(text) <= 64 + 7 + 15 + 2


def test_each_cell_is_a_letter_below_the_one_of_its_scenario() -> None:
    found = results(EIGHT, 15)
    text = lines(found)
    heads = next(line for line in text if line.split() == list("abcdefghijklmno"))
    names = {line.split()[1]: line.split()[0] for line in text[:15]}
    for cell in found:
        label = f"{cell.producer} -> {cell.consumer[1:]} "
        row = next(line for line in text if line.startswith(label))
        assert row[heads.index(f" {names[cell.scenario]}") + 1] == LETTERS[cell.verdict]


def test_letters_differ_and_none_is_that_of_two() -> None:
    assert set(LETTERS) == set(Verdict)
    assert len({letter.lower() for letter in LETTERS.values()}) == len(Verdict)


def test_what_was_predicted_otherwise_is_marked_and_columns_stay() -> None:
    for scenarios in (5, 15, 25):
        found = [
            replace(cell, prediction={"x": Expected(Verdict.HANG, "y")})
            for cell in results(EIGHT[:3], scenarios)
        ]
        plain, marked = (
            rows(lines(item, EIGHT[:3])) for item in (results(EIGHT[:3], scenarios), found)
        )
        assert [line.replace("!", " ").rstrip() for line in marked] == plain
        assert any("!" in line for line in marked)


def test_what_does_not_fit_goes_on_below() -> None:
    names = ("debian-6.1-cloud-amd64", "debian-7.3-cloud-amd64")
    text = lines(results(names, 30), names)
    assert max(map(len, text)) <= WIDTH
    assert len(rows(text)) == 3 * 4
    assert sum(len(row.split("->")[1].split()) - 1 for row in rows(text)) == 30 * 4


def test_a_cell_that_was_not_run_is_blank() -> None:
    some = [cell for cell in results(EIGHT[:2], 3) if cell.scenario != "scenario-1:size=64M"]
    some += [results(EIGHT[:2], 3)[4]]
    pair = [line for line in rows(lines(some, EIGHT[:2])) if "12 -> 6.17" in line]
    assert len(pair[0].split("->")[1].split()) == 1 + 2


def test_no_scenario() -> None:
    assert lines([]) == []
