from __future__ import annotations

from pathlib import Path

import pytest

from khoci.config.loglines import MEANINGS, SIDES, Pattern, default_file, load_patterns
from khoci.errors import UsageError
from khoci.paths import data_dir

GOOD = {
    "name": "root-found",
    "component": "root",
    "meaning": "found",
    "regex": "KHO: found",
    "example": "KHO: found kexec handover data.",
    "source": "kernel/liveupdate/kexec_handover.c: kho_populate",
}


def written(folder: Path, *patterns: dict[str, str]) -> Path:
    lines = []
    for pattern in patterns:
        lines += ["[[pattern]]", *(f"{key} = '{value}'" for key, value in pattern.items())]
    file = folder / "loglines.toml"
    file.write_text("\n".join(lines), encoding="utf-8")
    return file


def loaded(folder: Path, **changes: str) -> Pattern:
    (pattern,) = load_patterns(written(folder, {**GOOD, **changes}))
    return pattern


def test_the_shipped_patterns_are_read_and_each_matches_its_example() -> None:
    patterns = load_patterns(data_dir("matrix") / "loglines.toml")
    assert len(patterns) > 40
    for pattern in patterns:
        assert pattern.regex.search(pattern.example), pattern.name
        assert pattern.side in SIDES
        assert pattern.meaning in MEANINGS
        assert pattern.source


def test_a_pattern_as_it_is_written(tmp_path: Path) -> None:
    pattern = loaded(tmp_path, since="6.17", before="7.2", side="either", rare="never seen")
    assert (pattern.name, pattern.component, pattern.meaning) == ("root-found", "root", "found")
    assert (pattern.side, pattern.rare) == ("either", "never seen")
    assert pattern.regex.search(GOOD["example"])


def test_what_need_not_be_written(tmp_path: Path) -> None:
    (pattern,) = load_patterns(written(tmp_path, {k: GOOD[k] for k in GOOD if k != "component"}))
    assert (pattern.side, pattern.component, pattern.rare) == ("consumer", "", "")
    assert pattern.printed_by("6.16")


@pytest.mark.parametrize(
    ("release", "printed"),
    [
        ("6.16", False),
        ("v6.17.13", True),
        ("6.17", True),
        ("7.1.13", True),
        ("7.2", False),
        ("v7.2.12", False),
        ("7.3", False),
        ("mine", False),
    ],
)
def test_the_releases_that_print_it(tmp_path: Path, release: str, printed: bool) -> None:
    assert loaded(tmp_path, since="6.17", before="7.2").printed_by(release) is printed


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"regex": "(KHO"}, "key 'regex' is no regular expression: "),
        ({"regex": "KHO: lost"}, "key 'regex' does not match the example 'KHO: found kexec"),
        ({"meaning": "find"}, "key 'meaning' is 'find' (did you mean 'found'?)"),
        ({"side": "both"}, "key 'side' is 'both': it is one of consumer, producer, either"),
        ({"since": "soon"}, "key 'since' is a release such as '6.18', not 'soon'"),
        ({"release": "6.18"}, "unknown key 'release'"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(
    tmp_path: Path, changes: dict[str, str], message: str
) -> None:
    with pytest.raises(UsageError) as caught:
        loaded(tmp_path, **changes)
    assert "loglines.toml: [pattern #1]: " in str(caught.value)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("key", ["name", "meaning", "regex", "example", "source"])
def test_a_key_that_is_missing(tmp_path: Path, key: str) -> None:
    rest = {name: value for name, value in GOOD.items() if name != key}
    with pytest.raises(UsageError, match=f"key '{key}' is missing"):
        load_patterns(written(tmp_path, rest))


def test_names_are_unique(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="two patterns are called 'root-found'"):
        load_patterns(written(tmp_path, GOOD, GOOD))


def test_a_file_without_patterns(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no \[\[pattern\]\] is there"):
        load_patterns(written(tmp_path))


def test_the_users_own_file_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert default_file() == data_dir("matrix") / "loglines.toml"
    (tmp_path / "matrix").mkdir()
    own = written(tmp_path / "matrix", GOOD)
    assert default_file().resolve() == own
