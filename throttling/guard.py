"""The anomaly guard: once a minute it compares the last hour of users in guarded domains with their own past.

The past is the message trace of 30 days. Whoever is caught is caught once an hour at most, with the evidence; the undo
gives back what the guard took, and has it remember that so much is usual. Busy hours that nothing spoke against are
remembered for a year, for the trace is not kept so long. A user who has begun to send a day ago has no past: of those
only what is more than new users may send, and bounces, is too much. Who is caught is told so, and by whom.
"""

from __future__ import annotations

import ipaddress
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.message import EmailMessage

from django.db.models import Count, Max, Q
from django.db.models.functions import Coalesce, TruncHour
from django.utils import timezone, translation
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy
from django.utils.translation import gettext_noop as _noop

from accounts import actions as accounts_actions
from accounts.models import Login, Role, Status, ThrottleAction, User
from base.audit.subjects import subject_of
from base.edges import one_of_many
from base.facts import Fact, counted_fact, few, kept
from spool import languages
from spool.actions import Actor, NotAllowed, audit, perform
from spool.actions.verb import Tally
from spool.filters import SpoolFilter
from spool.models import Entry, ReceivedBounce, Trace
from spool.models.settings import current as spool_settings
from spool.rows import statements
from throttling import notices
from throttling.countries import country_of
from throttling.models import GuardAction, GuardEvent, GuardPeak, GuardPolicy
from throttling.subjects import Subject, SubjectKind

log = logging.getLogger(__name__)

_HOUR, _DAY, _PAST = timedelta(hours=1), timedelta(days=1), timedelta(days=30)
# A year, and the days by which a monthly or yearly mailing may be late.
_REMEMBERED = timedelta(days=400)
# So many times the new recipients of an earlier mailing are still one.
_AS_MANY = 2
_LEAST_PEAK = 10
REASON = "Caught by the anomaly guard"


@dataclass(frozen=True, slots=True)
class Behaviour:
    """One user's last hour, and what was usual before."""

    messages: int
    busiest_hour: int
    new_recipients: int
    bounces: int
    new_networks: Sequence[str]
    new_countries: Sequence[str]
    # What was usual earlier than the trace goes back (GuardPeak), and whether there is no past at all.
    remembered_hour: int = 0
    remembered_recipients: int = 0
    is_new: bool = False

    @property
    def usual(self) -> int:
        """Messages in the busiest hour that is known."""
        return max(self.busiest_hour, self.remembered_hour)


def look(now: datetime) -> list[GuardEvent]:
    """Catch those who are far above their own past; the events that this made."""
    caught = []
    for policy in GuardPolicy.objects.filter(enabled=True).select_related("domain"):
        for address in _busy(policy, now):
            with one_of_many(log, "the guard could not look at %s", address):
                behaviour = behaviour_of(address, now)
                found = evidence(policy, behaviour)
                if found:
                    caught.append(_catch(policy, address, behaviour, found, now))
                else:
                    remember(address, behaviour.messages, behaviour.new_recipients, now)
    return caught


def remember(address: str, messages: int, new_recipients: int, now: datetime) -> None:
    """That so much in an hour is nothing unusual for a user."""
    peak, is_first = GuardPeak.objects.get_or_create(
        user=address, day=now.date(), defaults={"messages": messages, "new_recipients": new_recipients}
    )
    if not is_first and (messages > peak.messages or new_recipients > peak.new_recipients):
        peak.messages = max(peak.messages, messages)
        peak.new_recipients = max(peak.new_recipients, new_recipients)
        peak.save(update_fields=["messages", "new_recipients"])


def forget(now: datetime) -> None:
    """Drop what was remembered for long enough."""
    GuardPeak.objects.filter(day__lt=(now - _REMEMBERED).date()).delete()


def evidence(policy: GuardPolicy, behaviour: Behaviour) -> list[Fact]:
    """What speaks against a user, in sentences; empty when nothing does."""
    found: list[Fact] = []
    if behaviour.messages < policy.least_messages:
        return found
    most = policy.factor * max(behaviour.usual, 1)
    if behaviour.messages > (max(most, policy.new_user_messages) if behaviour.is_new else most):
        said = (
            _noop("Sent %(sent)s messages in the last hour; the busiest hour of the 30 days before had %(usual)s.")
            if behaviour.busiest_hour >= behaviour.remembered_hour
            else _noop("Sent %(sent)s messages in the last hour; the busiest hour of the year before had %(usual)s.")
        )
        found.append(Fact(said, "", {"sent": behaviour.messages, "usual": behaviour.usual}))
    is_usual = behaviour.new_recipients <= _AS_MANY * behaviour.remembered_recipients
    if 0 < policy.new_recipients <= behaviour.new_recipients and not (is_usual or behaviour.is_new):
        found.append(
            counted_fact(
                "Wrote to %(number)s recipient never written to in the 30 days before.",
                "Wrote to %(number)s recipients never written to in the 30 days before.",
                behaviour.new_recipients,
            )
        )
    if 0 < policy.bounces <= behaviour.bounces:
        found.append(
            counted_fact(
                "Got %(number)s bounce in the last hour.",
                "Got %(number)s bounces in the last hour.",
                behaviour.bounces,
            )
        )
    if behaviour.is_new:
        return found
    networks, countries = policy.new_networks, policy.new_countries
    if networks and countries and behaviour.new_countries:
        # Another network is another provider; in another country it is how others use an account. It names the country.
        networks = 1
    if 0 < networks <= len(behaviour.new_networks):
        found.append(
            counted_fact(
                "Sent or logged in from %(number)s network not seen in the 30 days before: %(names)s.",
                "Sent or logged in from %(number)s networks not seen in the 30 days before: %(names)s.",
                len(behaviour.new_networks),
                names=few(behaviour.new_networks, _MOST_SHOWN),
            )
        )
    if 0 < countries <= len(behaviour.new_countries):
        found.append(
            counted_fact(
                "Sent or logged in from %(number)s country not seen in the 30 days before: %(names)s.",
                "Sent or logged in from %(number)s countries not seen in the 30 days before: %(names)s.",
                len(behaviour.new_countries),
                names=few(behaviour.new_countries, _MOST_SHOWN),
            )
        )
    return found


# Of senders that one user writes as.
_MOST_NAMES = 100
_MOST_SHOWN = 5


def behaviour_of(address: str, now: datetime) -> Behaviour:
    """By the trace, by what is still in the spool, by the bounces, and by the logins."""
    hour, past = now - _HOUR, now - _PAST
    recent = Trace.objects.filter(auth_user=address, ended__gt=hour)
    # The trace of a month is found by sender: by whatever names the user has used now, aliases for example. Whoever may
    # send as anybody has more.
    names = {address, *recent.order_by().values_list("sender", flat=True).distinct()[:_MOST_NAMES]}
    mine = Trace.objects.filter(Q(sender__in=names) | Q(sender_key__in=names), auth_user=address)
    before = mine.filter(ended__lte=hour, ended__gt=past)
    waiting = Entry.objects.filter(auth_user=address, created__gt=hour)
    gone = recent.filter(created__gt=hour).values("file_name").distinct()
    hours = before.annotate(hour=TruncHour("ended")).values("hour").annotate(n=Count("file_name", distinct=True))
    recent, before = (rows.annotate(whom=Coalesce("recipient_key", "recipient")) for rows in (recent, before))
    known = before.values("whom")
    logins = Login.objects.filter(user__email=address, last__gt=past)
    peaks = GuardPeak.objects.filter(user=address, day__lt=now.date())
    remembered = peaks.aggregate(messages=Max("messages"), new_recipients=Max("new_recipients"))
    earlier = {*_addresses(before), *logins.filter(first__lte=hour).values_list("ip", flat=True)}
    lately = {*_addresses(recent), *_addresses(waiting), *logins.filter(last__gt=hour).values_list("ip", flat=True)}
    return Behaviour(
        messages=gone.exclude(file_name__in=waiting.values("file_name")).count() + waiting.count(),
        busiest_hour=max((row["n"] for row in hours), default=0),
        new_recipients=recent.exclude(whom__in=known).values("whom").distinct().count(),
        bounces=ReceivedBounce.objects.filter(user=address, received__gt=hour).count(),
        new_networks=_with_countries(_networks(lately) - _networks(earlier)),
        new_countries=sorted(_countries(lately) - _countries(earlier)),
        remembered_hour=remembered["messages"] or 0,
        remembered_recipients=remembered["new_recipients"] or 0,
        is_new=remembered["messages"] is None and not before.filter(ended__lte=now - _DAY).exists(),
    )


def undo(actor: Actor, event: GuardEvent) -> str:
    """Give a user back what the guard took, and let go what it put on hold; a sentence. Raises NotAllowed."""
    if actor.role is not Role.SYSTEM_ADMINISTRATOR and not (
        actor.role is Role.DOMAIN_ADMINISTRATOR and actor.domain == event.domain
    ):
        raise NotAllowed(_("Only an administrator of the domain may do that."))
    user = User.objects.filter(email=event.user).first()
    if user is not None:
        actor.require_user(user)
    now = timezone.now()
    if not GuardEvent.objects.filter(pk=event.pk, undone=None).update(undone=now, undone_by=actor.name[:254]):
        return _("%(user)s: that has been undone already.") % {"user": event.user}
    if event.dry_run:
        return _("%(user)s: it was a dry run, nothing had been done.") % {"user": event.user}
    written = audit.begin(actor, "guard undo", event.user, matched=1, about=subject_of(user) if user else None)
    if user is not None:
        accounts_actions.change(user, actor=actor, action="guard undo", **event.before)
    if event.action != GuardAction.DELAY:
        held = Entry.objects.filter(auth_user=event.user, hold=True, hold_reason=REASON)
        perform("release", list(held.values_list("pk", flat=True)), Actor.system())
    # The day before: what is of today is not yet the past.
    remember(event.user, event.messages, event.new_recipients, now - _DAY)
    audit.end(written, Tally(1))
    return _("%(user)s has back what the guard had taken.") % {"user": event.user}


def _busy(policy: GuardPolicy, now: datetime) -> list[str]:
    """Users whom the policy is about who have sent enough in the last hour, and were not caught within it."""
    hour = now - _HOUR
    others: set[str] = set()
    if policy.domain is not None:
        of_domain = Q(auth_user__endswith=f"@{policy.domain.name}")
    else:
        of_domain = ~Q(auth_user="")
        others = set(GuardPolicy.objects.exclude(domain=None).values_list("domain__name", flat=True))
    sent: dict[str, int] = {}
    for rows in (
        Trace.objects.filter(of_domain, ended__gt=hour)
        .values("auth_user")
        .annotate(n=Count("file_name", distinct=True)),
        Entry.objects.filter(of_domain, created__gt=hour).values("auth_user").annotate(n=Count("pk")),
    ):
        for row in rows.order_by():
            sent[row["auth_user"]] = sent.get(row["auth_user"], 0) + row["n"]
    exempt = set(policy.exempt.values_list("email", flat=True))
    busy = [
        address
        for address, count in sent.items()
        if count >= policy.least_messages and address not in exempt and _domain_of(address) not in others
    ]
    caught = set(GuardEvent.objects.filter(user__in=busy, at__gt=hour).values_list("user", flat=True))
    return sorted(set(busy) - caught)


def _catch(policy: GuardPolicy, address: str, behaviour: Behaviour, found: list[Fact], now: datetime) -> GuardEvent:
    event = GuardEvent(
        user=address,
        domain=_domain_of(address),
        at=now,
        action=policy.action,
        dry_run=policy.dry_run,
        evidence=kept(found),
        messages=behaviour.messages,
        new_recipients=behaviour.new_recipients,
    )
    user = User.objects.filter(email=address).first()
    if user is not None and not policy.dry_run:
        event.before = _take(user, policy, behaviour)
    with statements.write_transaction():
        event.save()
    if user is not None and not policy.dry_run and policy.action != GuardAction.DELAY:
        perform("hold", SpoolFilter(auth_user=address, hold=False), Actor.system(), reason=REASON)
    _tell(event)
    why = " ".join(one.english for one in found)
    log.warning("the guard has caught %s%s: %s", address, " (dry run)" if policy.dry_run else "", why)
    return event


def _domain_of(address: str) -> str:
    """The domain of a user's address."""
    return address.rpartition("@")[2]


def _tell(event: GuardEvent) -> None:
    """The domain's administrators, or the postmaster where there are none; and the user, of what was really done."""
    subject = Subject(SubjectKind.USER, event.user)
    addresses = notices.readers(subject)
    if not any(address != event.user for address in addresses) and (postmaster := spool_settings().postmaster):
        addresses.append(postmaster)
    for address in addresses:
        of_the_user = address == event.user
        if of_the_user and event.dry_run:
            continue
        with translation.override(languages.of_address(address)):
            message = _notice(event, address, of_the_user=of_the_user)
        notices.post(message, address, f"what the guard did to {event.user}")


def _notice(event: GuardEvent, address: str, *, of_the_user: bool) -> EmailMessage:
    said = _lazy("The anomaly guard has only looked at %(user)s") if event.dry_run else _DONE[event.action]
    title = str(said) % {"user": event.user}
    lines = [f"{title}.", "", _("Why:"), *(f"- {sentence}" for sentence in event.said), ""]
    if event.dry_run:
        lines.append(_("Its policy is a dry run: nothing was done."))
    elif of_the_user:
        lines.append(_("If you did not send that, somebody else may be using your account: change the password."))
        lines.append(_("If you did, ask your administrator, who can take it back."))
    else:
        lines.append(_("If that was meant, take it back on the console's page Anomaly guard: it will be usual then."))
        lines.append(_("Users who send mailings can be made exempt in the domain's guard policy."))
    return notices.notice(address, title, lines)


_DONE = {
    GuardAction.DELAY.value: _lazy("The anomaly guard has slowed down %(user)s"),
    GuardAction.HOLD.value: _lazy("The anomaly guard has held the mail of %(user)s"),
    GuardAction.DISABLE.value: _lazy("The anomaly guard has disabled %(user)s"),
}


def _take(user: User, policy: GuardPolicy, behaviour: Behaviour) -> dict[str, object]:
    """Limit or disable a user; what was before."""
    if policy.action == GuardAction.DISABLE:
        before: dict[str, object] = {"status": user.status}
        accounts_actions.set_user_status(Actor.system(), user, Status.RECEIVING)
        return before
    before = {"messages_per_hour": user.messages_per_hour, "messages_action": user.messages_action}
    usual = max(behaviour.usual, _LEAST_PEAK)
    limit = min(usual, user.messages_per_hour) if user.messages_per_hour else usual
    accounts_actions.change(user, action="guard", messages_per_hour=limit, messages_action=ThrottleAction.DELAY)
    return before


def _addresses(rows: object) -> Iterable[str]:
    return rows.order_by().values_list("client_ip", flat=True).distinct()  # type: ignore[attr-defined, no-any-return]


def _with_countries(networks: Iterable[str]) -> list[str]:
    """ "198.51.100.0/24 (Netherlands)"."""
    return [
        f"{network} ({country})" if (country := country_of(network.partition("/")[0])) else network
        for network in sorted(networks)
    ]


def _countries(addresses: Iterable[str]) -> set[str]:
    return {country for address in addresses if (country := country_of(address))}


def _networks(addresses: Iterable[str]) -> set[str]:
    """The networks that clients were in: what a provider gives one customer or one place."""
    found = set()
    for text in addresses:
        try:
            address = ipaddress.ip_address(text)
        except ValueError:
            continue
        found.add(str(ipaddress.ip_network((address, 24 if address.version == 4 else 48), strict=False)))
    return found
