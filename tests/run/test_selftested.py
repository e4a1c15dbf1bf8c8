from __future__ import annotations

import json
from pathlib import Path

import pytest

from khoci.run.selftested import NAME, NEVER, recall, remember


def test_what_is_remembered_is_recalled(tmp_path: Path) -> None:
    remember(tmp_path, "self-test: 32 of 32 as expected", 16, 16)
    assert recall(tmp_path) == "self-test: 32 of 32 as expected"


def test_a_part_is_called_a_part(tmp_path: Path) -> None:
    remember(tmp_path, "self-test: 2 of 2 as expected", 1, 16)
    assert recall(tmp_path) == "self-test: 2 of 2 as expected (1 of 16 mutants were run)"


def test_another_khoci_has_not_been_tested(tmp_path: Path) -> None:
    remember(tmp_path, "self-test: 32 of 32 as expected", 16, 16)
    record = json.loads((tmp_path / NAME).read_text())
    (tmp_path / NAME).write_text(json.dumps({**record, "khoci": "0" * 64}))
    assert recall(tmp_path) == NEVER


@pytest.mark.parametrize("text", [None, "", "[]", "{}", "nonsense"])
def test_no_record_or_a_broken_one(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / NAME).write_text(text)
    assert recall(tmp_path) == NEVER
