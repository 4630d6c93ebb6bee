"""Files in the drop folder, good and bad."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from email import message_from_bytes
from email.policy import default
from pathlib import Path

import pytest
from django.core.management import call_command
from django.db import DatabaseError
from hypothesis import given
from hypothesis import strategies as st

from accounts import directory
from accounts.models import Domain, User
from mailspool.home import Home
from spool.dropfolder import drop_folder
from spool.dropfolder.dropped import Unreadable, read_message
from spool.files import removal, store
from spool.flow import intake
from spool.models.entry import Entry, Origin
from spool.models.recipient import Recipient
from spool.models.settings import Settings, forget
from tests.support.redis import RedisServer
from tests.support.waiting import wait_until

pytestmark = pytest.mark.django_db(transaction=True)

LETTER = b"From: Ann <ann@example.org>\nTo: bob@elsewhere.test\nSubject: Dropped\n\nHello.\n"


@pytest.fixture(autouse=True)
def _directory(home: Home, redis: RedisServer) -> Iterator[None]:
    directory.forget()
    domain = Domain.objects.create(name="example.org")
    User.objects.create_user("ann@example.org", None, domain=domain)
    Settings.objects.update_or_create(pk=1, defaults={"min_free_mb": 0})
    forget()
    yield
    directory.forget()
    forget()


def drop(home: Home, content: bytes = LETTER, name: str | bytes = "letter.eml", age_seconds: float = 5) -> Path:
    """Put a file there that has been quiet for a while."""
    path = home.drop / os.fsdecode(name)
    path.write_bytes(content)
    moment = time.time() - age_seconds
    os.utime(path, (moment, moment))
    return path


def stored(entry: Entry) -> bytes:
    return store.path_of(entry.subspool, entry.file_name).read_bytes()


def addresses(entry: Entry) -> list[str]:
    return sorted(Recipient.objects.filter(entry=entry).values_list("address", flat=True))


def reason(home: Home, name: str = "letter.eml") -> str:
    assert (home.drop / "rejected" / name).exists()
    return (home.drop / "rejected" / f"{name}.reason.txt").read_text()


def remains(home: Home) -> list[str]:
    """What is left in the folder and among the claimed files."""
    return sorted(path.name for path in [*home.drop.glob("*.*"), *(home.drop / ".working").glob("*")])


def test_a_file_becomes_an_entry_and_is_gone(home: Home) -> None:
    drop(home)
    assert drop_folder.take() == 1
    entry = Entry.objects.get()
    assert (entry.sender, entry.subject, entry.origin) == ("ann@example.org", "Dropped", Origin.DROP)
    assert addresses(entry) == ["bob@elsewhere.test"]
    content = stored(entry)
    assert content.startswith(b"Received: by mail.test (Mailspool) with local (drop folder)")
    assert content.endswith(b"Subject: Dropped\r\n\r\nHello.\r\n")
    assert entry.size_bytes == len(content)
    message = message_from_bytes(content, policy=default)
    assert message["Date"]
    assert message["Message-ID"]
    assert remains(home) == [".working"] or remains(home) == []


def test_to_cc_and_bcc_get_it_and_bcc_is_stripped_with_its_folds(home: Home) -> None:
    drop(
        home,
        b"From: ann@example.org\nTo: a@x.test, B <b@x.test>\nBcc: secret@x.test,\n  other@x.test\n"
        b"CC: =?utf-8?q?M=C3=BCller=2C_C?= <c@x.test>\nResent-Bcc: r@x.test\nSubject: s\n\nBcc: in the body\n",
    )
    drop_folder.take()
    entry = Entry.objects.get()
    assert addresses(entry) == ["a@x.test", "b@x.test", "c@x.test", "other@x.test", "secret@x.test"]
    content = stored(entry)
    assert b"secret" not in content
    assert b"other@" not in content
    assert b"r@x.test" not in content
    assert b"\r\nCC: " in content
    assert content.endswith(b"\r\n\r\nBcc: in the body\r\n")


def test_x_sender_and_x_receiver_are_the_envelope_and_are_stripped(home: Home) -> None:
    drop(
        home,
        b"X-Sender: <bounces@example.org>\nX-Receiver: one@x.test\nX-Receiver: <two@x.test>\n"
        b"From: ann@example.org\nTo: everybody@x.test\n\nHello.\n",
    )
    drop_folder.take()
    entry = Entry.objects.get()
    assert entry.sender == "bounces@example.org"
    assert addresses(entry) == ["one@x.test", "two@x.test"]
    assert b"X-Sender" not in stored(entry)
    assert b"X-Receiver" not in stored(entry)


@pytest.mark.parametrize("field", [b"X-Sender: <>", b"X-Sender:", b"Return-Path: <>"])
def test_the_null_sender_can_be_given(home: Home, field: bytes) -> None:
    drop(home, field + b"\nFrom: ann@example.org\nTo: bob@x.test\n\nHello.\n")
    drop_folder.take()
    assert Entry.objects.get().sender == ""


def test_the_first_line_of_a_mailbox_file_is_left_out(home: Home) -> None:
    drop(home, b"From ann@example.org Mon Mar  2 12:00:00 2026\n" + LETTER)
    drop_folder.take()
    assert b"From ann@" not in stored(Entry.objects.get())


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "it is empty"),
        (b"\r\n\r\n", "it is empty"),
        (b"From: a@x.test\nTo: b@x.test\n\nNU\0L\n", "NUL"),
        (b"\nTo: b@x.test\n", "does not begin with header lines"),
        (b"%PDF-1.7 \xff\xfe\x80 binary", "does not begin with header lines"),
        (b"From: a@x.test\n\nTo whom?\n", "names no recipient"),
        (b"From: a@x.test\nTo: undisclosed-recipients:;\n\n", "names no recipient"),
        (b"From: a@x.test\nTo: nobody@example.org\n\n", "nobody@example.org"),
        (b"From: a@x.test\nTo: ann@-bad-.test\n\n", "not a valid domain"),
        (b"X-Sender: nonsense\nTo: b@x.test\n\n", "needs a local part and a domain"),
    ],
)
def test_what_can_be_no_message_is_set_aside_with_its_reason(home: Home, content: bytes, words: str) -> None:
    drop(home, content)
    drop(home, LETTER, "good.eml")
    drop_folder.take()
    assert words in reason(home)
    assert (home.drop / "rejected" / "letter.eml").read_bytes() == content
    assert Entry.objects.count() == 1


@pytest.mark.parametrize(
    ("to", "got", "told"),
    [
        (b"ann@example.org; cy@x.test", ["ann@example.org", "cy@x.test"], ""),
        (b"ann@example.org cy@x.test", ["ann@example.org", "cy@x.test"], ""),
        (b"ann@example.org, (sales cy@x.test", ["ann@example.org"], "a comment has no end"),
        (b"ann@example.org, cy@x.test extra words", ["ann@example.org"], "cy@x.test extra words"),
    ],
)
def test_who_is_certain_gets_it_and_what_is_not_is_told(home: Home, to: bytes, got: list[str], told: str) -> None:
    drop(home, b"From: a@x.test\nTo: " + to + b"\n\nHello.\n")
    drop_folder.take()
    assert addresses(Entry.objects.get()) == got
    notes = [path.read_text() for path in (home.drop / "rejected").iterdir()]
    assert len(notes) == bool(told) and all(told in note for note in notes)


@pytest.mark.parametrize(
    "content",
    [
        b"X-Sender: bob@example.org\nX-Receiver: ann@takes.test extra words\nSubject: x\n\nx\n",
        b"From: a@x.test\nTo: ann@example.org (cy\n\nx\n",
        b"X-Sender: a@x.test b@x.test\nTo: ann@example.org\n\nx\n",
        b"From: a@x. test\nTo: ann@example.org\n\nx\n",
    ],
)
def test_a_file_whose_addresses_are_not_certain_is_set_aside_whole(home: Home, content: bytes) -> None:
    drop(home, content)
    drop_folder.take()
    assert not Entry.objects.exists()
    assert (home.drop / "rejected" / "letter.eml").read_bytes() == content


def test_a_comma_in_the_name_of_the_sender_is_no_doubt_about_the_address(home: Home) -> None:
    drop(home, b"From: Miller, Ann <ann@example.org>\nTo: bob@x.test\n\nx\n")
    drop_folder.take()
    assert Entry.objects.get().sender == "ann@example.org"


def test_a_recipient_who_takes_no_mail_is_noted_and_the_others_get_it(home: Home) -> None:
    drop(home, b"From: a@x.test\nTo: ann@example.org, nobody@example.org\n\nHello.\n")
    drop_folder.take()
    assert addresses(Entry.objects.get()) == ["ann@example.org"]
    note = (home.drop / "rejected" / "letter.eml.reason.txt").read_text()
    assert "not for everyone" in note
    assert "nobody@example.org" in note


def test_a_file_that_is_still_written_is_left_until_it_is_quiet(home: Home) -> None:
    path = drop(home, LETTER, age_seconds=0)
    assert drop_folder.take() == 0
    assert path.exists()
    os.utime(path, (time.time() - 1,) * 2)
    assert drop_folder.take() == 1


def test_other_files_are_left_alone(home: Home) -> None:
    for name in ("notes.txt", ".hidden.eml", "half.eml.part", "eml"):
        drop(home, name=name)
    drop(home, name="CAPITALS.EML")
    assert drop_folder.take() == 1
    assert {"notes.txt", ".hidden.eml", "half.eml.part"} <= {path.name for path in home.drop.iterdir()}


def test_a_link_is_never_followed(home: Home, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(LETTER)
    (home.drop / "link.eml").symlink_to(secret)
    (home.drop / "broken.eml").symlink_to(tmp_path / "nothing")
    os.utime(home.drop / "link.eml", (1, 1), follow_symlinks=False)
    os.utime(home.drop / "broken.eml", (1, 1), follow_symlinks=False)
    drop_folder.take()
    assert Entry.objects.count() == 0
    assert secret.read_bytes() == LETTER
    assert sorted(path.name for path in (home.drop / "rejected").glob("*.eml")) == ["broken.eml", "link.eml"]


def test_what_is_no_regular_file_is_set_aside(home: Home) -> None:
    os.mkfifo(home.drop / "pipe.eml")
    (home.drop / "folder.eml").mkdir()
    for name in ("pipe.eml", "folder.eml"):
        os.utime(home.drop / name, (1, 1))
    drop(home)
    drop_folder.take()
    for name in ("pipe.eml", "folder.eml"):
        assert "not a regular file" in reason(home, name)
    assert Entry.objects.count() == 1


def test_a_claimed_file_that_turned_into_a_link_is_not_followed(home: Home, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(LETTER)
    working = home.drop / ".working"
    working.mkdir()
    (working / "20260302120000-x~letter.eml").symlink_to(secret)
    drop_folder.take()
    assert Entry.objects.count() == 0
    assert "can't be read" in reason(home)


def test_a_huge_file_is_set_aside_unread(home: Home) -> None:
    path = drop(home)
    # Sparse: a terabyte that takes no room, and that nobody could read into memory.
    os.truncate(path, 1024**4)
    os.utime(path, (1, 1))
    started = time.monotonic()
    drop_folder.take()
    assert time.monotonic() - started < 5
    assert "larger than the limit of 52428800 bytes" in reason(home)


@pytest.mark.parametrize(
    "name",
    [
        b"a b.eml",
        b"-rf.eml",
        b"\xff\xfe.eml",
        b"new\nline.eml",
        b"a~b.eml",
        b"\xc3\xa4" * 100 + b".eml",
        b"x" * 251 + b".eml",
        b"$(id);'\".eml",
        b"%s%n.eml",
    ],
)
def test_names_may_have_any_characters(home: Home, name: bytes) -> None:
    drop(home, LETTER, name)
    assert drop_folder.take() == 1
    assert Entry.objects.count() == 1
    drop(home, b"", name)
    assert drop_folder.take() == 1
    [aside] = list(drop_folder.rejected())
    assert "it is empty" in aside.reason
    assert "\n" not in aside.name
    drop(home, b"", name)
    drop_folder.take()
    assert len(list(drop_folder.rejected())) == 2


def test_a_thousand_files_are_taken_in_batches(home: Home) -> None:
    for number in range(1000):
        drop(home, LETTER.replace(b"Dropped", b"No %d" % number), f"{number}.eml")
    rounds = []
    while taken := drop_folder.take():
        rounds.append(taken)
    assert rounds == [100] * 10
    assert Entry.objects.count() == 1000
    assert set(Entry.objects.values_list("subject", flat=True)) == {f"No {number}" for number in range(1000)}


def test_large_files_are_not_in_memory_all_at_once(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drop_folder, "BATCH_BYTES", 3_000)
    sizes = []
    real = intake.accept

    def accept(submissions: list[intake.Submission]) -> list[str]:
        sizes.append(len(submissions))
        return real(submissions)

    monkeypatch.setattr(intake, "accept", accept)
    for number in range(10):
        drop(home, LETTER + b"x" * 1000, f"{number}.eml")
    assert drop_folder.take() == 10
    assert sizes == [3, 3, 3, 1]
    assert Entry.objects.count() == 10


@pytest.mark.parametrize("error", [intake.SpoolFull(), intake.IntakeUnavailable(), DatabaseError("away")])
def test_a_file_stays_until_it_can_be_stored(home: Home, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    drop(home)

    def fails(*arguments: object) -> None:
        raise error

    with monkeypatch.context() as broken:
        broken.setattr(intake, "commit", fails)
        with pytest.raises(type(error)):
            drop_folder.take()
    assert Entry.objects.count() == 0
    assert not list((home.drop / "rejected").iterdir())
    assert drop_folder.take() == 1
    assert Entry.objects.count() == 1


def test_too_little_room_keeps_the_file(home: Home) -> None:
    Settings.objects.update(min_free_mb=10_000_000)
    forget()
    drop(home)
    with pytest.raises(intake.SpoolFull):
        drop_folder.take()
    Settings.objects.update(min_free_mb=0)
    forget()
    assert drop_folder.take() == 1
    assert Entry.objects.get().subject == "Dropped"


def test_a_crash_between_taking_in_and_removing_makes_no_second_copy(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    drop(home)

    class Killed(BaseException):
        pass

    def killed(path: Path) -> None:
        raise Killed

    with monkeypatch.context() as broken:
        broken.setattr(removal, "remove", killed)
        with pytest.raises(Killed):
            drop_folder.take()
    assert Entry.objects.count() == 1
    assert len(list((home.drop / ".working").iterdir())) == 1
    drop_folder.take()
    assert Entry.objects.count() == 1
    assert list((home.drop / ".working").iterdir()) == []


def test_a_crash_after_the_claim_loses_nothing(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    drop(home)

    class Killed(BaseException):
        pass

    def killed(raw: bytes) -> None:
        raise Killed

    with monkeypatch.context() as broken:
        broken.setattr(drop_folder, "read_message", killed)
        with pytest.raises(Killed):
            drop_folder.take()
    assert not (home.drop / "letter.eml").exists()
    assert drop_folder.take() == 1
    assert Entry.objects.get().subject == "Dropped"


def test_a_file_that_vanishes_meanwhile_is_no_trouble(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    path = drop(home)
    drop(home, LETTER, "other.eml")
    seen = drop_folder._dropped(home.drop)
    path.unlink()
    monkeypatch.setattr(drop_folder, "_dropped", lambda folder: seen)
    assert drop_folder.take() == 1
    assert Entry.objects.count() == 1
    assert not list((home.drop / "rejected").iterdir())


def test_a_file_on_which_the_program_fails_does_not_stop_the_others(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    drop(home, LETTER.replace(b"Hello", b"Poison"), "poison.eml", age_seconds=10)
    drop(home, LETTER)

    def read(raw: bytes) -> object:
        if b"Poison" in raw:
            raise RuntimeError("a bug")
        return read_message(raw)

    monkeypatch.setattr(drop_folder, "read_message", read)
    drop_folder.take()
    assert Entry.objects.count() == 1
    assert "a bug" in reason(home, "poison.eml")


def test_two_processes_do_not_take_each_others_files(home: Home) -> None:
    drop(home)
    working = home.drop / ".working"
    working.mkdir()
    with drop_folder._alone(working) as first:
        assert first
        assert drop_folder.take() == 0
    assert drop_folder.take() == 1


def test_the_doctor_names_what_was_set_aside(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    drop(home, b"", "hopeless.eml")
    drop_folder.take()
    with pytest.raises(SystemExit) as left:
        call_command("spool", "doctor")
    assert left.value.code == 1
    shown = capsys.readouterr().out
    assert "rejected drop file" in shown
    assert "hopeless.eml was not taken into the spool: it is empty" in shown


def test_the_watch_takes_files_and_ends(home: Home) -> None:
    stop = threading.Event()
    watching = threading.Thread(target=drop_folder.watch, args=(stop,))
    watching.start()
    try:
        drop(home)
        wait_until(lambda: Entry.objects.filter(subject="Dropped").exists(), "the file is taken", 10)
    finally:
        stop.set()
        watching.join(10)
    assert not watching.is_alive()


_words = st.sampled_from(
    [
        b"From: a@x.test\n",
        b"To:",
        b" b@y.test",
        b",",
        b"\n",
        b"Bcc: ",
        b"<",
        b">",
        b'"',
        b"=?utf-8?q?=C3?=",
        b"(",
        b"\\",
        b"X-Sender: ",
        b"X-Receiver: ",
        b";",
        b"[",
        b"\t",
        b"\r",
        b"\xff",
        b"@",
    ]
)


@given(raw=st.binary(max_size=300) | st.lists(_words, max_size=25).map(b"".join))
def test_any_bytes_become_a_message_or_a_reason(raw: bytes) -> None:
    try:
        dropped = read_message(raw)
    except Unreadable as error:
        assert str(error)
        return
    content = dropped.submission.content or b""
    assert dropped.submission.envelope.recipients
    block = content.partition(b"\r\n\r\n")[0]
    assert b"\n" not in content.replace(b"\r\n", b"")
    assert b"\r" not in content.replace(b"\r\n", b"")
    assert not [line for line in block.lower().split(b"\r\n") if line.startswith(b"bcc:")]
