"""The newest messages of a thing, and what they have in common: IP addresses, subjects, destinations, results."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, NamedTuple

from django.utils.translation import gettext

from base.stored_texts import said
from mailspool.incident.things import SAMPLE, Thing, page_of
from spool.delivery.replies import error_group
from spool.models import Outcome, Recipient, Status
from throttling.countries import country_of

# Of each group so many rows are shown, and so many messages to look at.
SHOWN: Final = 8
SAMPLES: Final = 10
# Recipients of messages in the spool that are looked at.
_RECIPIENTS: Final = 10_000
# What is put before a subject on the way, and what differs from message to message.
_PREFIXES = re.compile(r"^(?:(?:re|fwd?|aw|wg|tr|sv|rv)\s*:\s*){1,5}", re.IGNORECASE)
_DIGITS = re.compile(r"\d+")
_LABELS = {status.value: status.label for status in Status} | {one.value: one.label for one in Outcome}


class Seen(NamedTuple):
    """A message as one of its rows has it. `state` is a status or an outcome, `answer` what a host has said."""

    file_name: str
    at: datetime
    sender: str
    auth_user: str
    client_ip: str
    ehlo_name: str
    subject: str
    state: str
    answer: str
    recipient: str = ""
    on_hold: bool = False

    @property
    def label(self) -> str:
        """The state, in words."""
        return str(gettext("On hold") if self.on_hold else _LABELS.get(self.state, self.state))


@dataclass(frozen=True, slots=True)
class Row:
    """A part of the messages: what they have in common, how many, and how much of all that is, in percent."""

    words: str
    number: int
    share: int
    kind: str = ""
    key: str = ""
    note: str = ""

    @property
    def page(self) -> str:
        return page_of(self.kind, self.key) if self.kind else ""


@dataclass(frozen=True, slots=True)
class Group:
    """What messages are grouped by: the largest parts, and how many others there are."""

    name: str
    title: str
    column: str
    rows: list[Row]
    others: int


@dataclass(frozen=True, slots=True)
class Evidence:
    """What was found. `is_sample` when there is more than was looked at."""

    groups: list[Group]
    newest: list[Seen]
    number: int
    is_sample: bool
    ips: list[str] = field(default_factory=list)
    subjects: list[str] = field(default_factory=list)
    greetings: list[str] = field(default_factory=list)


def evidence(thing: Thing) -> Evidence:
    """What the newest messages say."""
    here, ids = _in_spool(thing)
    ended = _ended(thing)
    messages = list({one.file_name: one for one in [*here, *ended]}.values())
    rows = [*here, *ended]
    groups = [
        _group(
            "senders", gettext("Senders"), gettext("Sender"), (one.sender for one in messages if one.sender), _address
        ),
        _group(
            "logins", gettext("Logins"), gettext("User"), (one.auth_user for one in messages if one.auth_user), _user
        ),
        _group(
            "ips",
            gettext("IP addresses"),
            gettext("IP address"),
            (one.client_ip for one in messages if one.client_ip),
            _ip,
        ),
        _group(
            "subjects",
            gettext("Subjects"),
            gettext("Subject"),
            (subject_group(one.subject) for one in messages),
            _plain,
        ),
        _group("destinations", gettext("Destinations"), gettext("Domain"), _destinations(ids, ended), _domain),
        _group("results", gettext("Results"), gettext("Result"), (_result(one) for one in rows), _plain),
    ]
    newest = sorted(messages, key=lambda one: one.at, reverse=True)[:SAMPLES]
    return Evidence(
        [group for group in groups if group.rows and not _says_nothing(group, thing)],
        newest,
        len(messages),
        len(here) >= SAMPLE or len(ended) >= SAMPLE,
        _most(one.client_ip for one in messages),
        _most(one.subject for one in messages if one.subject),
        _most(one.ehlo_name for one in messages),
    )


def subject_group(subject: str) -> str:
    """A subject without what differs from message to message: answers, numbers."""
    text = _DIGITS.sub("…", _PREFIXES.sub("", subject)).strip()
    return text or gettext("(no subject)")


def _in_spool(thing: Thing) -> tuple[list[Seen], list[int]]:
    columns = (
        "file_name",
        "created",
        "sender",
        "auth_user",
        "client_ip",
        "ehlo_name",
        "subject",
        "status",
        "error_group",
        "hold",
        "id",
    )
    found: dict[int, Seen] = {}
    for query in thing.entries():
        for *row, on_hold, pk in query.order_by("-id").values_list(*columns)[:SAMPLE]:
            found[pk] = Seen(*row)._replace(on_hold=on_hold)
    ids = sorted(found, reverse=True)[:SAMPLE]
    return [found[pk] for pk in ids], ids


def _ended(thing: Thing) -> list[Seen]:
    columns = (
        "file_name",
        "ended",
        "sender",
        "auth_user",
        "client_ip",
        "ehlo_name",
        "subject",
        "outcome",
        "reply",
        "recipient",
        "id",
    )
    found: dict[int, Seen] = {}
    for query in thing.traces():
        for *row, pk in query.values_list(*columns)[:SAMPLE]:
            found[pk] = Seen(*row)
    return sorted(found.values(), key=lambda one: one.at, reverse=True)[:SAMPLE]


def _destinations(ids: Sequence[int], ended: Iterable[Seen]) -> Iterable[str]:
    yield from Recipient.objects.filter(entry_id__in=ids).values_list("domain", flat=True)[:_RECIPIENTS]
    yield from (one.recipient.rpartition("@")[2].lower() for one in ended)


def _result(one: Seen) -> str:
    if one.state == Outcome.DELIVERED or not one.answer:
        return one.label
    # What waits has the group already; doing it again changes nothing.
    return f"{one.label}: {said(error_group(one.answer))}"


def _group(name: str, title: str, column: str, values: Iterable[str], row: Any) -> Group:
    counted = Counter(values)
    total = counted.total()
    rows = [row(value, number, round(100 * number / total)) for value, number in counted.most_common(SHOWN)]
    return Group(name, title, column, rows, max(0, len(counted) - SHOWN))


def _plain(value: str, number: int, share: int) -> Row:
    return Row(value, number, share)


def _address(value: str, number: int, share: int) -> Row:
    return Row(value, number, share, "sender", value)


def _user(value: str, number: int, share: int) -> Row:
    return Row(value, number, share, "user", value)


def _domain(value: str, number: int, share: int) -> Row:
    return Row(value, number, share, "domain", value)


def _ip(value: str, number: int, share: int) -> Row:
    return Row(value, number, share, "ip", value, country_of(value))


def _says_nothing(group: Group, thing: Thing) -> bool:
    """A group whose only row is the thing itself."""
    return len(group.rows) == 1 and group.rows[0].key == thing.key


def _most(values: Iterable[str]) -> list[str]:
    return [value for value, _ in Counter(filter(None, values)).most_common(SHOWN)]
