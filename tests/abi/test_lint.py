from __future__ import annotations

from khoci.abi.lint import drifts
from khoci.abi.places import is_document
from tests.abi import fakelinux
from tests.abi.test_compare import RELEASES, V73

HEADER = fakelinux.HEADER
TEXT = """\
/* DOC: compatible = "kho-v3"; a node of memfd-v2, and test-v1.
 * of kho-v4 and old-kho-v3 */
#define OLD "kho-v2"  // kho-v1
"""


def test_comments_that_name_another_version() -> None:
    found = drifts({HEADER: TEXT}, V73)
    assert [(d.line, d.says, d.code) for d in found] == [
        (1, "kho-v3", "kho-v4"),
        (3, "kho-v1", "kho-v4"),
    ]
    assert str(found[0]).startswith(f"{HEADER}:1: says kho-v3, the code has kho-v4 (KHO_FDT_COMP")


def test_documents_are_read_as_a_whole() -> None:
    files = {
        "Documentation/core-api/kho/index.rst": "now\nkho-v3\n",
        "Documentation/x.rst": "kho-v3",
    }
    assert [(d.file, d.line) for d in drifts(files, V73)] == [
        ("Documentation/core-api/kho/index.rst", 2)
    ]


def test_each_version_has_its_own_name() -> None:
    abi = RELEASES["v6.19.14"]
    found = drifts({HEADER: "/* luo-session-v1 of luo-v1 */"}, abi)
    assert [(d.says, d.code) for d in found] == [("luo-session-v1", "luo-session-v2")]


def test_what_is_a_document() -> None:
    assert is_document("Documentation/core-api/kho/abi.rst")
    assert is_document("Documentation/userspace-api/liveupdate.rst")
    assert is_document("Documentation/mm/memfd_preservation.rst")
    assert is_document("Documentation/core-api/kho/bindings/kho.yaml")
    assert not is_document("Documentation/core-api/list.rst")
    assert not is_document("kernel/liveupdate/Kconfig")
