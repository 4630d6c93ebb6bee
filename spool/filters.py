"""Which entries are meant: the one filter that lists and commands share."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db.models import QuerySet
from django.utils import timezone

from spool.models.entry import Entry, Status

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_SIZES = {"": 1, "kb": 1024, "mb": 1024**2, "gb": 1024**3}


class BadFilter(ValueError):
    """The text is no age, size or status; the message says what would be."""


def parse_age(text: str) -> timedelta:
    """`30m`, `2h`, `3d`. Raises BadFilter."""
    found = re.fullmatch(r"(\d{1,6})([smhdw])", text.strip().lower())
    if not found:
        raise BadFilter(f"{text!r} is not an age; write 30m, 2h or 3d.")
    return timedelta(seconds=int(found[1]) * _UNITS[found[2]])


def parse_size(text: str) -> int:
    """`500`, `20KB`, `10MB`, as bytes. Raises BadFilter."""
    found = re.fullmatch(r"(\d{1,12})\s*(kb|mb|gb|)", text.strip().lower())
    if not found:
        raise BadFilter(f"{text!r} is not a size; write 500, 20KB or 10MB.")
    return int(found[1]) * _SIZES[found[2]]


@dataclass(frozen=True, slots=True)
class SpoolFilter:
    """Conditions that all hold; empty ones are not asked about. `*` in an address stands for anything."""

    sender: str = ""
    recipient: str = ""
    domain: str = ""
    ip: str = ""
    status: str = ""
    subject: str = ""
    file_name: str = ""
    older_than: timedelta | None = None
    larger_than: int | None = None

    @classmethod
    def from_options(cls, options: dict[str, Any]) -> SpoolFilter:
        """From a command's options. Raises BadFilter."""
        status = (options.get("status") or "").lower()
        if status and status not in Status.values:
            raise BadFilter(f"{status!r} is not a status; there are {', '.join(Status.values)}.")
        return cls(
            options.get("sender") or "", options.get("recipient") or "", (options.get("domain") or "").lower(),
            options.get("ip") or "", status, options.get("subject") or "", options.get("id") or "",
            parse_age(options["older"]) if options.get("older") else None,
            parse_size(options["larger"]) if options.get("larger") else None,
        )  # fmt: skip

    def apply(self, entries: QuerySet[Entry]) -> QuerySet[Entry]:
        """`entries` that meet all conditions."""
        if self.sender:
            entries = entries.filter(**_matching("sender", self.sender))
        if self.recipient:
            entries = entries.filter(**_matching("recipients__address", self.recipient)).distinct()
        if self.domain:
            entries = entries.filter(recipients__domain=self.domain).distinct()
        if self.ip:
            entries = entries.filter(client_ip=self.ip)
        if self.status:
            entries = entries.filter(status=self.status)
        if self.subject:
            entries = entries.filter(subject__icontains=self.subject)
        if self.file_name:
            name = self.file_name if self.file_name.endswith(".eml") else f"{self.file_name}.eml"
            entries = entries.filter(file_name=name)
        if self.older_than is not None:
            entries = entries.filter(created__lt=timezone.now() - self.older_than)
        if self.larger_than is not None:
            entries = entries.filter(size_bytes__gt=self.larger_than)
        return entries


def _matching(field: str, pattern: str) -> dict[str, str]:
    if "*" not in pattern:
        return {field: pattern}
    return {f"{field}__iregex": "^" + ".*".join(re.escape(part) for part in pattern.split("*")) + "$"}
