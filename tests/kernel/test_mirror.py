from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from khoci.config.kernels import Package
from khoci.errors import HarnessError
from khoci.kernel.mirror import mirrors, pool_path

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def apt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A fake apt-get, alone on the PATH; the test writes what it prints."""
    (tmp_path / "apt-get").write_text(
        f'#!/bin/sh\nwhile read -r l; do echo "$l"; done < "{tmp_path}/listed"\n'
    )
    (tmp_path / "apt-get").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("KHOCI_DEBIAN_MIRROR", raising=False)
    return tmp_path / "listed"


def test_the_address_comes_from_apt(apt: Path) -> None:
    apt.write_text("http://one.test/debian/\ncdrom://x/\nhttp://one.test/debian/\nfile:/srv/deb\n")
    assert mirrors() == ["http://one.test/debian/", "file:/srv/deb/"]


def test_an_override_wins(apt: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    apt.write_text("http://one.test/debian/\n")
    monkeypatch.setenv("KHOCI_DEBIAN_MIRROR", "https://two.test/debian")
    assert mirrors() == ["https://two.test/debian/"]


def test_no_mirror_is_one_line(apt: Path) -> None:
    apt.write_text("")
    with pytest.raises(HarnessError, match="set KHOCI_DEBIAN_MIRROR"):
        mirrors()
    (apt.parent / "apt-get").unlink()
    with pytest.raises(HarnessError, match="set KHOCI_DEBIAN_MIRROR"):
        mirrors()


def test_the_place_in_the_pool() -> None:
    package = Package("linux-source-6.18", "6.18.15-1~bpo13+1", "")
    assert pool_path(package) == ("pool/main/l/linux/linux-source-6.18_6.18.15-1~bpo13+1_all.deb")
    signed = Package("linux-image-amd64", "1", "", arch="amd64", pool="linux-signed-amd64")
    assert pool_path(signed) == "pool/main/l/linux-signed-amd64/linux-image-amd64_1_amd64.deb"
