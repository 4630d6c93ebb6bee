"""What a delivery status notification is about, as plain values."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import Enum, StrEnum

from base.languages import SOURCE


class Action(StrEnum):
    """RFC 3464 2.3.3."""

    FAILED = "failed"
    DELAYED = "delayed"
    DELIVERED = "delivered"
    RELAYED = "relayed"
    EXPANDED = "expanded"


class Returned(Enum):
    """How much of the original message goes back with the report."""

    MESSAGE = 1
    HEADERS = 2
    NOTHING = 3


@dataclass(frozen=True, slots=True)
class ReportedRecipient:
    """One recipient's part of the report.

    `status` is RFC 3463's. `host` is the mail server that gave `reply`, empty when we say it ourselves. `original` is
    the address that led to `address` by an alias; `orcpt` is RFC 3461's ORCPT as it came.
    """

    address: str
    action: Action
    status: str
    reply: str = ""
    host: str = ""
    original: str = ""
    orcpt: str = ""
    expired: bool = False
    last_attempt: datetime | None = None
    retry_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """A notification before it has a form. `recipients` is not empty; all of them have actions of one kind.

    `reverse_path` is whom it goes to. `subject`, `original_message_id`, `envid` (xtext), `ret` and `smtputf8` are the
    original message's; `message_id` and `date` are the notification's own. `attempts` counts the finished tries;
    `language` is that of what people read of it.
    """

    reporting_mta: str
    postmaster: str
    reverse_path: str
    recipients: tuple[ReportedRecipient, ...]
    message_id: str
    date: datetime
    arrival: datetime
    file_name: str
    attempts: int = 1
    subject: str = ""
    original_message_id: str = ""
    envid: str = ""
    ret: str = ""
    smtputf8: bool = False
    language: str = SOURCE
    # When it was to leave, where the sender chose the time.
    release: datetime | None = None

    @property
    def action(self) -> Action:
        return self.recipients[0].action
