"""The JSON beside a message's file: its envelope, for people and programs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from accounts.addresses import split_address
from spool.dsn.xtext import parse_envid, parse_notify, parse_orcpt, parse_ret
from spool.message.summary import storable
from spool.message.tls_wish import TLSWish
from spool.models.entry import Priority
from spool.models.recipient import Outcome

FORMAT = "mailspool-envelope-1"
MOST_ATTEMPTS = 1_000_000


class Unreadable(Exception):
    """It is no message with an envelope; the text says why."""


@dataclass(frozen=True, slots=True)
class ReadRecipient:
    """One that still waits for the message, as the file names it: nobody has asked whether it exists."""

    address: str
    original: str = ""
    notify: str = ""
    orcpt: str = ""


@dataclass(slots=True)
class ReadEnvelope:
    """An envelope as a file has it, each value checked. `hold` says why the message is on hold, if it is."""

    sender: str
    recipients: list[ReadRecipient] = field(default_factory=list)
    done: int = 0
    auth_user: str = ""
    client_ip: str = ""
    ehlo_name: str = ""
    tls: str = ""
    port: int = 0
    priority: Priority = Priority.NORMAL
    envid: str = ""
    ret: str = ""
    smtputf8: bool = False
    eight_bit: bool = False
    created: datetime | None = None
    attempts: int = 0
    delay_notified: bool = False
    hold: str = ""
    release: datetime | None = None
    tls_wish: TLSWish = TLSWish.USUAL


def written(
    entry: Mapping[str, Any], recipients: Sequence[Mapping[str, Any]], more: Mapping[str, Any]
) -> dict[str, Any]:
    """The JSON of an entry's columns; all recipients with their outcome, so that nobody gets it twice."""
    names = ("sender", "auth_user", "client_ip", "ehlo_name", "tls", "port", "subject", "message_id", "envid", "ret")
    return {
        "format": FORMAT,
        "file": entry["file_name"],
        **{name: entry.get(name, "") for name in names},
        "priority": entry["priority"],
        "smtputf8": bool(entry["smtputf8"]),
        "eight_bit": bool(entry["eight_bit"]),
        "size_bytes": entry["size_bytes"],
        "created": entry["created"],
        "attempts": entry["attempts"],
        "delay_notified": bool(entry.get("delay_notified")),
        "hold": (entry.get("hold_reason") or "On hold") if entry.get("hold") else "",
        "last_error": entry["last_error"],
        "release": _as_text(entry.get("release_at")),
        "tls_wish": entry.get("tls_wish") or "",
        **more,
        "recipients": [
            {name: recipient[name] for name in ("address", "status", "original", "notify", "orcpt", "last_reply")}
            for recipient in recipients
        ],
    }


def read(given: Any) -> ReadEnvelope:
    """What `written` wrote, or somebody else. Raises Unreadable.

    `{"sender": "a@b", "recipients": ["c@d"]}` is enough.
    """
    if not isinstance(given, dict) or given.get("format", FORMAT) != FORMAT:
        raise Unreadable("its JSON is not the envelope of a message")
    try:
        envelope = ReadEnvelope(
            sender=sender_of(given["sender"]),
            auth_user=_text(given, "auth_user", 254),
            client_ip=_text(given, "client_ip", 45),
            ehlo_name=_text(given, "ehlo_name", 255),
            tls=_text(given, "tls", 60),
            port=_number(given.get("port") or 0, 65_535),
            priority=Priority(int(given.get("priority", Priority.NORMAL))),
            smtputf8=bool(given.get("smtputf8")),
            eight_bit=bool(given.get("eight_bit")),
            created=moment_of(given.get("created")),
            attempts=_number(given.get("attempts") or 0, MOST_ATTEMPTS),
            delay_notified=bool(given.get("delay_notified")),
            hold=_text(given, "hold", 255),
            release=_moment(given.get("release")),
            tls_wish=TLSWish(given.get("tls_wish") or ""),
        )
        envid, ret = str(given.get("envid") or ""), str(given.get("ret") or "")
        envelope.envid, envelope.ret = parse_envid(envid) if envid else "", parse_ret(ret) if ret else ""
        if not isinstance(given["recipients"], list):
            raise Unreadable("its recipients are not a list")
        for one in given["recipients"]:
            if isinstance(one, str):
                envelope.recipients.append(ReadRecipient(one))
            elif one.get("status", Outcome.PENDING) == Outcome.PENDING:
                envelope.recipients.append(_recipient(one))
            else:
                envelope.done += 1
    except KeyError as error:
        raise Unreadable(f"its JSON is not a whole envelope: {error.args[0]} is missing") from error
    except (TypeError, ValueError, AttributeError, OverflowError) as error:
        raise Unreadable(f"its JSON is not a whole envelope: {storable(str(error), 300)}") from error
    return envelope


def sender_of(text: Any) -> str:
    """A reverse-path in its usual spelling, empty for the null sender. Raises ValueError."""
    if not isinstance(text, str) or not text.isprintable():
        raise ValueError("the sender is not a text of letters")
    return "@".join(split_address(text)) if text else ""


def moment_of(text: Any) -> datetime | None:
    """A time with its zone, never in the future. Raises ValueError."""
    moment = _moment(text)
    # A message that is younger than now would never be old enough to expire.
    return min(moment, datetime.now(UTC)) if moment is not None else None


def _moment(text: Any) -> datetime | None:
    if not text:
        return None
    moment = datetime.fromisoformat(str(text))
    return (moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).astimezone(UTC)


def _as_text(moment: Any) -> str:
    return moment.isoformat() if isinstance(moment, datetime) else str(moment or "")


def _recipient(one: Mapping[str, Any]) -> ReadRecipient:
    notify, orcpt = str(one.get("notify") or ""), str(one.get("orcpt") or "")
    return ReadRecipient(
        str(one["address"]),
        _text(one, "original", 320),
        parse_notify(notify) if notify else "",
        parse_orcpt(orcpt) if orcpt else "",
    )


def _text(given: Mapping[str, Any], name: str, longest: int) -> str:
    return storable(str(given.get(name) or ""), longest)


def _number(value: Any, most: int) -> int:
    return max(0, min(int(value), most))
