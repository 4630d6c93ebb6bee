"""Storing in Maildirs: durable, once, in the right place, and told truly when it fails."""

from __future__ import annotations

import os
import re
import signal
from datetime import timedelta
from pathlib import Path
from typing import Any, NoReturn

import pytest
from django.conf import settings
from hypothesis import given
from hypothesis import strategies as st

from accounts.addresses import InvalidAddress, normalise_address
from mailspool.home import Home
from spool.delivery.local import maildir
from spool.delivery.local.plans import MISSING_MESSAGE, store_maildir
from spool.files import store
from spool.message.envelope import LeasedEntry, RecipientResult
from spool.models.recipient import Outcome
from tests.spool.delivery_local.conftest import NOW, a_mailbox, an_entry, files_in
from tests.support.messages import a_message

ANN = "ann@example.org"


def stored(entry: LeasedEntry, mailbox_mb: int = 0, address: str = ANN) -> list[RecipientResult]:
    user = a_mailbox(address, mailbox_mb)
    [(results, attempts)] = store_maildir([(entry, [(recipient, user) for recipient in entry.recipients])], NOW)
    assert [attempt.reply for attempt in attempts] == [result.reply for result in results]
    return results


def with_crlf(content: bytes) -> int:
    """The size that IMAP tells of a file, as Dovecot counts."""
    return len(re.sub(rb"(?<!\r)\n", b"\r\n", content))


def test_a_message_is_stored_with_its_envelope_and_lf_line_ends(home: Home, spooled: Path) -> None:
    entry = an_entry(spooled, original="sales@example.org")
    [result] = stored(entry)
    [file] = files_in(maildir.folder_of(ANN))
    assert result.outcome is Outcome.DELIVERED
    assert result.reply == "250 2.0.0 stored in ann@example.org's Maildir"
    assert (result.status_code, result.host) == ("2.0.0", "maildir")
    assert file.parent == home.maildirs / "example.org" / "ann" / "new"
    assert file.read_bytes() == (
        b"Return-Path: <bob@example.net>\nDelivered-To: ann@example.org\nX-Original-To: sales@example.org\n"
        + entry.read().replace(b"\r\n", b"\n")
    )


def test_the_names_sizes_are_those_of_the_file_with_lf_and_with_crlf(home: Home, spooled: Path) -> None:
    stored(an_entry(spooled, content=a_message(body="a\r\nb\nc\r\r\nd\re\r\n")))
    [file] = files_in(maildir.folder_of(ANN))
    content = file.read_bytes()
    sizes = re.search(r",S=(\d+),W=(\d+)$", file.name)
    assert sizes is not None
    assert int(sizes[1]) == len(content)
    assert int(sizes[2]) == with_crlf(content)


def test_nobody_else_may_read_a_mailbox(home: Home, spooled: Path) -> None:
    stored(an_entry(spooled))
    [file] = files_in(maildir.folder_of(ANN))
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.parent.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("tail", [b"\r\n", b"\r", b"\r\r\n", b"x"])
def test_a_large_message_is_stored_as_a_small_one_would_be(home: Home, spooled: Path, tail: bytes) -> None:
    # The pieces in which it is copied end inside line ends somewhere.
    body = b"\r\n" * 400_000 + b"\r\r\n\n" * 200_000 + b"x" * 200_000 + tail
    entry = an_entry(spooled, content=b"Subject: large\r\n\r\n" + body)
    assert entry.size_bytes > maildir.LARGE_BYTES
    stored(entry)
    [file] = files_in(maildir.folder_of(ANN))
    content = file.read_bytes()
    assert content.endswith(entry.read().replace(b"\r\n", b"\n"))
    assert file.name.endswith(f",S={len(content)},W={with_crlf(content)}")


def test_a_hostile_reverse_path_makes_no_header_line(home: Home, spooled: Path) -> None:
    stored(an_entry(spooled, sender="x\r\nBcc: y@z", content=a_message()))
    [file] = files_in(maildir.folder_of(ANN))
    assert file.read_bytes().startswith(b"Return-Path: <x?Bcc: y@z>\nDelivered-To:")


def test_a_delivery_that_is_repeated_replaces_the_first(home: Home, spooled: Path) -> None:
    entry = an_entry(spooled)
    stored(entry)
    stored(entry)
    assert len(files_in(maildir.folder_of(ANN))) == 1


def test_a_delivery_that_is_repeated_after_the_message_was_read_stores_nothing(home: Home, spooled: Path) -> None:
    entry = an_entry(spooled)
    stored(entry)
    [file] = files_in(maildir.folder_of(ANN))
    file.rename(file.parent.parent / "cur" / f"{file.name}:2,S")
    [result] = stored(entry)
    assert result.outcome is Outcome.DELIVERED
    assert [path.name for path in files_in(maildir.folder_of(ANN))] == [f"{file.name}:2,S"]


def test_two_recipients_of_one_entry_that_share_a_mailbox_get_a_copy_each(home: Home, spooled: Path) -> None:
    stored(an_entry(spooled, [ANN, ANN]))
    assert len(files_in(maildir.folder_of(ANN))) == 2


@pytest.mark.parametrize("moment", ["fsync", "rename"])
def test_a_kill_in_the_middle_leaves_one_message_after_the_next_try(home: Home, spooled: Path, moment: str) -> None:
    entry = an_entry(spooled)
    child = os.fork()
    if child == 0:
        _deliver_and_die(entry, moment)
    assert os.waitpid(child, 0)[1] == signal.SIGKILL
    folder = maildir.folder_of(ANN)
    assert files_in(folder) == []
    assert len(list((folder / "tmp").iterdir())) == 1
    stored(entry)
    assert len(files_in(folder)) == 1


def _deliver_and_die(entry: LeasedEntry, moment: str) -> NoReturn:
    """In a child process: be killed just before the file's sync, or between the sync and the rename."""

    def die(*_: object) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    try:
        maildir._prepare_once(maildir.folder_of(ANN))
        if moment == "fsync":
            os.fsync = die  # type: ignore[assignment]
        else:
            Path.rename = die  # type: ignore[assignment,method-assign]
        stored(entry)
    finally:
        os._exit(1)


def test_two_workers_that_deliver_the_same_entry_at_once_store_it_once(home: Home, spooled: Path) -> None:
    entries = [an_entry(spooled, content=a_message(size=20_000)) for _ in range(50)]
    children = []
    for _ in range(3):
        child = os.fork()
        if child == 0:
            status = 1
            try:
                answers = store_maildir([(entry, [(entry.recipients[0], a_mailbox())]) for entry in entries], NOW)
                status = int(
                    any(result.outcome is not Outcome.DELIVERED for results, _ in answers for result in results)
                )
            finally:
                os._exit(status)
        children.append(child)
    assert [os.waitpid(child, 0)[1] for child in children] == [0, 0, 0]
    stored_files = files_in(maildir.folder_of(ANN))
    assert len(stored_files) == 50
    assert {file.stat().st_size for file in stored_files} == {stored_files[0].stat().st_size}


def test_the_temporary_file_of_a_killed_delivery_is_swept_after_its_time(home: Home, spooled: Path) -> None:
    stored(an_entry(spooled))
    tmp = maildir.folder_of(ANN) / "tmp"
    (tmp / "stale").touch()
    (tmp / "fresh").touch()
    os.utime(tmp / "stale", (0, 0))
    maildir._prepared.clear()
    stored(an_entry(spooled))
    assert [path.name for path in tmp.iterdir()] == ["fresh"]


def test_a_mailbox_that_was_removed_meanwhile_is_made_again(home: Home, spooled: Path) -> None:
    stored(an_entry(spooled))
    folder = maildir.folder_of(ANN)
    folder.rename(folder.parent / "away")
    [result] = stored(an_entry(spooled))
    assert result.outcome is Outcome.DELIVERED
    assert len(files_in(folder)) == 1


def test_a_message_whose_file_is_missing_waits_and_holds_up_nobody(home: Home, spooled: Path) -> None:
    gone, there = an_entry(spooled), an_entry(spooled)
    gone.path.unlink()
    answers = store_maildir([(entry, [(entry.recipients[0], a_mailbox())]) for entry in (gone, there)], NOW)
    assert [results[0].outcome for results, _ in answers] == [Outcome.PENDING, Outcome.DELIVERED]
    assert answers[0][0][0].reply == MISSING_MESSAGE
    assert list((maildir.folder_of(ANN) / "tmp").iterdir()) == []


def test_a_large_message_whose_file_is_missing_leaves_nothing_in_the_mailbox(home: Home, spooled: Path) -> None:
    entry = an_entry(spooled, size_bytes=10_000_000)
    entry.path.unlink()
    assert stored(entry)[0].reply == MISSING_MESSAGE
    assert list((maildir.folder_of(ANN) / "tmp").iterdir()) == []


def test_a_full_mailbox_is_a_temporary_failure(home: Home, spooled: Path) -> None:
    content = a_message(size=600_000)
    assert stored(an_entry(spooled, content=content), mailbox_mb=1)[0].outcome is Outcome.DELIVERED
    [result] = stored(an_entry(spooled, content=content), mailbox_mb=1)
    assert (result.outcome, result.status_code) == (Outcome.PENDING, "4.2.2")
    assert result.reply == "452 4.2.2 <ann@example.org>: the mailbox is full (limit 1 MB)"
    assert len(files_in(maildir.folder_of(ANN))) == 1


def test_what_is_in_subfolders_and_was_named_by_others_counts_for_the_limit(home: Home, spooled: Path) -> None:
    trash = maildir.folder_of(ANN) / ".Trash" / "cur"
    trash.mkdir(parents=True)
    (trash / "1.by-another-program:2,S").write_bytes(b"x" * 600_000)
    (trash / "2.by-us,S=400000,W=400000:2,S").touch()
    assert stored(an_entry(spooled, content=a_message(size=100_000)), mailbox_mb=1)[0].outcome is Outcome.PENDING
    assert stored(an_entry(spooled, content=a_message(size=10_000)), mailbox_mb=1)[0].outcome is Outcome.DELIVERED


def test_a_failed_delivery_takes_nothing_of_the_limit(home: Home, spooled: Path) -> None:
    entry = an_entry(spooled, content=a_message(size=600_000))
    saved = entry.path.read_bytes()
    entry.path.unlink()
    for _ in range(3):
        assert stored(entry, mailbox_mb=1)[0].outcome is Outcome.PENDING
    entry.path.write_bytes(saved)
    assert stored(entry, mailbox_mb=1)[0].outcome is Outcome.DELIVERED


def test_what_the_system_refuses_is_a_temporary_failure_with_its_words(home: Home, spooled: Path) -> None:
    # A file where the domain's folder should be refuses even root.
    (home.maildirs / "example.org").write_text("")
    [result] = stored(an_entry(spooled))
    assert result.outcome is Outcome.PENDING
    assert result.status_code == "4.3.0"
    assert result.reply.startswith("451 4.3.0 <ann@example.org>: could not be stored (")
    assert str(home.root) not in result.reply


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_says_so(home: Home, spooled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Every write to this device fails as on a full disk.
    monkeypatch.setattr(maildir, "_private", lambda path, flags: os.open("/dev/full", os.O_WRONLY))
    [result] = stored(an_entry(spooled))
    assert (result.outcome, result.status_code) == (Outcome.PENDING, "4.3.1")


def test_a_batch_for_many_mailboxes_answers_in_order(home: Home, spooled: Path) -> None:
    users = [a_mailbox(f"user{number}@example.org") for number in range(30)]
    entries = [an_entry(spooled, [user.address for user in users[start : start + 3]]) for start in range(0, 30, 3)]
    batch = [
        (entry, list(zip(entry.recipients, users[start : start + 3], strict=True)))
        for start, entry in zip(range(0, 30, 3), entries, strict=True)
    ]
    answers = store_maildir(batch, NOW)
    assert [[r.recipient for r in results] for results, _ in answers] == [entry.recipients for entry in entries]
    assert all(len(files_in(maildir.folder_of(user.address))) == 1 for user in users)


def test_a_batch_for_one_mailbox_syncs_its_folder_once(
    home: Home, spooled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored(an_entry(spooled))
    synced: list[Path] = []

    def sync(folder: Path) -> None:
        synced.append(folder)
        store.sync_folder(folder)

    monkeypatch.setattr(maildir, "sync_folder", sync)
    entries = [an_entry(spooled) for _ in range(40)]
    store_maildir([(entry, [(entry.recipients[0], a_mailbox())]) for entry in entries], NOW)
    assert synced == [maildir.folder_of(ANN) / "new"]
    assert len(files_in(maildir.folder_of(ANN))) == 41


def test_an_untouched_cur_is_not_listed(home: Home, spooled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stored(an_entry(spooled))
    current = maildir.folder_of(ANN) / "cur"
    entry = an_entry(spooled)
    long_ago = (entry.created - timedelta(hours=1)).timestamp()
    os.utime(current, (long_ago, long_ago))
    listed: list[Path] = []
    really = os.scandir

    def scandir(folder: Path) -> Any:
        listed.append(folder)
        return really(folder)

    monkeypatch.setattr(os, "scandir", scandir)
    stored(entry)
    assert listed == []


local_parts = st.one_of(
    st.text(st.characters(codec="utf-8"), min_size=1, max_size=30),
    st.sampled_from(["..", ".", "../../etc", "a/b", "%2e", "%2E", ".hidden", "a%2fb", "cur", "x\x00y", "A", "a"]),
    st.text("./%\\~", min_size=1, max_size=200),
)
domains = st.sampled_from(["example.org", "example.net", "..", "[192.0.2.1]"])


@given(st.tuples(local_parts, domains), st.tuples(local_parts, domains))
def test_distinct_addresses_have_distinct_folders_inside_the_root(one: tuple[str, str], other: tuple[str, str]) -> None:
    folders = [maildir.folder_of(f"{local_part}@{domain}") for local_part, domain in (one, other)]
    root = settings.HOME.maildirs
    for folder in folders:
        assert Path(os.path.normpath(folder)) == folder
        assert folder.parent.parent == root
        assert "\x00" not in str(folder)
        assert all(len(os.fsencode(part)) <= 255 and not part.startswith(".") for part in folder.parts[-2:])
    assert (folders[0] == folders[1]) is (one == other)


@given(st.from_regex(r'("[ !#-\[\]-~]{0,20}"|[a-zA-Z0-9!#$%&*+/=?^_`{|}~.-]{1,20})@example\.org', fullmatch=True))
def test_every_valid_local_part_can_be_a_folder(address: str) -> None:
    try:
        folder = maildir.folder_of(normalise_address(address))
    except InvalidAddress:
        return
    assert re.fullmatch(r"[a-z0-9%+_=-][a-z0-9%.+_=-]*", folder.name)
