"""What holds for mail to a domain or a site, each choice with where it comes from: for pages and commands."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, TypeVar

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy

from base.numbers import grouped
from base.texts import Text
from spool.delivery import routes, sources
from spool.delivery.shaping import rules
from spool.delivery.shaping.classes import ReplyClass
from spool.delivery.shaping.rules import Chosen, Rule
from spool.models.destination_rule import ERRORS
from spool.models.settings import Settings, current

T = TypeVar("T")
IN_SETTINGS: Final = _lazy("Settings")


@dataclass(frozen=True, slots=True)
class Choice:
    """`where` it comes from, in words; `rule` is the row of the rule that says so, or 0, and `by` who wrote it."""

    what: Text
    value: str
    where: Text = IN_SETTINGS
    rule: int = 0
    by: str = ""


def choices_for(domain: str, site: str) -> list[Choice]:
    """All of them, for a domain's mail (empty: anybody's) that goes to a site (empty: that is not known)."""
    return list(_choices(domain, rules.cached().of_mail(domain, site), current()))


def _choices(domain: str, chosen: Chosen, settings: Settings) -> Iterator[Choice]:
    hop = routes.cached_table().route_for(domain) if domain else None
    of_route = _("the route")
    if hop is not None:
        yield Choice(_("Goes to"), f"{hop.host}:{hop.port}", of_route)

    def of(what: str, says: Callable[[Rule], T | None], words: Callable[[T], str], otherwise: str) -> Choice:
        found = chosen.first(says)
        if found is None:
            return Choice(what, otherwise)
        value, rule = found
        return Choice(what, words(value), (_("the rule for %(title)s") % {"title": rule.title}), rule.pk, rule.by)

    yield of(
        _("Retried after (minutes)"),
        lambda rule: rule.schedule.intervals,
        _minutes,
        _minutes(settings.retry_intervals),
    )
    yield of(_("Bounces after"), lambda rule: rule.schedule.lifetime, _hours, _hours(settings.lifetime))
    for name, words in ERRORS.items():
        for rule in chosen.rules:
            if (schedule := rule.by_error.get(ReplyClass(name))) is not None:
                said = [_minutes(schedule.intervals)] if schedule.intervals is not None else []
                said += (
                    [(_("bounces after %(lifetime)s") % {"lifetime": _hours(schedule.lifetime)})]
                    if schedule.lifetime is not None
                    else []
                )
                yield Choice(
                    (_("After %(words)s") % {"words": words}),
                    "; ".join(said),
                    (_("the rule for %(title)s") % {"title": rule.title}),
                    rule.pk,
                    rule.by,
                )
            if schedule is not None or rule.schedule.intervals is not None:
                break
    if hop is not None and hop.max_connections:
        yield Choice(_("Connections at once"), str(hop.max_connections), of_route)
    else:
        most = grouped(settings.max_per_destination)
        yield of(_("Connections at once"), lambda rule: rule.connections, grouped, most)
    yield of(_("Messages per connection"), lambda rule: rule.messages, grouped, _("any number"))
    yield of(_("Messages a minute"), lambda rule: rule.rate, grouped, _("no limit"))
    if hop is not None:
        yield Choice("TLS", str(hop.tls.label), of_route)
    else:
        yield of("TLS", lambda rule: rule.tls, lambda tls: str(tls.label), _usual_tls(settings))
    if hop is not None and hop.source_address:
        yield Choice(_("From address"), hop.source_address, of_route)
    else:
        usual = Choice(_("From address"), settings.source_address or _("the one that the system chooses"))
        if own := sources.cached():
            addresses = ", ".join(source.address for source in own.all)
            usual = Choice(
                _("From address"),
                (_("by sender and weight: %(addresses)s") % {"addresses": addresses}),
                _("Source addresses"),
            )
        chosen_sources = of(_("From address"), lambda rule: rule.sources, ", ".join, "")
        yield chosen_sources if chosen_sources.rule else usual
    if (suspended := chosen.first(lambda rule: rule.suspended_until)) is not None:
        until, rule = suspended
        reason = f": {rule.suspended_reason}" if rule.suspended_reason else ""
        value = _("until %(until)s UTC%(reason)s") % {"until": f"{until:%Y-%m-%d %H:%M}", "reason": reason}
        yield Choice(_("Suspended"), value, (_("the rule for %(title)s") % {"title": rule.title}), rule.pk, rule.by)


def _usual_tls(settings: Settings) -> str:
    honoured = [name for name, is_on in (("DANE", settings.honour_dane), ("MTA-STS", settings.honour_mta_sts)) if is_on]
    label = str(settings.get_tls_policy_display())  # type: ignore[attr-defined]
    return (
        (_("%(label)s; %(honoured)s as published") % {"label": label, "honoured": _(" and ").join(honoured)})
        if honoured
        else label
    )


def _minutes(intervals: tuple[timedelta, ...]) -> str:
    return ", ".join(f"{interval.total_seconds() / 60:g}" for interval in intervals)


def _hours(span: timedelta) -> str:
    return f"{span.total_seconds() / 3600:g} h"
