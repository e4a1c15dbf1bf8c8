from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from khoci.guest.build import sources
from tests.guest.conftest import SANITIZED

HERE = Path(__file__).parent
REFUSED = "refused"
BYTES = st.text(st.characters(min_codepoint=1, max_codepoint=0xFF), max_size=12)
INTEGERS = st.integers(-(1 << 63), (1 << 63) - 1)
OBJECTS = st.dictionaries(BYTES, BYTES | INTEGERS | st.booleans(), max_size=16)
SEED = '{"id":1,"cmd":"read","path":"/a\\u00e9\\n","max":-12,"flag":true,"other":false}'
slow = settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))


@pytest.fixture(scope="session", name="echo")
def built_echo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("echo") / "json_echo"
    wanted = ("json_parse.c", "json_write.c", "line.c")
    units = [path for path in sources() if path.name in wanted]
    include = f"-I{units[0].parent}"
    subprocess.run([*SANITIZED, include, "-o", target, HERE / "json_echo.c", *units], check=True)
    return target


def echoed(echo: Path, lines: list[bytes]) -> list[str]:
    sent = b"".join(line + b"\n" for line in lines)
    result = subprocess.run([echo], input=sent, capture_output=True, check=False, timeout=60)
    assert result.returncode == 0, result.stderr.decode("utf-8", "replace")
    return result.stdout.decode("ascii").splitlines()


def expected(line: bytes) -> dict[str, Any] | None:
    """What Python's parser says, narrowed to flat objects of what the agent knows; else None."""
    try:
        pairs = json.loads(line.decode("ascii"), object_pairs_hook=list, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return None
    if not isinstance(pairs, list) or not line.strip().startswith(b"{") or len(pairs) > 16:
        return None
    flat = len({key for key, _ in pairs}) == len(pairs)
    readable = all(_is_bytes(key) and _is_known(value) for key, value in pairs)
    return dict(pairs) if flat and readable else None


def _refuse(text: str) -> None:
    raise ValueError(text)


def _is_bytes(text: str) -> bool:
    return all("\0" < character <= "\xff" for character in text)


def _is_known(value: object) -> bool:
    if isinstance(value, str):
        return _is_bytes(value)
    return isinstance(value, int) and -(1 << 63) <= value < 1 << 63


def check(echo: Path, lines: list[bytes]) -> None:
    for line, answer in zip(lines, echoed(echo, lines), strict=True):
        wanted = expected(line)
        if wanted is None:
            assert answer == REFUSED, line
        else:
            assert answer != REFUSED, line
            assert json.loads(answer) == wanted
            assert list(map(type, json.loads(answer).values())) == list(map(type, wanted.values()))


@slow
@given(st.lists(OBJECTS, max_size=20), st.sampled_from([None, 1]))
def test_what_python_writes_is_read(
    echo: Path, objects: list[dict[str, Any]], indent: int | None
) -> None:
    separators = (",", ":") if indent is None else (" ,\t", " : \r")
    lines = [json.dumps(item, separators=separators).encode() for item in objects]
    assert [json.loads(answer) for answer in echoed(echo, lines)] == objects


@slow
@given(st.lists(st.binary(max_size=60).filter(lambda line: b"\n" not in line), max_size=40))
def test_noise_is_read_as_python_reads_it(echo: Path, lines: list[bytes]) -> None:
    check(echo, lines)


@slow
@given(
    st.lists(
        st.tuples(
            st.integers(0, len(SEED)),
            st.integers(0, 4),
            st.text('{}[]":,\\u0019eE.-+ truefalsn\x7f', max_size=3),
        ),
        max_size=60,
    )
)
def test_broken_objects_are_read_as_python_reads_them(
    echo: Path, edits: list[tuple[int, int, str]]
) -> None:
    check(echo, [(SEED[:at] + new + SEED[at + cut :]).encode() for at, cut, new in edits])


@pytest.mark.parametrize(
    "line",
    [
        '{"a":1,"a":2}',
        '{"a":01}',
        '{"a":-}',
        '{"a":1.0}',
        '{"a":1e3}',
        '{"a":9223372036854775808}',
        '{"a":-9223372036854775809}',
        '{"a":null}',
        '{"a":{}}',
        '{"a":"\\u0000"}',
        '{"a":"\\u0100"}',
        '{"a":"\\ud83d\\ude00"}',
        '{"a":"\\x"}',
        '{"a":"tab\t"}',
        '{"a":1,}',
        '{"a":1} {"b":2}',
        '{"a":1}\0',
        '{"a":"',
        '{"a":"\\',
        '{"a":"\\u00',
        '{"a"',
        "{",
        "",
        "\0",
        "\xe9",
    ],
)
def test_refused(echo: Path, line: str) -> None:
    assert echoed(echo, [line.encode("latin-1")]) == [REFUSED]


@pytest.mark.parametrize("number", [0, -1, (1 << 63) - 1, -(1 << 63)])
def test_all_integers(echo: Path, number: int) -> None:
    line = f'{{"a":{number}}}'
    assert echoed(echo, [line.encode()]) == [line]


def test_sixteen_members_and_no_more(echo: Path) -> None:
    objects = [{f"k{n}": n for n in range(count)} for count in (16, 17)]
    first, second = echoed(echo, [json.dumps(item).encode() for item in objects])
    assert json.loads(first) == objects[0]
    assert second == REFUSED
