"""Reading a report on TLS with our hosts (RFC 8460 4): JSON that somebody wrote, of bounded size, depth and number."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from django.utils.dateparse import parse_datetime

from mailspool.mail_reports.packed import Unreadable
from spool.dsn.fields import one_line

# In memory JSON is twenty times as large; real ones have some KB.
LARGEST_BYTES: Final = 1024 * 1024
MOST_POLICIES: Final = 100
MOST_FAILURES: Final = 200
MOST_SESSIONS: Final = 10**12


@dataclass(frozen=True, slots=True)
class Failure:
    """Sessions that failed alike. `host` is ours, `sending_ip` theirs."""

    policy_type: str
    result: str
    host: str
    sending_ip: str
    reason: str
    count: int


@dataclass(frozen=True, slots=True)
class OfDomain:
    """What a report says of one domain."""

    domain: str
    good: int
    bad: int
    failures: tuple[Failure, ...]


@dataclass(frozen=True, slots=True)
class TLSRead:
    """A report; moments are of UTC."""

    reporter: str
    report_id: str
    begins: datetime
    ends: datetime
    domains: tuple[OfDomain, ...]


def read(content: bytes) -> TLSRead:
    """The report that the JSON is. Raises Unreadable."""
    if len(content) > LARGEST_BYTES:
        raise Unreadable("it is too large")
    try:
        document = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise Unreadable(f"it is no JSON: {str(error)[:100]}") from error
    report = _object(document)
    span = _object(report.get("date-range"))
    policies = [_object(one) for one in _list(report.get("policies"))[:MOST_POLICIES]]
    if not policies:
        raise Unreadable("it is about nothing")
    return TLSRead(
        _text(report.get("organization-name"), 200) or _text(report.get("contact-info"), 200),
        _text(report.get("report-id"), 255),
        _moment(span.get("start-datetime")),
        _moment(span.get("end-datetime")),
        tuple(_domains(policies)),
    )


def _domains(policies: Sequence[Mapping[str, Any]]) -> Iterator[OfDomain]:
    by_domain: dict[str, list[Mapping[str, Any]]] = {}
    for one in policies:
        name = _text(_object(one.get("policy")).get("policy-domain"), 255).lower().rstrip(".")
        by_domain.setdefault(name, []).append(one)
    for domain, some in by_domain.items():
        sums = [_object(one.get("summary")) for one in some]
        failures = [failure for one in some for failure in _failures(one)]
        yield OfDomain(
            domain,
            sum(_number(one.get("total-successful-session-count")) for one in sums),
            sum(_number(one.get("total-failure-session-count")) for one in sums),
            tuple(failures[:MOST_FAILURES]),
        )


def _failures(policy: Mapping[str, Any]) -> Iterator[Failure]:
    kind = _text(_object(policy.get("policy")).get("policy-type"), 20)
    for found in _list(policy.get("failure-details"))[:MOST_FAILURES]:
        one = _object(found)
        yield Failure(
            kind,
            _text(one.get("result-type"), 40),
            _text(one.get("receiving-mx-hostname"), 255).lower().rstrip("."),
            _text(one.get("sending-mta-ip"), 45),
            _text(one.get("failure-reason-code") or one.get("additional-information"), 200),
            _number(one.get("failed-session-count")),
        )


def _text(value: Any, longest: int) -> str:
    return one_line(value, longest) if isinstance(value, str) else ""


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list) else []


def _number(value: Any) -> int:
    """A count. Some write it as text."""
    if isinstance(value, str) and len(value) <= 12 and value.isascii() and value.isdecimal():
        value = int(value)
    return min(max(value, 0), MOST_SESSIONS) if isinstance(value, int) and not isinstance(value, bool) else 0


def _moment(value: Any) -> datetime:
    try:
        found = parse_datetime(value) if isinstance(value, str) and len(value) < 40 else None
        if found is not None:
            return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise Unreadable("it does not say of when it is")
