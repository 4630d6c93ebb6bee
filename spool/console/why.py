"""Why a message is still in the spool, in one plain sentence, and what an administrator can do about it.

Values in, text out: the pages and the tests give the same facts.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy
from django.utils.translation import ngettext, pgettext

from base import stored_texts
from base.numbers import grouped
from base.times import of_days, of_hours, of_minutes, of_seconds, to_the_minute
from spool.delivery.replies import WAITS_FOR_HOST, is_here
from spool.delivery.shaping.brakes import SLOWED, SUSPENDED
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
    # When its turn is, of what is more than the share of `share_of` (spool.flow.shares).
    turn: datetime | None = None
    share_of: str = ""


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
            _("Its message file is missing from the disk, so there is nothing to deliver."),
            _("Restore the file from a backup under the same name, or delete the entry."),
            "bad",
        )
    if facts.held and facts.failures:
        return Why(
            ngettext(
                "Set aside: processing it failed %(number)s time with an error inside Mailspool.",
                "Set aside: processing it failed %(number)s times with an error inside Mailspool.",
                facts.failures,
            )
            % {"number": grouped(facts.failures)},
            _("Look at the traceback below, then release it to try again, or delete it."),
            "bad",
        )
    if facts.held:
        return _held(facts)
    if facts.leased:
        return Why(
            _("It is being processed right now (%(status)s).") % {"status": _status(facts.status)},
            _("Nothing to do; look again shortly."),
            "active",
        )
    if facts.status == Status.WAITING:
        return _waiting(facts)
    if facts.status == Status.THROTTLED:
        reason = _short(stored_texts.said(facts.last_error)).rstrip(".") or _("its sender has reached a sending limit")
        said = {"reason": reason}
        sentence = _("It is throttled: %(reason)s.") % said
        if facts.next_attempt and facts.next_attempt > facts.now:
            said["span"] = _span(facts.next_attempt - facts.now)
            sentence = _("It is throttled: %(reason)s; it goes on in %(span)s.") % said
        return Why(
            sentence,
            _("Release it from the throttle, or raise the limit."),
            "waiting",
        )
    return _on_its_way(facts)


def _held(facts: Facts) -> Why:
    said = {
        "reason": stored_texts.said(facts.hold_reason).rstrip("."),
        "until": to_the_minute(facts.hold_until) if facts.hold_until else "",
    }
    if facts.hold_reason and facts.hold_until:
        sentence = _("It is on hold because “%(reason)s” until %(until)s; no attempt is made meanwhile.")
    elif facts.hold_reason:
        sentence = _("It is on hold because “%(reason)s”, until somebody releases it; no attempt is made meanwhile.")
    elif facts.hold_until:
        sentence = _("It is on hold until %(until)s; no attempt is made meanwhile.")
    else:
        sentence = _("It is on hold, until somebody releases it; no attempt is made meanwhile.")
    return Why(sentence % said, _("Release it to let it be delivered."), "held")


def _on_its_way(facts: Facts) -> Why:
    if facts.status == Status.SCHEDULED and facts.next_attempt and facts.next_attempt > facts.now:
        return Why(
            _("Its sender has scheduled it for %(moment)s, in %(span)s; nobody gets it before.")
            % {"moment": to_the_minute(facts.next_attempt), "span": _span(facts.next_attempt - facts.now)},
            _("Nothing to do. Force sends it now; Delete takes it back."),
            "quiet",
        )
    if facts.status == Status.DELIVERY_DELAY and facts.next_attempt and facts.next_attempt > facts.now:
        return Why(
            _("Waiting for the delivery delay; delivery starts in %(span)s.")
            % {"span": _span(facts.next_attempt - facts.now)},
            _("Nothing to do. Force delivers it at once."),
            "active",
        )
    if facts.turn and facts.turn > facts.now:
        return Why(
            _(
                "%(sender)s has handed in more than its share. It goes when nothing of others is due, in %(span)s"
                " at the latest."
            )
            % {"sender": facts.share_of, "span": _span(facts.turn - facts.now)},
            _("Nothing to do. Force, or high priority, has it delivered before."),
            "waiting",
        )
    checked = facts.status in (Status.VIRUS_CHECK, Status.SPAM_CHECK)
    if checked and facts.last_error and facts.next_attempt and facts.next_attempt > facts.now:
        return Why(
            _(
                "It waits for the %(status)s: %(error)s. It is looked at again in %(span)s;"
                " no attempt is counted meanwhile."
            )
            % {
                "status": _status(facts.status),
                "error": _short(stored_texts.said(facts.last_error)).rstrip("."),
                "span": _span(facts.next_attempt - facts.now),
            },
            _(
                "See on the page Antivirus or Antispam whether the engine answers, and what is done when it does not. "
                "Force has it asked at once."
            ),
            "waiting",
        )
    late = facts.next_attempt is not None and facts.now - facts.next_attempt > timedelta(minutes=2)
    if late and facts.next_attempt is not None:
        return Why(
            _("It has been due for %(span)s and no worker has taken it yet.")
            % {"span": _span(facts.now - facts.next_attempt)},
            _("See on the Jobs page whether workers are running and how long the queue is."),
            "bad",
        )
    return Why(_("It is due, and the next free worker takes it."), _("Nothing to do; look again shortly."), "active")


def _waiting(facts: Facts) -> Why:
    what = _who(facts)
    happened = _what_happened(facts)
    if facts.next_attempt is None:
        following = _("no further attempt is planned")
    elif facts.next_attempt <= facts.now:
        following = _("the next attempt is due now")
    else:
        following = _("the next attempt is in %(span)s") % {"span": _span(facts.next_attempt - facts.now)}
    said = {"what": what, "happened": happened, "following": following}
    sentence = _("%(what)s %(happened)s; %(following)s.")
    if facts.expires is not None:
        left = facts.expires - facts.now
        said["left"] = _span(left)
        sentence = (
            _("%(what)s %(happened)s; %(following)s. Bounces in %(left)s.")
            if left > timedelta(0)
            else _("%(what)s %(happened)s; %(following)s, the last one before it bounces.")
        )
    return Why(sentence % said, _advice(facts), "waiting")


def _who(facts: Facts) -> str:
    left, total = facts.open_recipients, facts.total_recipients
    if total <= 1:
        return _("Not delivered yet:")
    if left == total:
        return _("Not delivered to any of its %(total)s recipients yet:") % {"total": grouped(total)}
    return _("%(left)s of %(total)s recipients not delivered yet:") % {"left": grouped(left), "total": grouped(total)}


# What went wrong although there was a connection, or before one was tried; no answer of a host.
_OUR_WORDS = ("the connection to", "the message", "delivery failed", "the server was stopped", "the worker was")


def _what_happened(facts: Facts) -> str:
    last = facts.last_try
    tries = ngettext("after %(number)s attempt", "after %(number)s attempts", facts.attempts) % {
        "number": grouped(facts.attempts)
    }
    said = {"tries": tries}
    if facts.last_error.startswith(WAITS_FOR_HOST):
        said["reply"] = _short(stored_texts.said(facts.last_error.removeprefix(WAITS_FOR_HOST), is_ours=False))
        if facts.attempts:
            return _("%(tries)s it waits, as its host did not answer other mail (“%(reply)s”)") % said
        return _("it waits, as its host did not answer other mail (“%(reply)s”)") % said
    if facts.last_error.startswith((SLOWED, SUSPENDED)):
        text = stored_texts.said(facts.last_error)
        said["reason"] = _short(text.partition(": ")[2] or text)
        return (_("%(tries)s it waits, as %(reason)s") if facts.attempts else _("it waits, as %(reason)s")) % said
    if last is None:
        said["reply"] = _short(stored_texts.said(facts.last_error.strip()).rstrip("."))
        if not said["reply"]:
            return _("it has not been tried yet")
        return _("%(tries)s the last one failed with “%(reply)s”") % said
    host = last.host or _named(facts.domains) or _("the destination")
    is_past = facts.now - last.at >= timedelta(seconds=5)
    said["ago"] = _("%(span)s ago") % {"span": _span(facts.now - last.at)} if is_past else _("just now")
    said["where"] = f"{host} ({last.ip})" if last.ip and last.ip != host else host
    reply = last.reply if last.code else last.reply or facts.last_error
    said["reply"] = _short(stored_texts.said(reply, is_ours=is_here(last.host)))
    if last.code:
        sentence = _("%(tries)s %(where)s answered “%(reply)s” %(ago)s")
    elif reply.startswith(_OUR_WORDS):
        sentence = _("%(tries)s the last one, to %(where)s, failed %(ago)s (“%(reply)s”)")
    elif reply:
        sentence = _("%(tries)s %(where)s could not be reached %(ago)s (“%(reply)s”)")
    else:
        sentence = _("%(tries)s %(where)s could not be reached %(ago)s")
    return sentence % said


_ADVICE = (
    (
        r"greylist|graylist|4\.7\.1.*(again|later)|try again (in|after)",
        _lazy("This looks like greylisting, which the next attempt usually passes. Nothing to do."),
    ),
    (
        r"mailbox (is )?full|over quota|4\.2\.2|5\.2\.2|quota exceeded",
        _lazy("The recipient's mailbox is full. Wait, or tell the recipient by another way."),
    ),
    (
        r"reverse dns|\bptr\b|[45]\.7\.25\b",
        _lazy("The host wants the address that we send from to have a name in the DNS (PTR), which leads back to it."),
    ),
    (
        r"dmarc|\bspf\b|dkim|unauthenticated|[45]\.7\.2[0-7]\b",
        _lazy("The host could not make sure who sent it. See SPF, DKIM and DMARC of the sender's domain."),
    ),
    (
        r"nxdomain|no such domain|does not exist|no mx|null mx|dns|name resolution|not resolve",
        _lazy("Check the spelling of the domain and the DNS. When it is mended, Reset Retries starts over at once."),
    ),
    (
        r"tls|certificate|handshake",
        _lazy("Encryption with the host failed. See the TLS setting of its route, then Force."),
    ),
    (
        r"\brate|too many|throttl|\blimit|4\.7\.28|temporarily deferred",
        _lazy("The host limits how much it takes from us. Wait, or lower the connections of its route."),
    ),
    (
        r"blocked|blacklist|blocklist|reputation|spamhaus|listed",
        _lazy(
            "The host refuses our address. Ask for removal from its list, or redirect the message over another route."
        ),
    ),
    (r"authenticat|credential|5\.7\.8", _lazy("The host wants a login. See the route's user name and password.")),
    (
        r"refused|unreachable|timed out|timeout|in time|no route|could not connect|cannot connect|reset",
        _lazy(
            "The host is down or a firewall is between. When it is back, Force tries at once; Redirect sends it by"
            " another host."
        ),
    ),
)


# Those about the way to a host: by what it answered, it was reached.
_BY_US_ALONE = tuple(row for row in _ADVICE if row[0].startswith(("nxdomain", "refused")))


def _advice(facts: Facts) -> str:
    if facts.last_error.startswith(SLOWED):
        return _(
            "It goes in its turn. The page of the destination has the limit, why it is there, and what was answered."
        )
    if facts.last_error.startswith(SUSPENDED):
        return _("The page of the destination says why and until when, and resumes it. Force tries this message now.")
    said = facts.last_try.reply if facts.last_try else facts.last_error
    text = f"{facts.last_error} {said}".lower()
    # A host that "refused" is not down, and the "DNS" that it speaks of is not ours.
    patterns = _ADVICE if not is_smtp_reply(said) else [row for row in _ADVICE if row not in _BY_US_ALONE]
    for pattern, advice in patterns:
        if re.search(pattern, text):
            return str(advice)
    return _(
        "Force tries at once; Redirect sends it elsewhere; Delete ends it, with a bounce to the sender if you like."
    )


def _status(status: str) -> str:
    return str(Status(status).label) if status in Status.values else status


def _named(domains: tuple[str, ...]) -> str:
    if len(domains) > 2:
        return _("%(domain)s and %(number)s other domains") % {"domain": domains[0], "number": len(domains) - 1}
    return (" " + pgettext("between two domains", "and") + " ").join(domains)


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= 160 else f"{text[:159].rstrip()}…"


def _span(span: timedelta) -> str:
    """A span for people: the two largest units."""
    seconds = max(0, int(span.total_seconds()))
    if seconds < 60:
        return of_seconds(seconds)
    days, rest = divmod(seconds, 86_400)
    hours, rest = divmod(rest, 3600)
    minutes = rest // 60
    if days:
        return of_days(days) + (f" {of_hours(hours)}" if hours and days < 3 else "")
    if hours:
        return of_hours(hours) + (f" {of_minutes(minutes)}" if minutes else "")
    return of_minutes(minutes)
