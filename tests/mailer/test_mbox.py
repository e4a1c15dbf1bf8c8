from __future__ import annotations

import mailbox
import subprocess
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from khoci.mailer.mbox import draft
from tests.mailer.test_once import MAIL


def test_a_mbox_has_one_mail_for_every_reader(tmp_path: Path) -> None:
    file = tmp_path / "draft.mbox"
    file.write_bytes(draft(MAIL, mbox=True))
    with closing(mailbox.mbox(file)) as box:
        (read,) = box
    assert read["Message-ID"] == f"<{MAIL.msgid}>"
    (tmp_path / "split").mkdir()
    subprocess.run(
        ["git", "mailsplit", "--mboxrd", f"-o{tmp_path / 'split'}", str(file)],
        check=True,
        capture_output=True,
    )
    (mail,) = (tmp_path / "split").iterdir()
    _, _, content = mail.read_bytes().partition(b"\n")
    assert content.rstrip(b"\n") == MAIL.to_bytes().rstrip(b"\n")


def test_an_eml_is_the_mail_alone() -> None:
    mail = replace(MAIL, body="From here\n")
    assert draft(mail, mbox=False) == mail.to_bytes()
