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
_OPENING_LINES: Final = 30
_LONGEST_TEXT_LINE: Final = 1000
_LINES_TO_A_CODE: Final = 10

_RETURNED_MESSAGE = re.compile(
    r"^(?:[> \t]{0,8}-{2,}[ \t]*(?:Below this line|(?:This is|The (?:body|header)).{0,20}\b(?:copy|message)"
    r"|(?:Original|Returned|Unsent|Undelivered) message|Message headers? follow|Header of the|Original mail)"
    r"|[ \t|]{0,8}-{0,40} ?(?:(?:original|unsent|returned|old) (?:message|mail):? ?(?:follow|header|below|attached|$)"
    r"|message (?:text|headers?) follow|here is a copy|included is a copy|a copy of the original)"
    r"|(?:Return-Path|Received|X-Received|DKIM-Signature):\s)",
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
_EXIM = re.compile(
    r"^this message was created automatically by mail delivery\s{1,3}software", re.IGNORECASE | re.MULTILINE
)
_SENDMAIL = re.compile(r"^\s*-{2,}\s*the following addresses had (?:permanent|fatal|delivery).{0,40}$", re.IGNORECASE)
_DASHED = re.compile(r"^\s*-{4,}")
_BRACKETED = re.compile(r"^\s{0,4}<([^<>\s]{1,400})>(?:\s{1,8}\(expanded from <[^<>\s]{1,400}>\))?:\s?")
_EXCHANGE = re.compile(
    r"not reach the following recipient|following (?:recipient|address|user)\S{0,5}.{0,40} (?:not be )?reached"
    r"|delivery has failed to these recipients|could ?n[o']t be delivered to",
    re.IGNORECASE,
)
_DATED_ADDRESS = re.compile(r"^\s{0,20}(\S{3,400}) on (?:\w{3}, )?\d{1,4}[ /.-]")
_X400_ADDRESS = re.compile(r"^[^@<>]{1,200}\bsmtp=([^\s;]{3,400});", re.IGNORECASE)
_NAMED_ADDRESS = re.compile(r"^[^@<>]{1,200}\(([^()\s]{3,400})\)")
_REASON = re.compile(r"(?<![\d.])5\d\d[ \-#]|#?5\.\d{1,3}\.\d{1,3}|remote server (?:returned|said)", re.IGNORECASE)
# In a text from a mail server, what says that something failed.
_FAILING = re.compile(
    r"undeliver|(?:not|n't|unable to|failed to) (?:be )?(?:deliver|sen[dt]\b|receive|reach)|not (?:been )?delivered"
    r"|deliver\w{0,3} .{0,60}(?:fail|abort|refused)|fail(?:ed|ure).{0,20} deliver|failed \d|failed address"
    r"|permanent error|unknown (?:user|host|address|recipient)"
    r"|(?:user|mailbox|address|recipient|domain) .{0,30}(?:unknown|unavailable|full)"
    r"|no such (?:user|mailbox|address)|(?:does not|doesn't) exist|invalid .{0,20}(?:user|recipient|address|mailbox)"
    r"|quota|returned because|was rejected|not listed in|errors? (?:\w{1,10} )?(?:deliver|sending|occurred)"
    r"|exceed(?:s|ed|ing)?\b|too (?:large|big|long)\b|larger than|(?:size|length) (?:limit|of the message)"
    r"|(?:envelope|message|delivery|mail|time|queue)\b.{0,30}\bexpired|expired .{0,30}(?:message|mail|deliver)",
    re.IGNORECASE,
)
# What may stand beside a failed address alone on its line; and lines that name somebody else.
_LABEL = re.compile(
    r"(?:undeliverable|failed|intended|final)?[ -]?(?:address|recipient|error-for)\b|\bsmtp\b|generated from|&nbsp;",
    re.IGNORECASE,
)
_BYSTANDER = re.compile(r"\b(?:contact|please|question|from:|sender|reply-to|visit|write to|help)", re.IGNORECASE)
_AFTER_FROM = re.compile(r"(?<!generated )\bfrom[ <\"']{0,4}$", re.IGNORECASE)
_DAEMONS: Final = ("mailer-daemon@", "postmaster@")
_TRANSCRIPT_LINE = re.compile(r"^(?:<<<\s*)?5\d\d[ \-]")
_TAG = re.compile(r"<[^<>]{0,2000}>")


def failures(header: Fields, parts: Sequence[Part]) -> Iterator[BouncedRecipient]:
    """The recipients that a bounce without a report names as failed."""
    text = _text_before_returned_message(parts)
    if _LATE_SUBJECT.search(header["subject"][:500]) or _WARNING.search(text[:8000]):
        return
    lines = [line[:_LONGEST_TEXT_LINE].rstrip() for line in text.split("\n", _MOST_LINES)[:_MOST_LINES]]
    own_lines = [line for line in lines if not line.startswith(">")]
    subject = _SUBJECT.search(header["subject"][:500]) is not None
    failing = subject or any(_FAILING.search(line) for line in own_lines[:_OPENING_LINES])
    found = list(_known_form(header, text, lines, failing))
    yield from found or (_named_with_reason(own_lines) if failing else ())


def _known_form(header: Fields, text: str, lines: Sequence[str], failing: bool) -> Iterator[BouncedRecipient]:
    if header["x-failed-recipients"]:
        return _exim(header["x-failed-recipients"], lines)
    if _QMAIL.match(text.lstrip()):
        return _bracketed(lines, until="-")
    if any(_SENDMAIL.match(line) for line in lines):
        return _sendmail(lines)
    if _EXIM.search(text):
        return _exim("", lines)
    if any(match and (failing or match.end() == len(line)) for line in lines if (match := _BRACKETED.match(line))):
        return _bracketed(lines)
    return _exchange(lines) if _EXCHANGE.search(text) else iter(())


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
    if match := _X400_ADDRESS.match(line) or _DATED_ADDRESS.match(line) or _NAMED_ADDRESS.match(line):
        return found_address(match[1])
    alone = line.strip().partition("<mailto:")[0].strip("<>:")
    found = found_address(alone)
    return found if found.lower() == alone.lower() else ""


def _has_code(reason: Sequence[str]) -> bool:
    return any(_REASON.search(line) for line in reason)


def _named_with_reason(lines: Sequence[str]) -> Iterator[BouncedRecipient]:
    """Any other: an address on a line of its own, or beside words that say it failed."""
    for position, line in enumerate(lines):
        match = ADDRESS.search(line)
        address = found_address(line)
        if match is None or address.lower().startswith(_DAEMONS):
            continue
        if _BYSTANDER.search(line) or _AFTER_FROM.search(line[: match.start()]):
            continue
        rest = ADDRESS.sub("", line)
        alone = not re.search(r"\w", _LABEL.sub("", rest))
        if alone or _REASON.search(rest) or _FAILING.search(rest):
            following = [text for text in lines[position + 1 : position + 4] if text.strip()][:1]
            reason = following if alone and following else [line]
            yield _failure(address, [*reason, *_code_below(lines, position, reason)])


def _code_below(lines: Sequence[str], position: int, reason: Sequence[str]) -> list[str]:
    """The lines below an address that have its code, when `reason` has none: to the next address at most."""
    if _has_code(reason):
        return []
    below: list[str] = []
    for line in lines[position + 1 : position + 1 + _LINES_TO_A_CODE]:
        if _REASON.search(line):
            below.append(line)
        elif below or ADDRESS.search(line):
            break
    return below if not set(below) <= set(reason) else []
