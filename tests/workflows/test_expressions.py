from __future__ import annotations

from typing import Any

import pytest

from tests.workflows.expressions import NotUnderstoodError, Strict, evaluated, interpolated

CONTEXTS = {
    "inputs": Strict({"series": "", "range": "a..b", "post": False}),
    "github": {"event": {"pull_request": {"number": 7}}, "event_name": "pull_request"},
}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("inputs.range", "a..b"),
        ("inputs.series || inputs.range && 'range'", "range"),
        ("github.event.pull_request && format('pull-{0}', github.event_name)", "pull-pull_request"),
        ("github.event.nothing.more", None),
        ("github.event.nothing == ''", True),
        ("github.event_name == 'Pull_Request'", True),
        ("!(inputs.post || inputs.series != '')", True),
        ("'it''s'", "it's"),
        ("fromJSON('{\"a\": [1]}').a", [1]),
    ],
)  # fmt: skip
def test_a_value(text: str, value: Any) -> None:  # noqa: ANN401
    assert evaluated(text, CONTEXTS, {}) == value


@pytest.mark.parametrize(
    "text",
    [
        "inputs.sereis",
        "secrets.x",
        "hashFiles('x')",
        "github.event_name > 'a'",
        "inputs.post == 'false'",
        "(inputs.post",
        "inputs.post inputs.post",
        "inputs['post']",
        "github.event_name.length",
    ],
)
def test_what_is_not_known_is_an_error(text: str) -> None:
    with pytest.raises(NotUnderstoodError):
        evaluated(text, CONTEXTS, {})


def test_a_text_with_holes() -> None:
    assert interpolated("x-${{ inputs.range }}-${{ inputs.post }}", CONTEXTS, {}) == "x-a..b-false"
    assert interpolated("${{ inputs.post }}", CONTEXTS, {}) is False
