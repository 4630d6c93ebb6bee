"""What a delivery status notification says to people: its subject and its first part."""

from __future__ import annotations

import textwrap
from datetime import UTC, datetime, timedelta
from typing import Final

from django.utils.formats import date_format
from django.utils.translation import get_language, ngettext
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy

from base.languages import SOURCE
from base.numbers import grouped
from base.texts import Text
from base.times import of_days, of_hours, of_minutes
from spool.dsn.fields import date, is_smtp_reply, one_line, smtp_code
from spool.dsn.report import Action, Report, ReportedRecipient, Returned

_WIDTH = 76
# The report part names them all; people need not scroll through a thousand.
_MOST_SHOWN = 100
_LONGEST_SUBJECT = 120

_SUBJECT_PREFIX: Final = {
    Action.FAILED: _lazy("Not delivered"),
    Action.DELAYED: _lazy("Delayed"),
    Action.DELIVERED: _lazy("Delivered"),
    Action.RELAYED: _lazy("Handed on"),
    Action.EXPANDED: _lazy("Handed on"),
}

# By RFC 3463 subject and detail, the more exact one first. What the recipient's mail server answered:
_ADVICE_BY_HOST: Final = (
    (("1.1", "1.3", "1.6"), _lazy("Check the address for a typing error; the mailbox may no longer exist.")),
    (("1.2", "1.10"), _lazy("Check the part of the address after the @: that domain takes no mail.")),
    (("1.7", "1.8"), _lazy("The other side refuses your own address as sender; ask your administrator.")),
    (("1.4",), _lazy("The address means more than one mailbox; write it in full.")),
    (("2.1",), _lazy("The mailbox is closed; reach the recipient in another way.")),
    (("2.2",), _lazy("The mailbox is full; try later, or reach the recipient in another way.")),
    (("2.3", "3.4"), _lazy("The message is too large; send it without attachments, or send a link to them.")),
    (("3.2",), _lazy("That mail server takes no mail, or none now; try later, or reach the recipient in another way.")),
    (("4.6",), _lazy("Mail to this address goes round in circles; tell the postmaster of its domain.")),
    (
        ("7.4", "7.5", "7.6", "7.7", "7.8", "7.9", "7.10", "7.11", "7.12"),
        _lazy("The other side asks our mail server for something that it did not do; tell your administrator."),
    ),
    (
        ("7.20", "7.21", "7.22", "7.23", "7.24", "7.25", "7.26", "7.27", "7.29", "7.30"),
        _lazy(
            "The other side can't make sure that the message comes from you; tell your administrator, who can"
            " mend that."
        ),
    ),
    (("7.",), _lazy("The message was refused by a rule of the other side; ask the recipient to have it allowed.")),
    (("6.7",), _lazy("The other side takes no addresses beyond ASCII; ask the recipient for another address.")),
    (("6.",), _lazy("The other side can't read a part of the message; send it as plain text or in another format.")),
    (
        ("3.", "4."),
        _lazy("The recipient's mail server has trouble of its own; try later, or reach them in another way."),
    ),
)
# What this server found or decided itself.
_ADVICE_BY_US: Final = (
    (("1.1", "1.3", "1.6"), _lazy("Check the address for a typing error; the mailbox may no longer exist.")),
    (("1.2", "1.10", "4.4"), _lazy("Check the part of the address after the @: that domain takes no mail.")),
    (("2.1",), _lazy("The mailbox is closed; reach the recipient in another way.")),
    (("2.2",), _lazy("The mailbox is full; try later, or reach the recipient in another way.")),
    (("2.3", "3.4"), _lazy("The message is too large; send it without attachments, or send a link to them.")),
    (("4.6",), _lazy("Mail to this address goes round in circles; tell the postmaster of its domain.")),
    (
        ("6.7",),
        _lazy(
            "That mail server takes no addresses beyond ASCII: ask the recipient for another address; if your own has"
            " such letters, write from another one."
        ),
    ),
    (
        ("4.1", "4.2", "4.3", "4.7"),
        _lazy("The recipient's mail server can't be reached; try later, or in another way."),
    ),
)
_ADVICE_OTHERWISE: Final = _lazy(
    "If the reason given does not help, ask %(postmaster)s, who looks after this mail server."
)
_ADVICE_LATE: Final = _lazy(
    "The recipient's mail server did not take the message at any time; reach the recipient in another way."
)


def subject_of(report: Report) -> str:
    """The Subject, with that of the original message so that its sender knows which one it was."""
    original = one_line(report.subject, _LONGEST_SUBJECT)
    about = {"event": _SUBJECT_PREFIX[report.action], "subject": original or _("your message")}
    return _("%(event)s: %(subject)s") % about


def text_of(report: Report, returned: Returned) -> str:
    """The first part: what happened, to whom, who said so, what comes next. Lines end with LF."""
    shown = report.recipients[:_MOST_SHOWN]
    paragraphs = [
        _("This is the mail server %(name)s.") % {"name": one_line(report.reporting_mta, 255)},
        _opening(report),
        *(_about(recipient, report) for recipient in shown),
    ]
    if hidden := len(report.recipients) - len(shown):
        paragraphs.append(
            ngettext(
                "and %(number)s more, who is named in the attached report.",
                "and %(number)s more, who are named in the attached report.",
                hidden,
            )
            % {"number": grouped(hidden)}
        )
    paragraphs += _advice(report)
    if returned is not Returned.NOTHING:
        paragraphs.append(
            _("Your message is attached, after a report for mail programs.")
            if returned is Returned.MESSAGE
            else _("The header of your message is attached, after a report for mail programs.")
        )
    return "\n\n".join(paragraphs) + "\n"


def _opening(report: Report) -> str:
    subject = one_line(report.subject, _LONGEST_SUBJECT)
    message = _("Your message, accepted on %(date)s,") % {"date": _date(report.arrival)}
    if subject:
        # What a sender wrote is put into a text, and is never one.
        message = _('Your message "%(subject)s", accepted on %(date)s,') % {
            "subject": subject,
            "date": _date(report.arrival),
        }
    about = {"message": message}
    match report.action:
        case Action.FAILED:
            return _wrapped(_("%(message)s could not be delivered to the following recipients.") % about)
        case Action.DELAYED:
            until = max((r.retry_until for r in report.recipients if r.retry_until), default=None)
            said = _(
                "%(message)s could not be delivered yet to the following recipients. You need not send it again:"
                " delivery will be tried, and you will be told if it fails."
            )
            if until:
                about["until"] = _date(until)
                said = _(
                    "%(message)s could not be delivered yet to the following recipients. You need not send it again:"
                    " delivery will be tried until %(until)s, and you will be told if it fails."
                )
            return _wrapped(said % about)
        case Action.DELIVERED:
            return _wrapped(
                _("%(message)s was delivered to the following recipients, as you asked to be told.") % about
            )
        case _:
            said = _(
                "%(message)s was handed on for the following recipients. The other side sends no notice of delivery,"
                " so this may be the last that you hear of it."
            )
            return _wrapped(said % about)


def _about(recipient: ReportedRecipient, report: Report) -> str:
    lines = [one_line(recipient.address, 320)]
    if recipient.original and recipient.original != recipient.address:
        lines[0] += " " + _("(you wrote %(address)s)") % {"address": one_line(recipient.original, 320)}
    if recipient.expired:
        duration = _duration(report.date - max(report.arrival, report.release or report.arrival))
        given_up = ngettext(
            "Given up: tried once in %(duration)s. The last time:",
            "Given up: tried %(number)s times in %(duration)s. The last time:",
            report.attempts,
        )
        lines.append(f"    {given_up % {'number': grouped(report.attempts), 'duration': duration}}")
    if reply := one_line(recipient.reply, 600):
        if recipient.host and is_smtp_reply(reply):
            reply = _("%(host)s answered: %(reply)s") % {"host": one_line(recipient.host, 255), "reply": reply}
        lines.append(_wrapped(reply, "    "))
    return "\n".join(lines)


def _advice(report: Report) -> list[str]:
    """One line for each kind of failure, in the order of the recipients."""
    if report.action is not Action.FAILED:
        return []
    otherwise = _ADVICE_OTHERWISE % {"postmaster": one_line(report.postmaster, 320)}
    kinds = dict.fromkeys(str(_advice_for(recipient)) or otherwise for recipient in report.recipients)
    return [_("What you can do:") + "\n" + "\n".join(_wrapped(f"- {advice}", "  ", first="") for advice in kinds)]


def _advice_for(recipient: ReportedRecipient) -> Text:
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
    for size, in_words in ((1440, of_days), (60, of_hours), (1, of_minutes)):
        if minutes >= size and (minutes >= 2 * size or size == 1):
            return in_words(round(minutes / size))
    return _("less than a minute")


def _date(moment: datetime) -> str:
    """In UTC, as in the header: the servers of one installation may stand in different zones."""
    moment = moment.astimezone(UTC)
    # English has the header's own form, which every reader of mail knows.
    return date(moment) if get_language() == SOURCE else date_format(moment, "DATETIME_FORMAT")
