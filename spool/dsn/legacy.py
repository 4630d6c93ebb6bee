"""Bounces without an RFC 3464 report: the texts of qmail, Exim, Postfix, Sendmail, Exchange and their kin.

Written from what these servers send. Each form is a way to find its paragraphs or lines; all share one rule: nothing
after the start of the returned message counts, and a warning that mail is late is not a bounce.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Sequence
from typing import Final

from spool.dsn.failure import ADDRESS, BouncedRecipient, code_in, found_address
from spool.dsn.fields import one_line
from spool.dsn.mime import Fields, Part

_LONGEST_DIAGNOSTIC: Final = 500
_MOST_LINES: Final = 4000
_LONGEST_TEXT_LINE: Final = 1000

_RETURNED_MESSAGE = re.compile(
    r"^(?:[> \t]{0,8}-{2,}[ \t]*(?:Below this line|(?:This is|The (?:body|header)).{0,20}\b(?:copy|message)"
    r"|(?:Original|Returned|Unsent|Undelivered) message|Message headers? follow|Header of the|Original mail)"
    r"|[ \t]{0,8}Original message headers?:|(?:Return-Path|Received|X-Received|DKIM-Signature):\s)",
    re.IGNORECASE | re.MULTILINE,
)
_WARNING = re.compile(
    r"this is (?:only )?a warning(?: message only)?|do not need to resend|has not yet been delivered"
    r"|delivery (?:of|to) .{0,60}delayed|will (?:keep trying|continue to be)|delivery attempts will continue",
    re.IGNORECASE,
)
_SUBJECT = re.compile(
    r"undeliver|not (?:be )?delivered|returned mail|failure notice|failed|failure|nondelivery|non-delivery|bounce"
    r"|could ?n[o']t (?:be )?(?:send|sent|deliver)|returned to sender|delivery status",
    re.IGNORECASE,
)
# Not just anywhere: the subject of the message that failed may follow.
_LATE_SUBJECT = re.compile(
    r"^\W{0,5}(?:warning|delay|deferred|delivery (?:status notification|report|delay).{0,5}delay|delivery delayed)",
    re.IGNORECASE,
)

_QMAIL = re.compile(r"^hi\. this is the\b", re.IGNORECASE)
_EXIM = re.compile(r"^this message was created automatically by mail delivery software", re.IGNORECASE | re.MULTILINE)
_SENDMAIL = re.compile(r"^\s*-{2,}\s*the following addresses had (?:permanent|fatal|delivery).{0,40}$", re.IGNORECASE)
_DASHED = re.compile(r"^\s*-{4,}")
_BRACKETED = re.compile(r"^\s{0,4}<([^<>\s]{1,400})>(?:\s{1,8}\(expanded from <[^<>\s]{1,400}>\))?:\s?")
_EXCHANGE = re.compile(
    r"not reach the following recipient|following (?:recipient|address|user)\S{0,5}.{0,40} (?:not be )?reached"
    r"|delivery has failed to these recipients|could ?n[o']t be delivered to",
    re.IGNORECASE,
)
_DATED_ADDRESS = re.compile(r"^\s{0,20}(\S{3,400}) on (?:\w{3}, )?\d{1,4}[ /.-]")
_NAMED_ADDRESS = re.compile(r"^[^@<>]{1,200}\(([^()\s]{3,400})\)")
_REASON = re.compile(r"(?<![\d.])5\d\d[ \-#]|#?5\.\d{1,3}\.\d{1,3}|remote server (?:returned|said)", re.IGNORECASE)
_TRANSCRIPT_LINE = re.compile(r"^(?:<<<\s*)?5\d\d[ \-]")
_TAG = re.compile(r"<[^<>]{0,2000}>")


def failures(header: Fields, parts: Sequence[Part]) -> Iterator[BouncedRecipient]:
    """The recipients that a bounce without a report names as failed."""
    text = _text_before_returned_message(parts)
    if _LATE_SUBJECT.search(header["subject"][:500]) or _WARNING.search(text[:8000]):
        return
    lines = [line[:_LONGEST_TEXT_LINE].rstrip() for line in text.split("\n", _MOST_LINES)[:_MOST_LINES]]
    if header["x-failed-recipients"]:
        yield from _exim(header["x-failed-recipients"], lines)
    elif _QMAIL.match(text.lstrip()):
        yield from _bracketed(lines, until="-")
    elif any(_SENDMAIL.match(line) for line in lines):
        yield from _sendmail(lines)
    elif _EXIM.search(text):
        yield from _exim("", lines)
    elif any(_BRACKETED.match(line) for line in lines):
        if _SUBJECT.search(header["subject"][:500]) or "mail system" in text[:4000]:
            yield from _bracketed(lines)
    elif _SUBJECT.search(header["subject"][:500]) or _EXCHANGE.search(text):
        yield from _exchange(lines) if _EXCHANGE.search(text) else _by_line(lines)


def _text_before_returned_message(parts: Sequence[Part]) -> str:
    """What the server wrote: the plain texts before the returned message, or else the HTML one without its tags."""
    texts: list[str] = []
    markup = ""
    for part in parts:
        if part.is_message:
            break
        if part.content_type == "text/html":
            markup = markup or part.text
        elif part.content_type.startswith("text/"):
            texts.append(part.text)
    text = "\n".join(texts)
    if not text.strip() and markup:
        text = html.unescape(_TAG.sub("\n", markup))
    match = _RETURNED_MESSAGE.search(text)
    return text[: match.start()] if match else text


def _failure(address: str, reason: Sequence[str]) -> BouncedRecipient:
    text = " ".join(line.strip() for line in reason)
    return BouncedRecipient(address, code_in(text), one_line(text, _LONGEST_DIAGNOSTIC))


def _bracketed(lines: Sequence[str], until: str = "") -> Iterator[BouncedRecipient]:
    """qmail's and Postfix's paragraphs: `<address>:` and the reason, to the next empty line or address."""
    address, reason = "", list[str]()
    for line in lines:
        match = _BRACKETED.match(line)
        if match or not line.strip():
            if address:
                yield _failure(address, reason)
            address, reason = "", []
        elif until and not address and line.startswith(until):
            return
        if match:
            address = found_address(match[1])
            reason = [line[match.end() :]]
        elif address:
            reason.append(line)
    if address:
        yield _failure(address, reason)


def _exim(failed: str, lines: Sequence[str]) -> Iterator[BouncedRecipient]:
    """Exim's indented addresses with a deeper indented reason under each; `failed` is X-Failed-Recipients."""
    reasons: dict[str, list[str]] = {}
    reason: list[str] | None = None
    codes = [line for line in lines if _REASON.search(line)][:3]
    for line in lines:
        indent = len(line) - len(line.lstrip(" \t"))
        if not line.strip() or not indent:
            reason = None
        elif reason is None or indent <= 2:
            address = found_address(line.strip())
            alone = address and line.strip().strip("<>:").lower() == address.lower()
            reason = reasons.setdefault(address.lower(), []) if alone else None
        elif not line.lstrip().startswith(("(generated from", "(ultimately generated from")):
            reason.append(line)
    named = [match[0] for match in ADDRESS.finditer(failed)] if failed else list(reasons)
    # Others use the header too, above texts of their own kind.
    yield from (_failure(address, reasons.get(address.lower()) or codes) for address in named)


def _sendmail(lines: Sequence[str]) -> Iterator[BouncedRecipient]:
    """The addresses under Sendmail's heading, with the reason beneath or the 5xx lines of the transcript."""
    transcript = [line for line in lines if _TRANSCRIPT_LINE.match(line)]
    listing = False
    address, reason = "", list[str]()
    for line in [*lines, "-----"]:
        if _DASHED.match(line) or listing and not line.strip():
            if address:
                yield _failure(address, reason or _about(address, transcript))
                address = ""
            listing = listing and not _DASHED.match(line) or _SENDMAIL.match(line) is not None
        elif listing and line.lstrip().lower().startswith(("(reason:", "(expanded from")):
            if "reason:" in line.lower():
                reason.append(line.strip().strip("()").partition(":")[2])
        elif listing and (found := found_address(line)):
            if address:
                yield _failure(address, reason or _about(address, transcript))
            address, reason = found, []


def _about(address: str, transcript: Sequence[str]) -> Sequence[str]:
    """The line of the transcript that names `address`, or else its first."""
    for line in transcript:
        if address.lower() in line.lower():
            return [line]
    return transcript[:1]


def _exchange(lines: Sequence[str]) -> Iterator[BouncedRecipient]:
    """Exchange's: an address on a line of its own (or with a date), later one with a code."""
    address, reason = "", list[str]()
    started = False
    for line in lines:
        started = started or _EXCHANGE.search(line) is not None
        if not started:
            continue
        found = _address_of_line(line)
        if found:
            if address and found.lower() != address.lower():
                yield _failure(address, reason)
                reason = []
            address = found
        elif address and line.strip():
            # The code stands in the last lines, after sentences for people.
            reason = [line] if _REASON.search(line) else [*reason, line] if not _has_code(reason) else reason
    if address:
        yield _failure(address, reason)


def _address_of_line(line: str) -> str:
    """The address that `line` is about: alone on it, with a link to itself, with a date or after a name."""
    if match := _DATED_ADDRESS.match(line) or _NAMED_ADDRESS.match(line):
        return found_address(match[1])
    alone = line.strip().partition("<mailto:")[0].strip("<>:")
    found = found_address(alone)
    return found if found.lower() == alone.lower() else ""


def _has_code(reason: Sequence[str]) -> bool:
    return any(_REASON.search(line) for line in reason)


def _by_line(lines: Sequence[str]) -> Iterator[BouncedRecipient]:
    """Any other: a line, or one and the next, that has both an address and a permanent reply."""
    for line, following in zip(lines, [*lines[1:], ""], strict=True):
        address = found_address(line)
        if not address:
            continue
        if _REASON.search(line):
            yield _failure(address, [line])
        elif _REASON.search(following) and not found_address(following):
            yield _failure(address, [following])
