from __future__ import annotations

from pathlib import Path

import pytest

from khoci.guest.initramfs import consumer_initramfs, producer_initramfs
from tests.guest.test_cpio import members


@pytest.fixture(name="agent")
def fake_agent(tmp_path: Path) -> Path:
    path = tmp_path / "init"
    path.write_bytes(b"the agent")
    return path


def test_consumer_has_the_agent_and_a_console(agent: Path, tmp_path: Path) -> None:
    read = {m.path: m for m in members(consumer_initramfs(agent, tmp_path).read_bytes())}
    assert read["init"].content == b"the agent"
    assert read["init"].mode & 0o111
    assert read["dev/console"].device == (5, 1)
    assert not any(path.startswith("consumer") for path in read)


def test_producer_has_the_consumer_to_load(agent: Path, tmp_path: Path) -> None:
    kernel = tmp_path / "bzImage"
    kernel.write_bytes(b"the kernel")
    inner = consumer_initramfs(agent, tmp_path)
    paths = [
        m.path for m in members(producer_initramfs(agent, kernel, inner, tmp_path).read_bytes())
    ]
    read = {
        m.path: m.content
        for m in members(producer_initramfs(agent, kernel, inner, tmp_path).read_bytes())
    }
    assert paths.index("consumer") < paths.index("consumer/kernel")
    assert read["consumer/kernel"] == b"the kernel"
    assert read["consumer/initrd"] == inner.read_bytes()
    assert read["init"] == b"the agent"


def test_same_content_is_kept_once(agent: Path, tmp_path: Path) -> None:
    first = consumer_initramfs(agent, tmp_path)
    written = first.stat().st_mtime_ns
    assert consumer_initramfs(agent, tmp_path) == first
    assert first.stat().st_mtime_ns == written
    agent.write_bytes(b"another agent")
    assert consumer_initramfs(agent, tmp_path) != first


def test_nothing_half_written_is_left(agent: Path, tmp_path: Path) -> None:
    image = consumer_initramfs(agent, tmp_path)
    assert list(image.parent.iterdir()) == [image]
