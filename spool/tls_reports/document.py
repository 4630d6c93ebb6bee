"""A report as RFC 8460 4 writes it: what was counted for one domain on one day, policy by policy."""

from __future__ import annotations

import gzip
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from spool.models.tls_report import TLSSessions


@dataclass(frozen=True, slots=True)
class Reporter:
    """Who reports: this host, and whom to write to about it."""

    host: str
    contact: str


@dataclass(frozen=True, slots=True)
class Report:
    """One report. `day` is one of UTC."""

    reporter: Reporter
    domain: str
    day: date
    sessions: Sequence[TLSSessions]

    @property
    def begins(self) -> datetime:
        return datetime.combine(self.day, time(), UTC)

    @property
    def ends(self) -> datetime:
        return self.begins + timedelta(days=1, seconds=-1)

    @property
    def id(self) -> str:
        """The same at every try: who gets it twice can tell."""
        return f"{self.begins:%Y-%m-%d}T00:00:00Z_{self.domain}"

    @property
    def file_name(self) -> str:
        """As 5.1 wants it."""
        begins, ends = (int(moment.timestamp()) for moment in (self.begins, self.ends))
        return f"{self.reporter.host}!{self.domain}!{begins}!{ends}.json.gz"

    def document(self) -> dict[str, Any]:
        """What is sent, before it is packed."""
        by_policy: dict[tuple[str, str], list[TLSSessions]] = {}
        for one in self.sessions:
            by_policy.setdefault((one.policy_type, one.policy_key), []).append(one)
        return {
            "organization-name": self.reporter.host,
            "date-range": {"start-datetime": _stamp(self.begins), "end-datetime": _stamp(self.ends)},
            "contact-info": self.reporter.contact,
            "report-id": self.id,
            "policies": [_policy(self.domain, some) for _, some in sorted(by_policy.items())],
        }

    def packed(self) -> bytes:
        """The bytes that leave: JSON in gzip, the same at every try."""
        return gzip.compress(json.dumps(self.document(), ensure_ascii=True).encode(), mtime=0)


def _policy(domain: str, sessions: Sequence[TLSSessions]) -> dict[str, Any]:
    newest = sessions[-1]
    policy: dict[str, Any] = {"policy-type": newest.policy_type, "policy-domain": domain}
    if newest.policy_strings:
        policy["policy-string"] = newest.policy_strings
    if newest.policy_mx:
        policy["mx-host"] = newest.policy_mx
    failed = sorted((one for one in sessions if one.result), key=lambda one: (one.result, one.host))
    told: dict[str, Any] = {
        "policy": policy,
        "summary": {
            "total-successful-session-count": sum(one.count for one in sessions if not one.result),
            "total-failure-session-count": sum(one.count for one in failed),
        },
    }
    if failed:
        told["failure-details"] = [_failure(one) for one in failed]
    return told


def _failure(one: TLSSessions) -> dict[str, Any]:
    told: dict[str, Any] = {"result-type": one.result, "failed-session-count": one.count}
    for name, value in (
        ("sending-mta-ip", one.source),
        ("receiving-mx-hostname", one.host),
        ("receiving-ip", one.ip),
        ("failure-reason-code", one.reason),
    ):
        if value:
            told[name] = value
    return told


def _stamp(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"
