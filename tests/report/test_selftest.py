from __future__ import annotations

from dataclasses import replace

from khoci.report.selftest import WIDTH, Row, table

GOOD = Row(
    mutant="memfd-silent",
    direction="forward",
    expected="corrupt in memfd",
    passed=True,
    caught=True,
    text="corrupt in memfd",
    reproduce="khoci selftest memfd-silent",
)
WRONG = replace(
    GOOD,
    mutant="root-silent",
    expected="dropped in memfd",
    passed=False,
    text="refused in root, memfd, not dropped in memfd",
    reproduce="khoci selftest root-silent",
)
MISSED = replace(WRONG, direction="backward", caught=False, text="restored in memfd")


def test_a_table() -> None:
    assert table("self-test: 1 of 1 as expected", [GOOD]) == (
        "self-test: 1 of 1 as expected\n"
        "\n"
        "mutant        direction  expected\n"
        "memfd-silent  forward    corrupt in memfd  ok\n"
    )


def test_what_was_not_caught_comes_first_below_the_table() -> None:
    assert table("SELF-TEST FAILED", [GOOD, WRONG, MISSED]) == (
        "SELF-TEST FAILED\n"
        "\n"
        "mutant        direction  expected\n"
        "memfd-silent  forward    corrupt in memfd  ok\n"
        "root-silent   forward    dropped in memfd  WRONG\n"
        "root-silent   backward   dropped in memfd  NOT CAUGHT\n"
        "\n"
        "NOT CAUGHT: root-silent backward: restored in memfd\n"
        "  khoci selftest root-silent\n"
        "\n"
        "WRONG: root-silent forward: refused in root, memfd, not dropped in memfd\n"
        "  khoci selftest root-silent\n"
    )


def test_a_long_headline_is_folded() -> None:
    text = table("SELF-TEST FAILED: " + ", ".join(["memory-map-silent backward"] * 9), [MISSED])
    assert max(map(len, text.splitlines())) <= WIDTH
