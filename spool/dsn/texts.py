"""What a delivery status notification says to people: its subject and its first part."""

from __future__ import annotations

import textwrap
from datetime import timedelta
from typing import Final

from spool.dsn.fields import date, is_smtp_reply, one_line, smtp_code
from spool.dsn.report import Action, Report, ReportedRecipient, Returned

_WIDTH = 76
# The report part names them all; people need not scroll through a thousand.
_MOST_SHOWN = 100
_LONGEST_SUBJECT = 120

_SUBJECT_PREFIX: Final = {
    Action.FAILED: "Not delivered",
    Action.DELAYED: "Delayed",
    Action.DELIVERED: "Delivered",
    Action.RELAYED: "Handed on",
    Action.EXPANDED: "Handed on",
}

# By RFC 3463 subject and detail, the more exact one first. What the recipient's mail server answered:
_ADVICE_BY_HOST: Final = (
    (("1.1", "1.3", "1.6"), "Check the address for a typing error; the mailbox may no longer exist."),
    (("1.2", "1.10"), "Check the part of the address after the @: that domain takes no mail."),
    (("1.7", "1.8"), "The other side refuses your own address as sender; ask your administrator."),
    (("1.4",), "The address means more than one mailbox; write it in full."),
    (("2.1",), "The mailbox is closed; reach the recipient in another way."),
    (("2.2",), "The mailbox is full; try later, or reach the recipient in another way."),
    (("2.3", "3.4"), "The message is too large; send it without attachments, or send a link to them."),
    (("3.2",), "That mail server takes no mail, or none now; try later, or reach the recipient in another way."),
    (("4.6",), "Mail to this address goes round in circles; tell the postmaster of its domain."),
    (
        ("7.4", "7.5", "7.6", "7.7", "7.8", "7.9", "7.10", "7.11", "7.12"),
        "The other side asks our mail server for something that it did not do; tell your administrator.",
    ),
    (
        ("7.20", "7.21", "7.22", "7.23", "7.24", "7.25", "7.26", "7.27", "7.29", "7.30"),
        "The other side can't make sure that the message comes from you; tell your administrator, who can mend that.",
    ),
    (("7.",), "The message was refused by a rule of the other side; ask the recipient to have it allowed."),
    (("6.7",), "The other side takes no addresses beyond ASCII; ask the recipient for another address."),
    (("6.",), "The other side can't read a part of the message; send it as plain text or in another format."),
    (("3.", "4."), "The recipient's mail server has trouble of its own; try later, or reach them in another way."),
)
# What this server found or decided itself.
_ADVICE_BY_US: Final = (
    (("1.1", "1.3", "1.6"), "Check the address for a typing error; the mailbox may no longer exist."),
    (("1.2", "1.10", "4.4"), "Check the part of the address after the @: that domain takes no mail."),
    (("2.1",), "The mailbox is closed; reach the recipient in another way."),
    (("2.2",), "The mailbox is full; try later, or reach the recipient in another way."),
    (("2.3", "3.4"), "The message is too large; send it without attachments, or send a link to them."),
    (("4.6",), "Mail to this address goes round in circles; tell the postmaster of its domain."),
    (
        ("6.7",),
        "That mail server takes no addresses beyond ASCII: ask the recipient for another address; if your own has such"
        " letters, write from another one.",
    ),
    (("4.1", "4.2", "4.3", "4.7"), "The recipient's mail server can't be reached; try later, or in another way."),
)
_ADVICE_OTHERWISE: Final = "If the reason given does not help, ask {postmaster}, who looks after this mail server."
_ADVICE_LATE: Final = (
    "The recipient's mail server did not take the message at any time; reach the recipient in another way."
)


def subject_of(report: Report) -> str:
    """The Subject, with that of the original message so that its sender knows which one it was."""
    original = one_line(report.subject, _LONGEST_SUBJECT)
    return f"{_SUBJECT_PREFIX[report.action]}: {original or 'your message'}"


def text_of(report: Report, returned: Returned) -> str:
    """The first part: what happened, to whom, who said so, what comes next. Lines end with LF."""
    shown = report.recipients[:_MOST_SHOWN]
    paragraphs = [
        f"This is the mail server {one_line(report.reporting_mta, 255)}.",
        _opening(report),
        *(_about(recipient, report) for recipient in shown),
    ]
    if hidden := len(report.recipients) - len(shown):
        paragraphs.append(f"and {hidden} more, who are named in the attached report.")
    paragraphs += _advice(report)
    if returned is not Returned.NOTHING:
        what = "Your message" if returned is Returned.MESSAGE else "The header of your message"
        paragraphs.append(f"{what} is attached, after a report for mail programs.")
    return "\n\n".join(paragraphs) + "\n"


def _opening(report: Report) -> str:
    subject = one_line(report.subject, _LONGEST_SUBJECT)
    message = f'Your message "{subject}"' if subject else "Your message"
    message += f", accepted on {date(report.arrival)},"
    match report.action:
        case Action.FAILED:
            return _wrapped(f"{message} could not be delivered to the following recipients.")
        case Action.DELAYED:
            until = max((r.retry_until for r in report.recipients if r.retry_until), default=None)
            promise = f" until {date(until)}" if until else ""
            return _wrapped(
                f"{message} could not be delivered yet to the following recipients. You need not send it again:"
                f" delivery will be tried{promise}, and you will be told if it fails."
            )
        case Action.DELIVERED:
            return _wrapped(f"{message} was delivered to the following recipients, as you asked to be told.")
        case _:
            return _wrapped(
                f"{message} was handed on for the following recipients. The other side sends no notice of delivery,"
                " so this may be the last that you hear of it."
            )


def _about(recipient: ReportedRecipient, report: Report) -> str:
    lines = [one_line(recipient.address, 320)]
    if recipient.original and recipient.original != recipient.address:
        lines[0] += f" (you wrote {one_line(recipient.original, 320)})"
    if recipient.expired:
        duration = _duration(report.date - report.arrival)
        times = "once" if report.attempts == 1 else f"{report.attempts} times"
        lines.append(f"    Given up: tried {times} in {duration}. The last time:")
    if reply := one_line(recipient.reply, 600):
        said_by = f"{one_line(recipient.host, 255)} answered: " if recipient.host and is_smtp_reply(reply) else ""
        lines.append(_wrapped(said_by + reply, "    "))
    return "\n".join(lines)


def _advice(report: Report) -> list[str]:
    """One line for each kind of failure, in the order of the recipients."""
    if report.action is not Action.FAILED:
        return []
    otherwise = _ADVICE_OTHERWISE.format(postmaster=one_line(report.postmaster, 320))
    kinds = dict.fromkeys(_advice_for(recipient) or otherwise for recipient in report.recipients)
    return ["What you can do:\n" + "\n".join(_wrapped(f"- {advice}", "  ", first="") for advice in kinds)]


def _advice_for(recipient: ReportedRecipient) -> str:
    """What helps against that failure, or ""."""
    # "Expired" says how it ended; the last reply, when it has a code, says why.
    code = smtp_code(recipient.reply)
    if recipient.expired and recipient.host and not code:
        return _ADVICE_LATE
    detail = (code or recipient.status).partition(".")[2]
    for starts, advice in _ADVICE_BY_HOST if recipient.host else _ADVICE_BY_US:
        if any(detail == start or start.endswith(".") and detail.startswith(start) for start in starts):
            return advice
    return ""


def _wrapped(text: str, indent: str = "", first: str | None = None) -> str:
    return textwrap.fill(
        text,
        _WIDTH,
        initial_indent=indent if first is None else first,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _duration(span: timedelta) -> str:
    """As people say it: 4 days, 3 hours, 20 minutes."""
    minutes = max(0, round(span.total_seconds() / 60))
    for size, unit in ((1440, "day"), (60, "hour"), (1, "minute")):
        if minutes >= size and (minutes >= 2 * size or size == 1):
            count = round(minutes / size)
            return f"{count} {unit}{'s' if count != 1 else ''}"
    return "less than a minute"
