from __future__ import annotations

import json
import multiprocessing
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from khoci.errors import UsageError
from khoci.series.fetch import Fetched
from khoci.series.model import Blob, Patch, Series
from khoci.series.store import all_stored, find, remove, revision_of, save, slug_of, thread_of

PATCH = Patch(
    1, "p1@x", "kho: a", "Zoë <zoe@x>", "1" * 40, (Blob("a/ü.c", "0", "1"),), b"mail\xff", ("R: x",)
)
SERIES = Series("", 1, 2, (PATCH,), "cover@x", "kho: Größe & more", "a" * 40, ("b" * 40,))


def fetched(series: Series = SERIES) -> Fetched:
    return Fetched(series, b"thread", b"mbox")


def test_what_is_stored_is_found_again(tmp_path: Path) -> None:
    stored = save(tmp_path, fetched())
    assert stored.label == "kho-gr-e-more:v1"
    assert stored.series == replace(SERIES, slug="kho-gr-e-more")
    for name in ("kho-gr-e-more", "kho-gr-e-more:v1", "cover@x", "<p1@x>"):
        assert find(tmp_path, name) == stored
    assert (stored.folder / "thread.mbox").read_bytes() == b"thread"
    said = json.loads(json.dumps(stored.describe()))
    assert said["patches"][0]["author"] == "Zoë <zoe@x>"
    assert "mail" not in said["patches"][0]
    assert not list(tmp_path.rglob(".*"))


@pytest.mark.parametrize("name", ["nothing", "kho-gr-e-more:v2", "no@x", "../x", ""])
def test_what_is_not_there(tmp_path: Path, name: str) -> None:
    save(tmp_path, fetched())
    with pytest.raises(UsageError, match=r"no series .* \(kho-gr-e-more:v1\): khoci apply-series"):
        find(tmp_path, name)


def test_revisions_have_one_slug(tmp_path: Path) -> None:
    save(tmp_path, fetched())
    second = save(tmp_path, fetched(replace(SERIES, revision=2, msgid="cover2@x")))
    assert second.label == "kho-gr-e-more:v2"
    assert find(tmp_path, "kho-gr-e-more") == second
    assert [each.label[-2:] for each in all_stored(tmp_path)] == ["v1", "v2"]


def test_a_change_id_tells_that_a_new_subject_is_the_same_series(tmp_path: Path) -> None:
    save(tmp_path, fetched(replace(SERIES, change_id="c-1")))
    renamed = replace(SERIES, revision=2, msgid="n@x", subject="other", change_id="c-1")
    assert save(tmp_path, fetched(renamed)).label == "kho-gr-e-more:v2"
    stranger = replace(SERIES, change_id="c-2", msgid="s@x")
    assert save(tmp_path, fetched(stranger)).series.slug not in ("kho-gr-e-more", "other")


def test_who_begins_to_use_b4_goes_on_with_the_same_series(tmp_path: Path) -> None:
    save(tmp_path, fetched())
    second = replace(SERIES, revision=2, msgid="n@x", change_id="c-1")
    assert save(tmp_path, fetched(second)).label == "kho-gr-e-more:v2"


def test_the_same_subject_of_another_author_is_another_series(tmp_path: Path) -> None:
    save(tmp_path, fetched())
    patch = replace(PATCH, author="Max <max@x>", msgid="q@x")
    other = save(tmp_path, fetched(replace(SERIES, patches=(patch,), msgid="other@x")))
    assert other.series.slug.startswith("kho-gr-e-more-")
    assert len(all_stored(tmp_path)) == 2


def test_a_slug_of_the_users(tmp_path: Path) -> None:
    assert save(tmp_path, fetched(), "mine").label == "mine:v1"
    for slug in ("Mine", "a/b", "..", "-x", "a" * 41):
        with pytest.raises(UsageError, match="--slug"):
            save(tmp_path, fetched(), slug)
    other = replace(SERIES, subject="else", msgid="else@x", patches=())
    with pytest.raises(UsageError, match="--slug mine: v1 of it is another series: cover@x"):
        save(tmp_path, fetched(other), "mine")


def test_the_same_again_takes_its_place(tmp_path: Path) -> None:
    save(tmp_path, fetched())
    again = save(tmp_path, replace(fetched(), thread=b"longer"))
    assert (again.folder / "thread.mbox").read_bytes() == b"longer"
    assert len(all_stored(tmp_path)) == 1


def test_what_others_keep_in_the_folder_stays(tmp_path: Path) -> None:
    folder = save(tmp_path, fetched()).folder
    for name in ("applied.json", "patches/ab/0001.patch", "by-hand/mm/c.c"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("kept")
    other = replace(SERIES, patches=(replace(PATCH, mail=b"other"), replace(PATCH, number=2)))
    for again in (SERIES, other, SERIES):
        stored = save(tmp_path, fetched(again))
        assert find(tmp_path, "cover@x") == stored
        assert stored.series.patches == again.patches
        assert (folder / "applied.json").read_text() == "kept"
        assert (folder / "patches/ab/0001.patch").read_text() == "kept"
        assert (folder / "by-hand/mm/c.c").read_text() == "kept"
    assert len(list((folder / "mails").iterdir())) == 1


def _save_often(root: Path) -> None:
    for _ in range(30):
        save(root, fetched())


def test_several_at_once(tmp_path: Path) -> None:
    root = tmp_path / "series"
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=_save_often, args=(root,)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0, 0]
    assert [each.label for each in all_stored(root)] == ["kho-gr-e-more:v1"]


def test_a_path_that_is_no_utf_8(tmp_path: Path) -> None:
    path = b"a/caf\xe9.c".decode(errors="surrogateescape")
    series = replace(SERIES, patches=(replace(PATCH, blobs=(Blob(path, "0", "1"),)),))
    stored = save(tmp_path, fetched(series))
    assert find(tmp_path, "cover@x").series.patches == series.patches
    assert stored.describe()["patches"][0]["blobs"][0]["path"] == r"a/caf\udce9.c"


def test_what_is_removed_is_gone(tmp_path: Path) -> None:
    root = tmp_path / "series"
    remove(save(root, fetched()))
    assert not list(root.iterdir())


def test_one_that_cannot_be_read_is_left_out(tmp_path: Path) -> None:
    stored = save(tmp_path, fetched())
    (stored.folder / "series.json").write_text("{")
    assert all_stored(tmp_path) == []


@given(st.text(max_size=60))
def test_no_subject_makes_a_bad_name(subject: str) -> None:
    slug = slug_of(subject)
    assert 0 < len(slug) <= 40
    assert set(slug) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")
    assert slug[0] != "-" != slug[-1]


def test_the_thread_of_a_mail(tmp_path: Path) -> None:
    root = tmp_path / "series"
    thread = b"From x Thu Jan  1 00:00:00 1970\nMessage-ID: <p1@x>\nX-Revision: %d\n\n"
    for revision in (2, 1):
        series = replace(SERIES, revision=revision)
        save(root, replace(fetched(series), thread=thread % revision))
    assert thread_of(root, "p1@x") == thread % 1
    assert thread_of(root, "no@x") is None
    patch = replace(PATCH, msgid="z@x")
    other = replace(SERIES, subject="zz", msgid="zz@x", patches=(patch,))
    save(root, replace(fetched(other), thread=thread % 3 + b"Message-ID: <p2@x>\n"))
    assert thread_of(root, "p1@x") == thread % 1
    assert thread_of(root, "p2@x") is None


def test_a_stored_revision_of_the_same_series(tmp_path: Path) -> None:
    for revision in (1, 2):
        msgid = f"c{revision}@x"
        patch = replace(PATCH, msgid=f"p{revision}@x")
        series = replace(SERIES, revision=revision, msgid=msgid, patches=(patch,))
        save(tmp_path, replace(fetched(series), thread=b"v%d" % revision))
    assert revision_of(tmp_path, "p2@x", 1) == ("c1@x", b"v1")
    assert revision_of(tmp_path, "p2@x", 3) is None
    assert revision_of(tmp_path, "no@x", 1) is None
