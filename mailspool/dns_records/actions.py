"""What is offered in the menu of a domain: the way to its records, and a look at them now."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.urls import reverse
from django.utils import timezone

from accounts.actor import Actor
from base.actions.action import Change, Opening, Refused, SingleAction, Target, Written
from mailspool.dns_records import shown
from mailspool.dns_records.looking import look_at
from mailspool.dns_records.names import named


def target_named(key: str) -> Target | None:
    """What a look is taken at."""
    return Target.of("dns", key.lower()) if named(key) is not None else None


class ShowRecords(Opening[Actor]):
    """Shows the DNS records that a domain needs, and which of them are there."""

    name, label, icon = "dns-records", "DNS Records", "dns"
    kinds = ("domain",)

    def require(self, actor: Actor, target: Target) -> None:
        actor.require_administration()

    def is_due(self, target: Target) -> bool:
        return named(target.key) is not None

    def place(self, target: Target) -> str:
        return reverse("dns_domain", args=[target.key])


class CheckRecords(SingleAction[Actor]):
    """Looks for the DNS records of a domain, or of this host, now."""

    name, label, icon = "dns-check", "Check DNS Now", "search"
    kinds = ("dns",)
    # It waits for name servers.
    in_transaction = False

    def require(self, actor: Actor, target: Target) -> None:
        actor.require_administration()

    def effect(self, target: Target, parameters: Mapping[str, Any]) -> str:
        return "The name servers of the domain are asked for each record. This may take half a minute."

    def do(self, actor: Actor, target: Target, parameters: Mapping[str, Any]) -> Change:
        domain = named(target.key)
        if domain is None:
            raise Refused(f"{target} is no domain of this server: add it first.")
        look_at(domain, timezone.now())
        found = shown.records_of(domain)
        bad = [one for one in found if one.is_bad]
        are = "is" if len(bad) == 1 else "are"
        said = f"{len(bad)} of {len(found)} records {are} missing or wrong." if bad else "Nothing is missing or wrong."
        return Change(said, [Written(target.key, parameters={"bad": len(bad)})], found, good=not bad)


SHOW_RECORDS, CHECK_RECORDS = ShowRecords(), CheckRecords()
