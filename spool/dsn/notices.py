"""Which notifications a delivery attempt calls for, by what the sender asked to be told (RFC 3461 4.1, 5.2)."""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from accounts.addresses import key_of
from base.languages import SOURCE
from spool.dsn.compose import compose
from spool.dsn.fields import smtp_code
from spool.dsn.report import Action, Report, ReportedRecipient
from spool.message.envelope import LeasedEntry, RecipientResult
from spool.message.header import Header
from spool.message.tls_wish import TLSWish
from spool.models.entry import Origin
from spool.models.recipient import Kind, Outcome

log = logging.getLogger(__name__)

# RFC 3463 3.5: delivery time expired. Ours is the final word, so its class is permanent.
_EXPIRED_STATUS: Final = "5.4.7"
MOST_REPORTED: Final = 1000
_STATUS = re.compile(r"[245]\.\d{1,3}\.\d{1,3}")
_STATUS_OTHERWISE: Final = {Action.FAILED: "5.0.0", Action.DELAYED: "4.0.0"}


@dataclass(frozen=True, slots=True)
class Notice:
    """A notification that is to be sent from the null sender to `to`. `recipients` are those it reports on,
    `action` is what it says of them.

    `smtputf8` and `eight_bit` say which extensions its content needs on its way (RFC 6531, RFC 6152).
    """

    to: str
    content: bytes
    subject: str
    message_id: str
    recipients: tuple[str, ...]
    action: Action
    smtputf8: bool = False
    eight_bit: bool = False


def notices_for(
    entry: LeasedEntry,
    results: Sequence[RecipientResult],
    *,
    now: datetime,
    hostname: str,
    postmaster: str,
    delayed_until: datetime | None,
    read: Callable[[], bytes],
    language: Callable[[], str] = lambda: SOURCE,
) -> list[Notice]:
    """The notifications owed to the sender of `entry` for `results`: one each of failure, delay and success.

    One that would report on more than MOST_REPORTED recipients becomes several.

    `delayed_until` is when tries will end, given when recipients that are still pending are to be reported as late.
    `read` gives the message; it is called only when there is something to report. An OSError from it, or a message that
    can't be quoted, only costs the notification its third part. `language` is that of what the sender
    reads; it too is called only then.
    """
    if not entry.sender:
        return []
    reported: dict[Action, list[ReportedRecipient]] = {}
    for result in results:
        action = _action_owed(result, late=delayed_until is not None)
        if action is not None:
            recipient = _reported(result, action, now, delayed_until)
            reported.setdefault(action, []).append(recipient)
    if not reported:
        return []
    try:
        original = read()
    except OSError as error:
        log.warning("%s: its notice goes without the message: %s", entry.file_name, error)
        original = None
    if key_of(entry.sender) == key_of(postmaster) and _is_automatic(entry, original):
        return []
    chosen = language()
    order = sorted(reported, key=list(Action).index)
    return [
        _notice(
            entry, tuple(reported[action][start : start + MOST_REPORTED]), original, now, hostname, postmaster, chosen
        )
        for action in order
        for start in range(0, len(reported[action]), MOST_REPORTED)
    ]


def _action_owed(result: RecipientResult, *, late: bool) -> Action | None:
    """What the sender is to be told about one recipient, or None when they asked not to be or nothing is due."""
    notify = result.recipient.notify.upper().split(",") if result.recipient.notify else ["FAILURE", "DELAY"]
    match result.outcome:
        case Outcome.BOUNCED | Outcome.EXPIRED if "FAILURE" in notify:
            return Action.FAILED
        case Outcome.PENDING if late and "DELAY" in notify:
            return Action.DELAYED
        case Outcome.DELIVERED if "SUCCESS" in notify and not result.relayed:
            return Action.DELIVERED if result.recipient.kind is Kind.LOCAL else Action.RELAYED
    return None


def _reported(
    result: RecipientResult, action: Action, now: datetime, delayed_until: datetime | None
) -> ReportedRecipient:
    recipient = result.recipient
    local = recipient.kind is Kind.LOCAL
    return ReportedRecipient(
        address=recipient.address,
        action=action,
        status=_status_of(result, action),
        # Where a mailbox lies on our disk is nobody's business.
        reply="" if local and action is Action.DELIVERED else result.reply,
        # Only a host that said it is named for it (RFC 3464 2.3.5, 2.3.6).
        host="" if local or not result.answered else result.host,
        original=recipient.original,
        orcpt=recipient.orcpt,
        expired=result.outcome is Outcome.EXPIRED,
        last_attempt=now,
        retry_until=delayed_until,
    )


def _status_of(result: RecipientResult, action: Action) -> str:
    """The RFC 3463 status: the result's own, or the one in its reply, as far as its class agrees with `action`."""
    if result.outcome is Outcome.EXPIRED:
        return _EXPIRED_STATUS
    code = result.status_code if _STATUS.fullmatch(result.status_code) else smtp_code(result.reply)
    match action:
        case Action.FAILED:
            fits = code.startswith(("5.", "4."))
        case Action.DELAYED:
            fits = code.startswith("4.")
        case _:
            fits = code.startswith("2.")
    return code if fits else _STATUS_OTHERWISE.get(action, "2.0.0")


def _is_automatic(entry: LeasedEntry, original: bytes | None) -> bool:
    """Whether a message from the postmaster was sent by a program, so that an answer might go round in circles."""
    if entry.origin in (Origin.DSN, Origin.FORWARD, Origin.LIST) or original is None:
        return True
    # RFC 3834 5: `no` is what a person's program may write; comments may follow.
    said = Header.of(original).all("auto-submitted")
    return any(re.split(rb"[\s;(]", value, maxsplit=1)[0].lower() != b"no" for value in said)


def _notice(
    entry: LeasedEntry,
    recipients: tuple[ReportedRecipient, ...],
    original: bytes | None,
    now: datetime,
    hostname: str,
    postmaster: str,
    language: str,
) -> Notice:
    message_id = _message_id(entry, recipients, hostname)
    report = Report(
        reporting_mta=hostname,
        postmaster=postmaster,
        reverse_path=entry.sender,
        recipients=recipients,
        message_id=message_id,
        date=now,
        arrival=entry.created,
        release=entry.release_at,
        file_name=entry.file_name,
        attempts=entry.attempts + 1,
        subject=entry.subject,
        original_message_id=entry.message_id,
        envid=entry.envid,
        # What had to be kept secret on its way is not sent back whole (RFC 8689 5).
        ret=entry.ret if entry.is_quotable and entry.tls_wish != TLSWish.REQUIRED else "HDRS",
        smtputf8=entry.smtputf8,
        language=language,
    )
    try:
        composed = compose(report, original)
    except Exception:  # what a sender wrote must not cost them the news
        log.exception("%s: its notice goes without the message", entry.file_name)
        composed = compose(report, None)
    return Notice(
        to=entry.sender,
        content=composed.content,
        subject=composed.subject,
        message_id=message_id,
        recipients=tuple(recipient.address for recipient in recipients),
        action=recipients[0].action,
        smtputf8=composed.smtputf8,
        eight_bit=composed.eight_bit,
    )


def _message_id(entry: LeasedEntry, recipients: tuple[ReportedRecipient, ...], hostname: str) -> str:
    """The same for the same attempt, so that a notice made twice around a crash is recognised as one message."""
    values = [entry.file_name, str(entry.attempts), recipients[0].action, *(r.address for r in recipients)]
    digest = hashlib.sha256("\n".join(values).encode("utf-8", "surrogatepass")).hexdigest()
    return f"<{digest[:32]}.dsn@{hostname}>"
