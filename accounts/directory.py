"""Who is local, and what an address stands for. Answers come from a cache that is at most a second out of date.

The cache is per process. It is dropped when the one-row DirectoryStamp has changed; the stamp is read at most once a
second, so a lookup of a cached address costs no query. Everything here is safe to call from any thread.
"""

from __future__ import annotations

from dataclasses import dataclass

from accounts.models.status import Status


@dataclass(frozen=True, slots=True)
class LocalDomain:
    """A domain whose mail is delivered here."""

    id: int
    name: str
    status: Status
    catch_all: str
    max_message_kb: int
    max_recipients: int


@dataclass(frozen=True, slots=True)
class LocalUser:
    """A mailbox. `status` is the stricter of the user's and the domain's. Limits are 0 for none of their own."""

    id: int
    address: str
    domain: str
    status: Status
    forward_to: tuple[str, ...]
    forward_keeps_copy: bool
    mailbox_mb: int
    max_message_kb: int
    max_recipients: int


@dataclass(frozen=True, slots=True)
class LocalAlias:
    """An address that stands for others, here or elsewhere."""

    address: str
    domain: str
    targets: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LocalList:
    """A mailing list; `members` are the enabled ones. `bounces_to` is the reverse-path of what it sends."""

    id: int
    address: str
    domain: str
    members: tuple[str, ...]
    bounces_to: str
    owner: str
    posting: str
    subject_prefix: str


LocalAddress = LocalUser | LocalAlias | LocalList
