"""Reading the bounces that come back to our users: which recipient failed, and why.

First the standard report (RFC 3464), also where its MIME is broken; then what servers wrote before there was one, or
still write (spool.dsn.legacy). Any bytes may come in: nothing here raises, and time and depth are bounded.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from itertools import takewhile
from typing import Final

from spool.dsn import legacy, xtext
from spool.dsn.failure import MOST_RECIPIENTS, BouncedRecipient, enhanced_code, found_address, unique
from spool.dsn.fields import one_line
from spool.dsn.mime import STATUS_TYPES, Fields, Part, header_of, parts_of

# What a report says stands before the message it returns; the rest is not looked at.
LARGEST_PARSED_BYTES: Final = 256 * 1024

_DAEMONS: Final = ("mailer-daemon", "postmaster")
_RECIPIENT_NAMES: Final = ("original-recipient", "final-recipient")
_OTHER_REPORTS: Final = ("disposition-notification", "feedback-report", "tlsrpt")
_EMPTY_LINES = re.compile(r"\n[ \t]*\n\s*")
_RECIPIENT_FIELD = re.compile(r"^(?:final|original)-recipient[ \t]*:", re.IGNORECASE | re.MULTILINE)
_ACTION_FIELD = re.compile(r"^action[ \t]*:", re.IGNORECASE | re.MULTILINE)
# "failed" is the only word for it (RFC 3464 2.3.3); the others are seen.
_FAILED: Final = ("fail", "error", "expired", "undeliver", "bounce")
_END_OF_REPORT = re.compile(r"^(?:--|content-type[ \t]*:[ \t]*(?:message|text)/rfc822)", re.IGNORECASE | re.MULTILINE)
# A group of fields torn by empty lines is put together again from at most so many pieces.
_MOST_PIECES: Final = 8

__all__ = ["BouncedRecipient", "recognise"]


def recognise(content: bytes, envelope_sender: str) -> tuple[BouncedRecipient, ...] | None:
    """The recipients that failed for good, when `content` is a bounce; None for all other mail.

    Looked at is mail from the null sender, from a MAILER-DAEMON or a postmaster, and any multipart/report. Notices of
    delay or of success, read receipts and abuse reports are not bounces.
    """
    content = content[:LARGEST_PARSED_BYTES]
    header = header_of(content)
    is_report = header["content-type"].lower().startswith("multipart/report")
    sender = envelope_sender.strip().strip("<>").lower()
    if not is_report and sender and sender.partition("@")[0] not in _DAEMONS:
        return None
    if header.parameter("content-type", "report-type").lower() in _OTHER_REPORTS:
        return None
    parts = list(parts_of(content))
    report = _report(parts)
    return unique(_failures(report) if report is not None else legacy.failures(header, parts)) or None


def _report(parts: list[Part]) -> str | None:
    """The text that holds the fields of the report; None when there is none before the returned message."""
    parts = list(takewhile(lambda part: not part.is_message, parts))
    for part in parts:
        if part.content_type in STATUS_TYPES and _RECIPIENT_FIELD.search(part.text):
            return part.text
    # The report as a text, as an attachment, or its parts run together because the boundary is wrong.
    for part in parts:
        text = part.text
        if match := _RECIPIENT_FIELD.search(text):
            end = _END_OF_REPORT.search(text, match.end())
            return text[_start_of_group(text, match.start()) : end.start() if end else None]
    return None


def _start_of_group(text: str, position: int) -> int:
    """Where the lines begin that a field of a recipient stands among: some have its action before it."""
    start = text.rfind("\n\n", 0, position)
    action = _ACTION_FIELD.search(text, start + 2 if start >= 0 else 0, position)
    return action.start() if action else position


def _failures(report: str) -> Iterator[BouncedRecipient]:
    for group in _groups(report):
        action = group["action"].lower()
        code = enhanced_code(group["status"])
        # Some leave the action out; then a permanent status speaks for itself.
        if not (action.startswith(_FAILED) or (not action and code.startswith("5"))):
            continue
        addresses = _addresses(group)
        if not addresses:
            continue
        diagnostic = group["diagnostic-code"]
        kind, semicolon, text = diagnostic.partition(";")
        text = text if semicolon and len(kind) < 30 and " " not in kind.strip() else diagnostic
        yield BouncedRecipient(addresses[0], code or enhanced_code(text), one_line(text, 500), tuple(addresses[1:]))


def _groups(report: str) -> Iterator[Fields]:
    """The groups of fields that are about a recipient, also where empty lines are missing or too many."""
    pieces: list[str] = []
    for block in _EMPTY_LINES.split(report):
        for text in _split_before_recipients(block):
            if _RECIPIENT_FIELD.search(text):
                if pieces and not _goes_on(pieces, text):
                    yield Fields("\n".join(pieces))
                    pieces = []
                pieces.append(text)
            elif len(pieces) < _MOST_PIECES and (pieces or _ACTION_FIELD.search(text)):
                pieces.append(text)
    if pieces:
        yield Fields("\n".join(pieces))


def _goes_on(pieces: list[str], text: str) -> bool:
    """Whether `text` is about the same recipient: an Original-Recipient torn off from its Final-Recipient."""
    before, names = Fields("\n".join(pieces)), Fields(text)
    if not any(name in before for name in _RECIPIENT_NAMES):
        # What stood before the first recipient.
        return "action" not in names
    return (
        len(pieces) < _MOST_PIECES
        and "action" not in before
        and not any(name in before and name in names for name in _RECIPIENT_NAMES)
    )


def _split_before_recipients(block: str) -> list[str]:
    """`block` cut before each recipient: at the second Final-Recipient, or the Original-Recipient that leads to it."""
    starts = [0]
    first, action = _RECIPIENT_FIELD.search(block), _ACTION_FIELD.search(block)
    if first is not None and action is not None and action.start() < first.start():
        # Here each group begins with its action.
        starts = [0, *(match.start() for match in _ACTION_FIELD.finditer(block))][: 1 + MOST_RECIPIENTS]
        return [block[start:end] for start, end in zip(starts, [*starts[1:], len(block)], strict=True)]
    seen: set[str] = set()
    for match in _RECIPIENT_FIELD.finditer(block):
        name = match[0].partition("-")[0].lower()
        if name in seen:
            starts.append(match.start())
            seen.clear()
        seen.add(name)
    return [block[start:end] for start, end in zip(starts, [*starts[1:], len(block)], strict=True)]


def _addresses(group: Fields) -> list[str]:
    """The address as the sender wrote it if the report has it, then the one that delivery was tried to."""
    found: dict[str, None] = {}
    for name in (*_RECIPIENT_NAMES, "x-actual-recipient"):
        kind, semicolon, text = group[name].partition(";")
        if not semicolon:
            text = kind
        elif kind.strip().lower() == "utf-8":
            with suppress(xtext.InvalidParameter):
                text = xtext.decode_utf8(text.strip())
        if address := found_address(text):
            found[address] = None
    return list(found)
