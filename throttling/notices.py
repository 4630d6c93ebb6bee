"""Mail to users and domain administrators when a limit comes close and when it is reached: once an hour at most."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from datetime import datetime, timedelta
from email.message import EmailMessage
from email.utils import format_datetime, make_msgid

from django.conf import settings as django_settings
from django.db.models import Q
from django.utils import timezone, translation
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy

from accounts import directory
from accounts.directory import LocalList
from accounts.models import Metric, Role, Status, ThrottleAction, User
from base.expiring import ExpiringSet
from spool import languages
from spool.addressing import RefusedRecipient, accept
from spool.flow import intake
from spool.message.envelope import Envelope, Submission
from spool.models.entry import Origin
from spool.models.settings import current as spool_settings
from spool.rows import statements
from throttling.models import ThrottleNotice, ThrottleSettings
from throttling.subjects import Subject, SubjectKind
from throttling.wording import Reached, amount, reason

log = logging.getLogger(__name__)

CLOSE, FULL = 80, 100
_AGAIN = timedelta(hours=1)
_LOOK_SECONDS = 60.0
# Of what this process has just looked whether a notice is due.
_looked: ExpiringSet[tuple[Subject, Metric, int]] = ExpiringSet(_LOOK_SECONDS)

_WHAT_HAPPENS = {
    ThrottleAction.NONE: _lazy("More is sent all the same; it is only recorded."),
    ThrottleAction.DELAY: _lazy("What is sent beyond it waits, and goes by itself, in order, as the limit allows."),
    ThrottleAction.REJECT: _lazy("What is sent beyond it is not accepted, and stays in the program that sends it."),
}


def consider(reached: Iterable[Reached]) -> None:
    """Tell of each limit that is close or reached, unless that was told within the hour."""
    for one in reached:
        level = FULL if one.over or one.used >= one.limit.amount else CLOSE
        if not one.over and not is_close(one.used, one.limit.amount):
            continue
        if one.subject.kind is SubjectKind.IP or not _looked.is_new((one.subject, one.limit.metric, level)):
            continue
        if _claim(one, level, timezone.now()):
            _send(one, level)


def is_close(used: int, limit: int) -> bool:
    """Whether there may be something to tell of."""
    return 100 * used >= CLOSE * limit


def forget() -> None:
    """Drop what this process remembers."""
    _looked.clear()


def _claim(one: Reached, level: int, now: datetime) -> bool:
    """Whether it is for us to tell: of all processes one, once an hour."""
    which = {"kind": one.subject.kind, "name": one.subject.name, "metric": one.limit.metric, "level": level}
    with statements.write_transaction():
        if ThrottleNotice.objects.filter(**which, sent__lte=now - _AGAIN).update(sent=now):
            return True
        _, is_new = ThrottleNotice.objects.get_or_create(**which, defaults={"sent": now})
    return is_new


def _send(one: Reached, level: int) -> None:
    for address in readers(one.subject):
        with translation.override(languages.of_address(address)):
            message = _compose(one, level, address)
        post(message, address, f"the limit of {one.subject}")


def post(message: EmailMessage, address: str, of: str) -> None:
    """Send a notice to an address of ours, as far as it takes mail."""
    try:
        recipients = accept(address, notify="NEVER")
        envelope = Envelope("", recipients, origin=Origin.DSN, smtputf8=not address.isascii(), eight_bit=True)
        content = message.as_bytes(policy=message.policy.clone(linesep="\r\n", max_line_length=998))
        intake.accept([Submission(envelope, content)])
    except (RefusedRecipient, intake.IntakeError) as error:
        log.warning("%s could not be told of %s: %s", address, of, error)


def readers(subject: Subject) -> list[str]:
    """Who is told: the user, or the list's owner; and the administrators of the domain."""
    wanted: dict[str, None] = {}
    settings = ThrottleSettings.current()
    if settings.notify_users and subject.kind is SubjectKind.USER:
        wanted[subject.name] = None
    if settings.notify_users and subject.kind is SubjectKind.LIST:
        found = directory.lookup(subject.name)
        if isinstance(found, LocalList) and found.owner:
            wanted[found.owner] = None
    if settings.notify_administrators:
        administrators = User.objects.filter(
            ~Q(status=Status.DISABLED), domain__name=subject.domain, role=Role.DOMAIN_ADMINISTRATOR
        )
        wanted.update(dict.fromkeys(administrators.order_by("email").values_list("email", flat=True)))
    return list(wanted)


def notice(address: str, subject: str, lines: Iterable[str]) -> EmailMessage:
    """A message of this server's to an address of ours."""
    hostname = django_settings.MAILSPOOL_HOSTNAME
    message = EmailMessage()
    message["From"] = f"Mailspool <{spool_settings().postmaster or f'postmaster@{hostname}'}>"
    message["To"] = address
    message["Subject"] = subject
    message["Date"] = format_datetime(timezone.localtime())
    message["Message-ID"] = make_msgid(domain=hostname)
    message["Auto-Submitted"] = "auto-generated"
    message.set_content("\n".join(lines))
    return message


def _compose(one: Reached, level: int, address: str) -> EmailMessage:
    limit = one.limit
    about = {"metric": limit.metric.label, "who": one.subject, "percent": CLOSE}
    title = (
        _("%(metric)s: the limit of %(who)s is reached")
        if level == FULL
        else _("%(metric)s: the limit of %(who)s is used to %(percent)s %%")
    )
    lines = [
        _("%(reason)s (%(metric)s: %(limit)s an hour).")
        % {"reason": reason(one), "metric": limit.metric.label, "limit": amount(limit.metric, limit.amount)},
        "",
        str(_WHAT_HAPPENS[limit.action]),
    ]
    if one.until is not None:
        lines.append(
            _("There is room again at about %(time)s.") % {"time": f"{timezone.localtime(one.until):%H:%M %Z}"}
        )
    lines += [
        "",
        _("If nobody meant to send that much, change the password: somebody else may be using the account."),
        "",
        _("This message comes at most once an hour, from %(host)s.") % {"host": django_settings.MAILSPOOL_HOSTNAME},
    ]
    return notice(address, title % about, lines)
