from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from khoci.config.policy import Known, Policy, load_policy
from khoci.errors import UsageError
from khoci.paths import data_dir
from khoci.verdicts import Verdict

if TYPE_CHECKING:
    from pathlib import Path

KNOWN = """
never = ["panic"]
[[known]]
producers = ["6.17"]
consumers = ["6.18", "v6.19.14"]
scenarios = ["kho-test"]
verdict = "panic"
reason = "the bitmaps grew"
"""


def load(tmp_path: Path, text: str) -> Policy:
    path = tmp_path / "policy.toml"
    path.write_text(text)
    return load_policy(path)


def test_the_shipped_policy_forbids_lost_memory_and_death() -> None:
    policy = load_policy(data_dir("matrix") / "policy.toml")
    assert {"dropped", "corrupt", "panic", "reset", "hang"} <= set(policy.never)
    assert not {"restored", "refused", "accepted", "absent"} & set(policy.never)


def test_a_known_break(tmp_path: Path) -> None:
    known = Known(("6.17",), ("6.18", "v6.19.14"), ("kho-test",), Verdict.PANIC, "the bitmaps grew")
    assert load(tmp_path, KNOWN) == Policy((Verdict.PANIC,), (known,))


def test_an_empty_policy(tmp_path: Path) -> None:
    assert load(tmp_path, "") == Policy((), ())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nevr = []", "unknown key 'nevr' (did you mean 'never'?)"),
        ("never = ['panik']", "'panik' is no verdict: absent, restored"),
        ("never = 'panic'", "key 'never' must be a list of strings"),
        (KNOWN.replace("verdict =", "verdicts ="), "[known #1]: unknown key 'verdicts' (did you"),
        (KNOWN.replace('verdict = "panic"', 'verdict = "panics"'), "[known #1]: 'panics' is no"),
        (KNOWN.replace('["6.17"]', "[]"), "[known #1]: key 'producers' is missing or empty"),
        (KNOWN.replace("reason", "#"), "[known #1]: key 'reason' is missing"),
    ],
)
def test_a_wrong_key_is_one_line_with_its_place(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        load(tmp_path, text)
    assert str(caught.value).startswith(f"{tmp_path}/policy.toml: {message}")
    assert "\n" not in str(caught.value)
