from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from khoci.cli.predict import predict_command
from khoci.errors import UsageError
from khoci.format import capture
from khoci.verdicts import Verdict
from tests.format.test_real_captures import FOLDER

CAPTURE = str(FOLDER / "v6.18.15-reserve-mem.khocap")
LOST = "64 of 64 KiB of reserve_mem khoci-small are free memory"


def khoci_predict(*words: str) -> Result:
    return CliRunner().invoke(predict_command, words, standalone_mode=False)


def test_the_verdict_of_each_component_with_its_reason() -> None:
    result = khoci_predict(CAPTURE, "6.17")
    assert result.exit_code == 0
    assert result.output.startswith("v6.17.13: corrupt\n")
    lines = [line.split() for line in result.output.splitlines()]
    assert [line[:2] for line in lines if line[:1] == ["reserve_mem"]] == [
        ["reserve_mem", "corrupt"]
    ]
    assert LOST in " ".join(result.output.split())


def test_json_for_all_releases() -> None:
    result = khoci_predict(CAPTURE, "--all", "--json")
    found = json.loads(result.output)
    assert [item["verdict"] for item in found.values()] == [
        *["corrupt"] * 2,
        *["restored"] * 3,
        *["refused"] * 3,
    ]
    assert found["v6.17.13"]["components"]["memory map"]["verdict"] == Verdict.CORRUPT
    assert LOST in found["v6.17.13"]["components"]["memory map"]["reason"]


def test_where_it_is_and_where_the_answer_goes(tmp_path: Path) -> None:
    target = tmp_path / "out"
    result = khoci_predict(
        CAPTURE, "6.18", "--root", hex(capture.load(Path(CAPTURE)).fdt_addr), "-o", str(target)
    )
    assert result.output == ""
    assert target.read_text() == khoci_predict(CAPTURE, "6.18").output
    wrong = khoci_predict(CAPTURE, "6.18", "--root", "0x1000")
    assert wrong.exception is not None


def test_several_kernels_one_below_the_other() -> None:
    result = khoci_predict(CAPTURE, "7.3", "6.18")
    heads = [line for line in result.output.splitlines() if line and line[0] != " "]
    assert heads == ["v7.3.4: refused", "v6.18.15: restored"]


@pytest.mark.parametrize("words", [[], ["6.17", "--all"]])
def test_a_kernel_or_all_but_one_of_the_two(words: list[str]) -> None:
    result = khoci_predict(CAPTURE, *words)
    assert isinstance(result.exception, UsageError)
    assert "name a KERNEL or say --all" in str(result.exception)


def test_a_release_that_nobody_described() -> None:
    result = khoci_predict(CAPTURE, "5.10")
    assert isinstance(result.exception, UsageError)
    assert "'5.10'" in str(result.exception)


def test_a_dump_without_a_handover(tmp_path: Path) -> None:
    dump = tmp_path / "blank.ram"
    dump.write_bytes(bytes(1 << 20))
    result = khoci_predict(str(dump), "7.3")
    assert isinstance(result.exception, UsageError)
    assert f"{dump}: no handover is in it" in str(result.exception)
