"""What is offered in the menu of a domain, the way to its records, and at those: to look now, and to publish them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy
from django.utils.translation import ngettext

from accounts.actor import Actor
from base.actions.action import Change, Opening, Refused, SingleAction, Target, Written
from base.actions.inputs import Input
from base.facts import NOTHING
from mailspool.dns_records import publishing, shown
from mailspool.dns_records.looking import look_at
from mailspool.dns_records.names import named
from spool.models.update_server import UpdateServer
from spool.signing import primaries


def target_named(key: str) -> Target | None:
    """What a look is taken at."""
    return Target.of("dns", key.lower()) if named(key) is not None else None


class ShowRecords(Opening[Actor]):
    """Shows the DNS records that a domain needs, and which of them are there."""

    name, label, icon = "dns-records", _lazy("DNS Records"), "dns"
    kinds = ("domain",)

    def require(self, actor: Actor, target: Target) -> None:
        actor.require_administration()

    def is_due(self, target: Target) -> bool:
        return named(target.key) is not None

    def place(self, target: Target) -> str:
        return reverse("dns_domain", args=[target.key])


class CheckRecords(SingleAction[Actor]):
    """Looks for the DNS records of a domain, or of this host, now."""

    name, label, icon = "dns-check", _lazy("Check DNS Now"), "search"
    kinds = ("dns",)
    # It waits for name servers.
    in_transaction = False

    def require(self, actor: Actor, target: Target) -> None:
        actor.require_administration()

    def effect(self, target: Target, parameters: Mapping[str, Any]) -> str:
        return _("The name servers of the domain are asked for each record. This may take half a minute.")

    def do(self, actor: Actor, target: Target, parameters: Mapping[str, Any]) -> Change:
        domain = named(target.key)
        if domain is None:
            raise Refused(_("%(target)s is no domain of this server: add it first.") % {"target": target})
        look_at(domain, timezone.now())
        found = shown.records_of(domain)
        bad = [one for one in found if one.is_bad]
        said = ngettext(
            "%(bad)s of %(records)s records is missing or wrong.",
            "%(bad)s of %(records)s records are missing or wrong.",
            len(bad),
        ) % {"bad": len(bad), "records": len(found)}
        if not bad:
            said = _("Nothing is missing or wrong.")
        return Change(said, [Written(target.key, parameters={"bad": len(bad)})], found, good=not bad)


class PublishRecords(SingleAction[Actor]):
    """Puts records of a domain, or of this host, into the DNS by the name server that takes updates for it."""

    name, label, icon, agree = "dns-publish", _lazy("Publish by DNS Update"), "publish", _lazy("Publish")
    kinds = ("dns",)
    inputs = (
        Input(
            "records",
            _lazy("Records"),
            "choices",
            option="--record",
            metavar="RECORD",
            option_help=f"which: {', '.join(publishing.PURPOSES)}; again for more than one",
        ),
        Input(
            "replace",
            _lazy("Replace what is there"),
            "check",
            option_help="also where another record of that purpose is there, if the last look has shown it",
        ),
    )
    # What is at the name server is said of those that are chosen.
    effect_follows = True
    # It waits for a name server.
    in_transaction = False

    def require(self, actor: Actor, target: Target) -> None:
        actor.require_administration()

    def is_due(self, target: Target) -> bool:
        domain = named(target.key)
        return domain is not None and publishing.server_for(domain) is not None

    def inputs_for(self, target: Target) -> tuple[Input, ...]:
        wanted = publishing.possible(_domain_of(target))
        by_purpose = {one.purpose: f"{one.purpose}: {one.wanted[:80]}" for one in wanted}
        choices, labels = tuple(by_purpose), tuple(by_purpose.values())
        return tuple(
            replace(one, choices=choices, labels=labels) if one.name == "records" else one for one in self.inputs
        )

    def effect(self, target: Target, parameters: Mapping[str, Any]) -> str:
        domain = _domain_of(target)
        server = _server_for(domain)
        if not parameters["records"]:
            return _("Choose the records that %(host)s is told. What it has at their places is shown here first.") % {
                "host": server.host
            }
        try:
            _primary, plans = publishing.plans(domain, parameters["records"], server, replace=parameters["replace"])
        except publishing.CannotPublish as error:
            # What is chosen next may mend it.
            return str(error)
        return " ".join(plan.sentence for plan in plans)

    def do(self, actor: Actor, target: Target, parameters: Mapping[str, Any]) -> Change:
        domain = _domain_of(target)
        server = _server_for(domain)
        if not parameters["records"]:
            raise Refused(_("Choose the records that are to be published."))
        primary, plans = _planned(domain, parameters, server)
        put, gone, problem = dict[str, str](), list[str](), NOTHING
        for plan in plans:
            try:
                if not plan.is_there:
                    publishing.carry_out(primary, plan)
            except publishing.CannotPublish as error:
                problem = error.fact
                break
            publishing.note_sent(plan.record)
            if plan.is_there:
                continue
            put[f"{plan.record.purpose} {plan.record.name}"] = plan.record.wanted
            gone += plan.gone
        primaries.note(server, timezone.now(), problem)
        if problem and not put:
            raise Refused(str(problem))
        said = _("All are there already.")
        if put:
            said = ngettext("%(host)s has %(count)s new record.", "%(host)s has %(count)s new records.", len(put)) % {
                "host": server.host,
                "count": len(put),
            }
        written = Written(target.key, done=len(put), parameters={"server": server.host, "put": put, "gone": gone})
        return Change(f"{said} {problem}".strip(), [written] if put else [], put, good=not problem)


def _domain_of(target: Target) -> str:
    """Raises Refused."""
    domain = named(target.key)
    if domain is None:
        raise Refused(_("%(target)s is no domain of this server: add it first.") % {"target": target})
    return domain


def _server_for(domain: str) -> UpdateServer:
    """Raises Refused."""
    server = publishing.server_for(domain)
    if server is None:
        raise Refused(
            _("No name server takes updates for %(domain)s: add one in DNS updates.")
            % {"domain": domain or _("this host")}
        )
    return server


def _planned(domain: str, parameters: Mapping[str, Any], server: UpdateServer) -> Any:
    """Raises Refused."""
    try:
        return publishing.plans(domain, parameters["records"], server, replace=parameters["replace"])
    except publishing.CannotPublish as error:
        raise Refused(str(error)) from error


SHOW_RECORDS, CHECK_RECORDS, PUBLISH_RECORDS = ShowRecords(), CheckRecords(), PublishRecords()
