from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from khoci.errors import HarnessError
from khoci.vm.symbols import address_of

if TYPE_CHECKING:
    from pathlib import Path

MAP = """\
0000000000000000 D __per_cpu_start
ffffffff81061ea0 T machine_kexec_prepare
ffffffff81061fa0 t machine_kexec.cold
ffffffff810620a0 T machine_kexec
ffffffff810621a0 T machine_kexec_cleanup
ffffffff82000000 T machine_kexec
"""


def test_the_whole_name_is_compared(tmp_path: Path) -> None:
    path = tmp_path / "System.map"
    path.write_text(MAP)
    assert address_of("machine_kexec", path) == 0xFFFFFFFF810620A0
    assert address_of("__per_cpu_start", path) == 0


@pytest.mark.parametrize("content", ["", MAP, "zzz\n\n x\n", "\xff\xfe"])
def test_no_such_symbol(tmp_path: Path, content: str) -> None:
    path = tmp_path / "System.map"
    path.write_bytes(content.encode("latin-1"))
    with pytest.raises(HarnessError, match=r"System\.map: has no symbol kexec$"):
        address_of("kexec", path)


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(HarnessError, match="cannot be read: No such file"):
        address_of("machine_kexec", tmp_path / "none")


@pytest.mark.parametrize("address", ["zzz", "", "-1", "0x1", "f" * 17, "²"])
def test_an_address_that_is_none(tmp_path: Path, address: str) -> None:
    path = tmp_path / "System.map"
    path.write_text(f"{address} T machine_kexec\n", encoding="utf-8")
    with pytest.raises(HarnessError, match=r"System\.map: states no address of machine_kexec$"):
        address_of("machine_kexec", path)
