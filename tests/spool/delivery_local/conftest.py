"""Accounts and entries for local delivery: made as rows and files, resolved by the real directory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from accounts import directory
from accounts.directory import LocalUser
from accounts.models import Domain, ListMember, MailingList, Status, User
from accounts.models.lists import FromRewriting
from mailspool.home import Home
from spool.delivery.local import mailbox_usage, maildir
from spool.message.envelope import LeasedEntry
from spool.models.recipient import Kind
from spool.models.settings import Settings
from tests.support.messages import a_leased_entry

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _nothing_is_remembered() -> Iterator[None]:
    directory.forget()
    mailbox_usage.forget()
    maildir._prepared.clear()
    yield
    directory.forget()


@pytest.fixture
def spooled(home: Home) -> Path:
    """The folder that holds the messages of the test's entries."""
    folder = home.spool / "subspool0001"
    folder.mkdir()
    return folder


@pytest.fixture
def domain(db: None) -> Domain:
    return Domain.objects.create(name="example.org")


@pytest.fixture
def settings_row(db: None) -> Settings:
    return Settings.load()


def a_user(domain: Domain, local_part: str = "ann", **fields: object) -> User:
    user = User(email=f"{local_part}@{domain.name}", domain=domain, **fields)
    user.set_unusable_password()
    user.save()
    directory.forget()
    return user


def a_list(domain: Domain, *members: str, local_part: str = "news", **fields: object) -> MailingList:
    """A list that asks nobody's DNS unless it is told to."""
    fields.setdefault("rewrite_from", FromRewriting.NEVER)
    row = MailingList.objects.create(address=f"{local_part}@{domain.name}", domain=domain, **fields)
    ListMember.objects.bulk_create([ListMember(mailing_list=row, address=member) for member in members])
    directory.forget()
    return row


def a_mailbox(address: str = "ann@example.org", mailbox_mb: int = 0) -> LocalUser:
    return LocalUser(1, address, address.rpartition("@")[2], Status.ENABLED, (), True, mailbox_mb, 0, 0)


def an_entry(
    folder: Path,
    to: str | list[str] = "ann@example.org",
    sender: str = "bob@example.net",
    content: bytes | None = None,
    original: str = "",
    notify: str = "",
    **fields: object,
) -> LeasedEntry:
    """An entry for local recipients. `fields` are those of LeasedEntry."""
    entry = a_leased_entry(folder, sender, to, Kind.LOCAL, content=content, notify=notify)
    entry.recipients = [replace(recipient, original=original) for recipient in entry.recipients]
    return replace(entry, **fields)  # type: ignore[arg-type]


def files_in(folder: Path) -> list[Path]:
    """The messages of a Maildir, read or not."""
    return sorted(path for name in ("new", "cur") for path in (folder / name).iterdir())
