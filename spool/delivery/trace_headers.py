"""The header lines that a message collects on its way, and what they tell about loops."""

from __future__ import annotations

import re
from collections.abc import Collection
from datetime import datetime
from email.utils import format_datetime
from typing import Final

from django.conf import settings as django_settings

from accounts.addresses import InvalidAddress, normalise_address
from spool.message import header as headers

_DELIVERED_TO: Final = re.compile(
    rb"^delivered-to[ \t]*:[ \t]*(?:\r?\n[ \t]+)?([^\r\n]*)", re.IGNORECASE | re.MULTILINE
)
_FIELD: Final = re.compile(rb"[^\n]*(?:\n(?=[ \t])[^\n]*)*(?:\n|\Z)")
_CONTROLS: Final = re.compile("[\x00-\x1f\x7f]+")


def fields_of(header: bytes) -> list[bytes]:
    """The fields of header lines, each with the lines that it goes on in, with LF line ends."""
    return _FIELD.findall(header.replace(b"\r\n", b"\n"))


def without_fields(content: bytes, omitted: Collection[bytes]) -> bytes:
    """A message, or its beginning with all of the header, without those fields of it (as `fields_of` has them)."""
    header, rest = headers.split(content)
    return b"".join(one for one in _FIELD.findall(header) if one.replace(b"\r\n", b"\n") not in omitted) + rest


def header_line(name: str, value: str) -> bytes:
    """One field. Whatever could start another line is replaced, wherever the value comes from."""
    return f"{name}: {_CONTROLS.sub('?', value)}\r\n".encode("utf-8", "replace")


def received_line(file_name: str, address: str, now: datetime) -> bytes:
    """The trace field of a message that leaves under a new envelope because of `address` (RFC 5321 4.4)."""
    host = _CONTROLS.sub("?", django_settings.MAILSPOOL_HOSTNAME)
    for_whom = _CONTROLS.sub("?", address)
    text = (
        f"Received: by {host} (Mailspool) id {file_name.partition('.')[0]}\r\n"
        f"\tfor <{for_whom}>; {format_datetime(now)}\r\n"
    )
    return text.encode("utf-8", "replace")


def passed_through(header: bytes) -> frozenset[str]:
    """The addresses, normalised, that have already sent this message on or taken it: its Delivered-To lines."""
    found = set()
    for value in _DELIVERED_TO.findall(header):
        text = value.decode("utf-8", "replace").strip().strip("<>")
        try:
            found.add(normalise_address(text))
        except InvalidAddress:
            # Lines of other servers may hold anything; only an address of ours can mean a loop here.
            continue
    return frozenset(found)
