"""Throttle events as a page shows them: a number of queries that does not grow with the page."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from django.db.models import Count
from django.urls import reverse

from accounts.directory import bounces_address
from accounts.models import Domain, MailingList, Metric, User
from spool.models.entry import Status
from throttling.counting.replay import share
from throttling.events import subject_of
from throttling.models import HeldEntry, ThrottleEvent
from throttling.subjects import Subject, SubjectKind
from throttling.wording import amount


@dataclass(frozen=True, slots=True)
class Row:
    """One event with what a page says of it. Links are empty where there is nothing to lead to."""

    event: ThrottleEvent
    used: str
    limit: str
    percent: int
    tone: str
    held: int
    messages_link: str
    account_link: str
    domain_link: str

    @property
    def is_user(self) -> bool:
        return self.event.kind == SubjectKind.USER

    @property
    def is_list(self) -> bool:
        return self.event.kind == SubjectKind.LIST

    @property
    def can_be_raised(self) -> bool:
        return self.event.kind != SubjectKind.IP

    @property
    def bar(self) -> int:
        """How much of the bar is filled, in per cent."""
        return min(100, self.percent)


def rows(events: Sequence[ThrottleEvent]) -> list[Row]:
    """In the order of `events`."""
    names = {event.name for event in events}
    counted = HeldEntry.objects.filter(name__in=names).values_list("kind", "name", "metric")
    held = {(kind, name, metric): count for kind, name, metric, count in counted.annotate(Count("entry_id"))}
    accounts = _account_links(names | {event.domain for event in events})
    return [_row(event, held.get((event.kind, event.name, event.metric), 0), accounts) for event in events]


def _row(event: ThrottleEvent, held: int, accounts: dict[tuple[str, str], str]) -> Row:
    metric = Metric(event.metric)
    percent = share(event.used, event.amount)
    return Row(
        event,
        amount(metric, event.used),
        amount(metric, event.amount),
        percent,
        "bad" if percent >= 100 else "waiting" if percent >= 80 else "good",
        held,
        messages_link(subject_of(event)),
        accounts.get((event.kind, event.name), ""),
        accounts.get((SubjectKind.DOMAIN, event.domain), ""),
    )


def messages_link(subject: Subject) -> str:
    """The spool's list of what waits and counts for a subject."""
    condition = {
        SubjectKind.USER: {"auth-user": subject.name},
        SubjectKind.LIST: {"sender": bounces_address(subject.name)},
        SubjectKind.DOMAIN: {"sender-domain": subject.name},
        SubjectKind.IP: {"ip": subject.name},
    }[subject.kind]
    query = urlencode({**condition, "status": Status.THROTTLED.value})
    return f"{reverse('admin:spool_entry_changelist')}?{query}"


def _account_links(names: Iterable[str]) -> dict[tuple[str, str], str]:
    wanted = list(names)
    links: dict[tuple[str, str], str] = {}
    for kind, model, field in (
        (SubjectKind.USER, User, "email"),
        (SubjectKind.LIST, MailingList, "address"),
        (SubjectKind.DOMAIN, Domain, "name"),
    ):
        found = model._default_manager.filter(**{f"{field}__in": wanted}).values_list("pk", field)
        for pk, name in found:
            links[kind, name] = reverse(f"admin:accounts_{model._meta.model_name}_change", args=[pk])
    return links
