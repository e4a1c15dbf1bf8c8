"""What the documents lead to is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
DOCUMENTS = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]
_LINK = re.compile(r"\]\((?!https?:|mailto:|#)([^)#\s]+)")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_leads_to_a_file(document: Path) -> None:
    named = _LINK.findall(document.read_text())
    assert [name for name in named if not (document.parent / name).exists()] == []


def test_there_are_links() -> None:
    assert sum(len(_LINK.findall(document.read_text())) for document in DOCUMENTS) > 5
