"""Why a message is still in the spool, in one plain sentence, and what an administrator can do about it.

Values in, text out: the pages and the tests give the same facts.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta

from spool.delivery.replies import WAITS_FOR_HOST
from spool.dsn.fields import is_smtp_reply
from spool.models.entry import Status


@dataclass(frozen=True, slots=True)
class LastTry:
    """The latest attempt; `code` is 0 when no reply came."""

    at: datetime
    host: str
    ip: str
    code: int
    reply: str


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of an entry at `now`."""

    now: datetime
    status: str
    open_recipients: int
    total_recipients: int
    domains: tuple[str, ...] = ()
    attempts: int = 0
    next_attempt: datetime | None = None
    expires: datetime | None = None
    last_error: str = ""
    last_try: LastTry | None = None
    leased: bool = False
    held: bool = False
    hold_reason: str = ""
    hold_until: datetime | None = None
    failures: int = 0
    file_exists: bool = True


@dataclass(frozen=True, slots=True)
class Why:
    """`sentence` says why it is here and what comes next; `advice` what one may do; `tone` colours it."""

    sentence: str
    advice: str
    tone: str


def why(facts: Facts) -> Why:
    """The one reason that matters most, strongest first."""
    if not facts.file_exists:
        return Why(
            "Its message file is missing from the disk, so there is nothing to deliver.",
            "Restore the file from a backup under the same name, or delete the entry.",
            "bad",
        )
    if facts.held and facts.failures:
        return Why(
            f"Set aside: processing it failed {_times(facts.failures)} with an error inside Mailspool.",
            "Look at the traceback below, then release it to try again, or delete it.",
            "bad",
        )
    if facts.held:
        return _held(facts)
    if facts.leased:
        return Why(
            f"It is being processed right now ({_status(facts.status)}).",
            "Nothing to do; look again shortly.",
            "active",
        )
    if facts.status == Status.WAITING:
        return _waiting(facts)
    if facts.status == Status.THROTTLED:
        reason = _short(facts.last_error).rstrip(".") or "its sender has reached a sending limit"
        return Why(
            f"It is throttled: {reason}{_until(facts)}.",
            "Release it from the throttle, or raise the limit.",
            "waiting",
        )
    return _on_its_way(facts)


def _held(facts: Facts) -> Why:
    reason = f" because “{facts.hold_reason.rstrip('.')}”" if facts.hold_reason else ""
    until = f" until {_moment(facts.hold_until)}" if facts.hold_until else ", until somebody releases it"
    return Why(
        f"It is on hold{reason}{until}; no attempt is made meanwhile.", "Release it to let it be delivered.", "held"
    )


def _on_its_way(facts: Facts) -> Why:
    if facts.status == Status.DELIVERY_DELAY and facts.next_attempt and facts.next_attempt > facts.now:
        return Why(
            f"Waiting for the delivery delay; delivery starts {_in(facts.next_attempt - facts.now)}.",
            "Nothing to do. Force delivers it at once.",
            "active",
        )
    checked = facts.status in (Status.VIRUS_CHECK, Status.SPAM_CHECK)
    if checked and facts.last_error and facts.next_attempt and facts.next_attempt > facts.now:
        return Why(
            f"It waits for the {_status(facts.status)}: {_short(facts.last_error).rstrip('.')}. It is looked at again "
            f"{_in(facts.next_attempt - facts.now)}; no attempt is counted meanwhile.",
            "See on the page Antivirus or Antispam whether the engine answers, and what is done when it does not. "
            "Force has it asked at once.",
            "waiting",
        )
    late = facts.next_attempt is not None and facts.now - facts.next_attempt > timedelta(minutes=2)
    if late and facts.next_attempt is not None:
        return Why(
            f"It has been due for {_span(facts.now - facts.next_attempt)} and no worker has taken it yet.",
            "See on the Jobs page whether workers are running and how long the queue is.",
            "bad",
        )
    return Why("It is due, and the next free worker takes it.", "Nothing to do; look again shortly.", "active")


def _waiting(facts: Facts) -> Why:
    what = _who(facts)
    happened = _what_happened(facts)
    if facts.next_attempt is None:
        following = "no further attempt is planned"
    elif facts.next_attempt <= facts.now:
        following = "the next attempt is due now"
    else:
        following = f"the next attempt is {_in(facts.next_attempt - facts.now)}"
    final = ""
    if facts.expires is not None:
        left = facts.expires - facts.now
        final = f". Bounces in {_span(left)}" if left > timedelta(0) else ", the last one before it bounces"
    return Why(f"{what} {happened}; {following}{final}.", _advice(facts), "waiting")


def _who(facts: Facts) -> str:
    left, total = facts.open_recipients, facts.total_recipients
    if total <= 1:
        return "Not delivered yet:"
    if left == total:
        return f"Not delivered to any of its {total:,} recipients yet:"
    return f"{left:,} of {total:,} recipients not delivered yet:"


# What went wrong although there was a connection, or before one was tried; no answer of a host.
_OUR_WORDS = ("the connection to", "the message", "delivery failed", "the server was stopped", "the worker was")


def _what_happened(facts: Facts) -> str:
    if facts.last_error.startswith(WAITS_FOR_HOST):
        reason = _short(facts.last_error.removeprefix(WAITS_FOR_HOST))
        before = f"after {_times(facts.attempts, 'attempt')} " if facts.attempts else ""
        return f"{before}it waits, as its host did not answer other mail (“{reason}”)"
    last = facts.last_try
    tries = f"after {_times(facts.attempts, 'attempt')} "
    if last is None:
        error = facts.last_error.strip().rstrip(".")
        return f"{tries}the last one failed with “{_short(error)}”" if error else "it has not been tried yet"
    host = last.host or _named(facts.domains) or "the destination"
    ago = f"{_span(facts.now - last.at)} ago" if facts.now - last.at >= timedelta(seconds=5) else "just now"
    where = f"{host} ({last.ip})" if last.ip and last.ip != host else host
    if last.code:
        return f"{tries}{where} answered “{_short(last.reply)}” {ago}"
    reply = last.reply or facts.last_error
    if reply.startswith(_OUR_WORDS):
        return f"{tries}the last one, to {where}, failed {ago} (“{_short(reply)}”)"
    return f"{tries}{where} could not be reached {ago}" + (f" (“{_short(reply)}”)" if reply else "")


_ADVICE = (
    (
        r"greylist|graylist|4\.7\.1.*(again|later)|try again (in|after)",
        "This looks like greylisting, which the next attempt usually passes. Nothing to do.",
    ),
    (
        r"mailbox (is )?full|over quota|4\.2\.2|5\.2\.2|quota exceeded",
        "The recipient's mailbox is full. Wait, or tell the recipient by another way.",
    ),
    (
        r"reverse dns|\bptr\b|[45]\.7\.25\b",
        "The host wants the address that we send from to have a name in the DNS (PTR), which leads back to it.",
    ),
    (
        r"dmarc|\bspf\b|dkim|unauthenticated|[45]\.7\.2[0-7]\b",
        "The host could not make sure who sent it. See SPF, DKIM and DMARC of the sender's domain.",
    ),
    (
        r"nxdomain|no such domain|does not exist|no mx|null mx|dns|name resolution|not resolve",
        "Check the spelling of the domain and the DNS. When it is mended, Reset Retries starts over at once.",
    ),
    (r"tls|certificate|handshake", "Encryption with the host failed. See the TLS setting of its route, then Force."),
    (
        r"\brate|too many|throttl|\blimit|4\.7\.28|temporarily deferred",
        "The host limits how much it takes from us. Wait, or lower the connections of its route.",
    ),
    (
        r"blocked|blacklist|blocklist|reputation|spamhaus|listed",
        "The host refuses our address. Ask for removal from its list, or redirect the message over another route.",
    ),
    (r"authenticat|credential|5\.7\.8", "The host wants a login. See the route's user name and password."),
    (
        r"refused|unreachable|timed out|timeout|in time|no route|could not connect|cannot connect|reset",
        "The host is down or a firewall is between. When it is back, Force tries at once; Redirect sends it by another"
        " host.",
    ),
)


# Those about the way to a host: by what it answered, it was reached.
_BY_US_ALONE = tuple(row for row in _ADVICE if row[0].startswith(("nxdomain", "refused")))


def _advice(facts: Facts) -> str:
    said = facts.last_try.reply if facts.last_try else facts.last_error
    text = f"{facts.last_error} {said}".lower()
    # A host that "refused" is not down, and the "DNS" that it speaks of is not ours.
    patterns = _ADVICE if not is_smtp_reply(said) else [row for row in _ADVICE if row not in _BY_US_ALONE]
    for pattern, advice in patterns:
        if re.search(pattern, text):
            return advice
    return "Force tries at once; Redirect sends it elsewhere; Delete ends it, with a bounce to the sender if you like."


def _status(status: str) -> str:
    return str(Status(status).label) if status in Status.values else status


def _until(facts: Facts) -> str:
    if facts.next_attempt and facts.next_attempt > facts.now:
        return f"; it goes on {_in(facts.next_attempt - facts.now)}"
    return ""


def _named(domains: tuple[str, ...]) -> str:
    if len(domains) > 2:
        return f"{domains[0]} and {len(domains) - 1} other domains"
    return " and ".join(domains)


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= 160 else f"{text[:159].rstrip()}…"


def _times(count: int, noun: str = "time") -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _in(span: timedelta) -> str:
    return f"in {_span(span)}"


def _span(span: timedelta) -> str:
    """A span for people: the two largest units."""
    seconds = max(0, int(span.total_seconds()))
    if seconds < 60:
        return _times(seconds, "second")
    days, rest = divmod(seconds, 86_400)
    hours, rest = divmod(rest, 3600)
    minutes = rest // 60
    if days:
        return _times(days, "day") + (f" {_times(hours, 'hour')}" if hours and days < 3 else "")
    if hours:
        return _times(hours, "hour") + (f" {_times(minutes, 'minute')}" if minutes else "")
    return _times(minutes, "minute")


def _moment(moment: datetime) -> str:
    from django.utils import timezone

    return f"{timezone.localtime(moment):%Y-%m-%d %H:%M %Z}"
