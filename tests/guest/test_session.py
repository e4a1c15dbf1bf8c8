from __future__ import annotations

import asyncio

import pytest

from khoci.guest.session import Agent, AgentError


class Script:
    """A line whose other end says what was written beforehand."""

    def __init__(self, *lines: str) -> None:
        self.lines = list(lines)
        self.sent: list[str] = []

    async def next_line(self) -> str:
        return self.lines.pop(0)

    async def send_line(self, line: str) -> None:
        self.sent.append(line)


def test_parts_of_an_answer_are_one() -> None:
    script = Script(
        '{"id":1,"ok":true,"lines":["a"],"more":true}',
        '{"event":"jump-failed"}',
        '{"id":1,"ok":true,"lines":["b"]}',
    )
    assert asyncio.run(Agent(script).command("kmsg")) == {"lines": ["a", "b"]}


def test_a_refusal_is_an_error_with_the_command() -> None:
    script = Script('{"id":1,"ok":false,"error":"kexec_file_load: EADDRNOTAVAIL","errno":99}')
    with pytest.raises(AgentError, match="load: kexec_file_load: EADDRNOTAVAIL") as caught:
        asyncio.run(Agent(script).command("load"))
    assert caught.value.errno == 99


def test_a_command_that_arrived_garbled_is_not_waited_for() -> None:
    script = Script('{"id":0,"ok":false,"error":"not a flat JSON object: EBADMSG","errno":74}')
    with pytest.raises(AgentError, match="ping: not a flat JSON object"):
        asyncio.run(Agent(script).command("ping"))
