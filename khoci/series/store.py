"""The series that were fetched, each revision in a folder: the thread, the patches, what they are.

A revision appears when it is complete: its folder is made under another name. One that is stored
again changes in place, ``series.json`` last: what other modules keep in its folder stays.
"""

from __future__ import annotations

import hashlib
import json
import re
import secrets
import shutil
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock

from khoci.errors import UsageError
from khoci.files import write_atomic
from khoci.kernel.disk import one_line
from khoci.series.model import Blob, Patch, Series

if TYPE_CHECKING:
    from collections.abc import Mapping

    from khoci.series.fetch import Fetched

SCHEMA = 1
FILE, THREAD, MBOX, MAILS = "series.json", "thread.mbox", "series.mbox", "mails"
_LONGEST_SLUG = 40
_MAIL = re.compile(rb"^From .*\n", re.MULTILINE)
_ID = re.compile(rb"^Message-ID:\s*<([^<>\s]+)>", re.MULTILINE | re.IGNORECASE)
_SLUG = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
_NAME = re.compile(r"(?P<slug>[a-z0-9-]+?)(?::v(?P<revision>[1-9]\d*))?")


@dataclass(frozen=True, slots=True)
class Stored:
    """A revision of a series, and the folder that it is kept in."""

    series: Series
    folder: Path

    @property
    def label(self) -> str:
        """How a user names it: ``slug:vN``."""
        return f"{self.series.slug}:v{self.series.revision}"

    def describe(self) -> dict[str, Any]:
        """What it is, as plain JSON values; the mails are left out."""
        text = (self.folder / FILE).read_text(encoding="utf-8")
        data: dict[str, Any] = json.loads(text)
        written = {key: _writable(value) for key, value in data.items()}
        return {**written, "label": self.label, "folder": str(self.folder)}


def save(root: Path, fetched: Fetched, slug: str | None = None) -> Stored:
    """Store a series under its slug; what was stored of the same revision is replaced.

    What it was put on stays as it is recorded until it is put on something again.

    All revisions of a series have one slug: the same change-id says that two are, or the same
    subject and author.

    Args:
        root: the folder of all series.
        fetched: what to store.
        slug: what the user wants it called.

    Raises:
        UsageError: the slug is none, or has this revision of another series.
        HarnessError: the disk is full.
    """
    with one_line(fetched.series.msgid, root):
        root.mkdir(parents=True, exist_ok=True)
        with _locked(root):
            name = _wanted(root, fetched.series, slug) if slug else _own(root, fetched.series)
            series = replace(fetched.series, slug=name)
            target = root / name / f"v{series.revision}"
            _put(target, series, fetched)
    return Stored(series, target)


def find(root: Path, name: str) -> Stored:
    """A stored series by slug (its newest revision), ``slug:vN``, or the id of one of its mails.

    Raises:
        UsageError: there is none.
    """
    stored = all_stored(root)
    matched = _NAME.fullmatch(name)
    if matched:
        revision = matched["revision"]
        mine = [each for each in stored if each.series.slug == matched["slug"]]
        mine = [e for e in mine if revision is None or e.series.revision == int(revision)]
    else:
        bare = name.strip("<>")
        mine = [each for each in stored if bare in _msgids(each.series)]
    if not mine:
        there = ", ".join(each.label for each in stored) or "none is stored"
        raise UsageError(f"no series '{name}' ({there}): khoci apply-series MSGID fetches one")
    return max(mine, key=lambda each: each.series.revision)


def thread_of(root: Path, msgid: str) -> bytes | None:
    """The thread, as a mbox, that has a mail, best of a series that the mail is part of.

    Of several it is the one that was stored last.
    """
    found = [
        (msgid in _msgids(each.series), (each.folder / FILE).stat().st_mtime_ns, thread)
        for each in all_stored(root)
        if _has(thread := (each.folder / THREAD).read_bytes(), msgid)
    ]
    return max(found, key=lambda each: each[:2])[2] if found else None


def revision_of(root: Path, msgid: str, revision: int) -> tuple[str, bytes] | None:
    """Message-id and thread of a stored revision of the series that a mail is in."""
    stored = all_stored(root)
    slugs = {
        each.series.slug
        for each in stored
        if msgid in _msgids(each.series) or _has((each.folder / THREAD).read_bytes(), msgid)
    }
    for each in stored:
        if each.series.slug in slugs and each.series.revision == revision:
            return each.series.msgid, (each.folder / THREAD).read_bytes()
    return None


def _has(thread: bytes, msgid: str) -> bool:
    """Whether a mbox has a mail of this message-id, in its headers."""
    heads = (mail.partition(b"\n\n")[0] for mail in _MAIL.split(thread.replace(b"\r\n", b"\n")))
    ids = (found[1] for head in heads for found in _ID.finditer(head))
    return msgid.encode() in ids


def mails_in(folder: Path) -> str:
    """A digest of the patches that a revision's folder has, '' if it has none."""
    with suppress(FileNotFoundError):
        return str(json.loads((folder / FILE).read_text(encoding="utf-8")).get("mails", ""))
    return ""


def all_stored(root: Path) -> list[Stored]:
    """All series, by slug and revision; what cannot be read is left out."""
    found = []
    for file in root.glob(f"[!.]*/v*/{FILE}"):
        try:
            found.append(Stored(_read(file.parent), file.parent))
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return sorted(found, key=lambda each: (each.series.slug, each.series.revision))


def remove(stored: Stored) -> None:
    """Forget a revision."""
    with _locked(stored.folder.parent.parent):
        doomed = stored.folder.with_name(f".{stored.folder.name}.{secrets.token_hex(4)}")
        stored.folder.replace(doomed)
        shutil.rmtree(doomed, ignore_errors=True)
        if not any(stored.folder.parent.iterdir()):
            stored.folder.parent.rmdir()


def slug_of(subject: str) -> str:
    """A subject as a name of ``a-z0-9-``."""
    words = re.sub(r"[^a-z0-9]+", "-", subject.lower()).strip("-")
    cut = words[: _LONGEST_SLUG + 1]
    whole = cut.rpartition("-")[0] if len(words) > _LONGEST_SLUG and "-" in cut else cut
    return whole[:_LONGEST_SLUG].strip("-") or "series"


def _wanted(root: Path, series: Series, slug: str) -> str:
    if not _SLUG.fullmatch(slug) or len(slug) > _LONGEST_SLUG:
        raise UsageError(f"--slug '{slug}': at most {_LONGEST_SLUG} of a-z, 0-9 and '-'")
    there = _stored_at(root, slug, series.revision)
    if there and not _same(there, series) and there.msgid != series.msgid:
        raise UsageError(
            f"--slug {slug}: v{series.revision} of it is another series: {there.msgid}"
        )
    return slug


def _own(root: Path, series: Series) -> str:
    """The slug of an earlier revision, else one that no other series has."""
    stored = [each.series for each in all_stored(root)]
    mine = [each.slug for each in stored if _same(each, series)]
    if mine:
        return mine[0]
    slug = slug_of(series.subject)
    taken = {each.slug for each in stored}
    if slug not in taken:
        return slug
    digest = hashlib.sha256(series.msgid.encode()).hexdigest()[:6]
    return f"{slug[: _LONGEST_SLUG - 7].rstrip('-')}-{digest}"


def _same(one: Series, other: Series) -> bool:
    """Whether two are revisions of one series."""
    if one.change_id and other.change_id:
        return one.change_id == other.change_id
    authors = [{patch.author for patch in each.patches} for each in (one, other)]
    return slug_of(one.subject) == slug_of(other.subject) and bool(authors[0] & authors[1])


def _stored_at(root: Path, slug: str, revision: int) -> Series | None:
    found = (e.series for e in all_stored(root))
    return next((e for e in found if (e.slug, e.revision) == (slug, revision)), None)


def _msgids(series: Series) -> set[str]:
    return {series.msgid, *(patch.msgid for patch in series.patches)}


def _locked(root: Path) -> FileLock:
    """Holds other processes off that store or remove something."""
    return FileLock(root.with_name(f".{root.name}.lock"))


def _put(target: Path, series: Series, fetched: Fetched) -> None:
    """Store a revision in its folder, which may be there."""
    if target.exists():
        _write(target, series, fetched)
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    made = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
    try:
        _write(made, series, fetched)
        made.replace(target)
    finally:
        shutil.rmtree(made, ignore_errors=True)


def _write(folder: Path, series: Series, fetched: Fetched) -> None:
    """Write a revision: readers see the files of this one or of the one before."""
    mails = {patch.number: patch.mail for patch in series.patches}
    digest = hashlib.sha256(repr(sorted(mails.items())).encode()).hexdigest()[:16]
    for number, mail in mails.items():
        write_atomic(folder / MAILS / digest / f"{number:04}", mail)
    write_atomic(folder / THREAD, fetched.thread)
    write_atomic(folder / MBOX, fetched.mbox)
    digests = {
        name: hashlib.sha256(content).hexdigest()
        for name, content in ((THREAD, fetched.thread), (MBOX, fetched.mbox))
    }
    data = {"schema": SCHEMA, **asdict(series), "mails": digest, "sha256": digests}
    data["patches"] = [_without_mail(patch) for patch in series.patches]
    write_atomic(folder / FILE, json.dumps(data, indent=2) + "\n")
    for old in (folder / MAILS).glob("*"):
        if old.name != digest:
            _drop(old)


def _drop(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _writable(value: object) -> object:
    """JSON values that every terminal can be told: bytes that are no UTF-8 become escapes."""
    if isinstance(value, str):
        return value.encode(errors="backslashreplace").decode()
    if isinstance(value, list):
        return [_writable(each) for each in value]
    if isinstance(value, dict):
        return {key: _writable(each) for key, each in value.items()}
    return value


def _without_mail(patch: Patch) -> dict[str, Any]:
    return {key: value for key, value in asdict(patch).items() if key != "mail"}


def _read(folder: Path) -> Series:
    data = json.loads((folder / FILE).read_text(encoding="utf-8"))
    if data["schema"] != SCHEMA:
        raise ValueError
    mails = folder / MAILS / str(data.get("mails", ""))
    patches = tuple(_patch(mails, item) for item in data["patches"])
    base = data["base_commit"]
    return Series(
        revision=int(data["revision"]),
        expected=int(data["expected"]),
        newest=int(data["newest"]),
        patches=patches,
        slug=str(data["slug"]),
        msgid=str(data["msgid"]),
        subject=str(data["subject"]),
        base_commit=None if base is None else str(base),
        prerequisites=tuple(map(str, data["prerequisites"])),
        change_id=str(data["change_id"]),
        attestation=tuple(map(str, data["attestation"])),
        origin=str(data["origin"]),
        notes=tuple(map(str, data["notes"])),
    )


def _patch(mails: Path, data: Mapping[str, Any]) -> Patch:
    number = int(data["number"])
    return Patch(
        number=number,
        blobs=tuple(Blob(**item) for item in data["blobs"]),
        trailers=tuple(map(str, data["trailers"])),
        mail=(mails / f"{number:04}").read_bytes(),
        **{name: str(data[name]) for name in ("msgid", "subject", "author", "patch_id")},
    )
