"""What is done with messages takes no more memory for large ones."""

from __future__ import annotations

import io
import mailbox
import tracemalloc
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from spool.actions import Actor, exports, perform, put_back, resend
from spool.actions.exports import export
from spool.files.store import path_of
from spool.filters import SpoolFilter
from spool.models import Entry
from spool.models.recipient import Kind

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("redis", "home")]

MB = 1024 * 1024
LARGE = 8 * MB
MOST = 5 * MB


@pytest.fixture
def large(spooled: Callable[..., Entry]) -> list[Entry]:
    """Three messages that are larger together than anything may take."""
    entries = [spooled(kind=Kind.REMOTE) for _ in range(3)]
    for number, entry in enumerate(entries):
        head = content_of(entry)
        with path_of(entry.subspool, entry.file_name).open("wb") as file:
            file.write(head)
            line = b"%d From what follows\r\nFrom what follows\r\n" % number + 50 * (b"x" * 76 + b"\r\n")
            for _ in range(LARGE // MB):
                file.write(line * (MB // len(line)))
            size = file.tell()
        Entry.objects.filter(pk=entry.pk).update(size_bytes=size)
    return list(Entry.objects.order_by("id"))


def content_of(entry: Entry) -> bytes:
    return path_of(entry.subspool, entry.file_name).read_bytes()


@contextmanager
def little_memory() -> Iterator[None]:
    tracemalloc.start()
    try:
        yield
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < MOST, f"{peak / MB:.1f} MB at once"


def test_copies_of_large_messages_are_resent_without_being_in_memory(admin: Actor, large: list[Entry]) -> None:
    originals = [content_of(entry) for entry in large]
    with little_memory():
        perform("resend", SpoolFilter(), admin)
    copies = Entry.objects.exclude(id__in=[entry.id for entry in large]).order_by("id")
    assert sorted(content_of(copy) for copy in copies) == sorted(originals)
    assert [copy.size_bytes for copy in copies] == [entry.size_bytes for entry in large]


def test_a_large_message_that_is_delivered_while_it_is_copied_keeps_no_other_from_being_copied(
    admin: Actor, large: list[Entry], monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = path_of(large[1].subspool, large[1].file_name)
    written = resend._written

    def late(submissions: list[resend.Submission]) -> object:
        gone.unlink()
        return written(submissions)

    monkeypatch.setattr(resend, "_written", late)
    assert perform("resend", SpoolFilter(), admin).job.done == 2
    assert Entry.objects.count() == 5


@pytest.mark.parametrize("form", ["zip", "mbox"])
def test_large_messages_are_exported_a_piece_at_a_time(
    admin: Actor, large: list[Entry], tmp_path: Path, form: str
) -> None:
    with little_memory(), (tmp_path / "all").open("wb") as file:
        for piece in export(SpoolFilter(), form, admin):
            assert len(piece) < MB
            file.write(piece)
    if form == "zip":
        with zipfile.ZipFile(tmp_path / "all") as archive:
            assert archive.testzip() is None
            for entry in large:
                assert archive.read(entry.file_name) == content_of(entry)
        return
    box = mailbox.mbox(tmp_path / "all", create=False)
    assert len(box) == 3
    first = content_of(large[0]).replace(b"\r\n", b"\n").replace(b"\nFrom ", b"\n>From ")
    assert box.get_bytes(0) == first


@pytest.mark.parametrize("piece", [1, 2, 3, 7, 100])
@pytest.mark.parametrize("held", [0, 5, 1000])
def test_an_mbox_is_the_same_wherever_its_pieces_end(monkeypatch: pytest.MonkeyPatch, piece: int, held: int) -> None:
    monkeypatch.setattr(exports, "_LONGEST_HELD", held)
    content = b"Subject: x\r\n\r\nxFrom a\r\n\r\nlong line From b\r\n\n\rc\r\r\nend"
    reader = io.BytesIO(content)
    pieces = iter(lambda: reader.read(piece), b"")
    assert b"".join(exports._quoted(pieces)) == content.replace(b"\r\n", b"\n")


def test_separator_like_lines_are_quoted(monkeypatch: pytest.MonkeyPatch) -> None:
    assert b"".join(exports._quoted([b"From a\r\n>Fr", b"om b\r\nxFrom c\r\n"])) == b">From a\n>>From b\nxFrom c\n"


def test_large_messages_are_put_back_without_being_in_memory(admin: Actor, large: list[Entry]) -> None:
    originals = {entry.file_name: content_of(entry) for entry in large}
    perform("move", SpoolFilter(), admin)
    with little_memory():
        assert put_back("", admin).done == 3
    assert {entry.file_name: content_of(entry) for entry in Entry.objects.all()} == originals


def test_large_messages_are_moved_and_compared_without_being_in_memory(admin: Actor, large: list[Entry]) -> None:
    with little_memory():
        perform("move", SpoolFilter(), admin)
