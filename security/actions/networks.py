"""Keeping networks out, and letting them in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy

from base.actions.action import Change, Refused, Target, WayBack, Written
from base.actions.inputs import Input
from base.actions.perform import perform
from base.facts import Fact, fact
from security import lists
from security.actions.rows import number_removed, parse, removed, stored
from security.addresses import parse_address, spell
from security.audit import SecurityAction
from security.models import BlacklistEntry, Protocol, Source, WhitelistEntry
from spool.actions.actor import Actor

PROTOCOLS = Input(
    "protocols",
    _lazy("Protocols"),
    "choices",
    choices=tuple(protocol.value for protocol in Protocol),
    labels=tuple(protocol.label for protocol in Protocol),
    option="--protocol",
    option_help="what it is about; repeat for more",
)
DESCRIPTION = Input(
    "description",
    _lazy("Description"),
    placeholder=_lazy("why, for other administrators"),
    metavar="TEXT",
    option_help="why, for other administrators",
)


class Blacklist(SecurityAction):
    """Keeps an address out by SMTP, over connections that are open too; marked as made in the spool."""

    name, label, icon = "blacklist", _lazy("Blacklist IP"), "block"
    kinds = ("ip", "network")
    menu_kinds = ("ip",)
    danger = True
    undoable = True
    inputs = (DESCRIPTION,)

    def parameters(self, given: Mapping[str, Any]) -> dict[str, Any]:
        return {
            **super().parameters(given),
            "protocols": given.get("protocols", (Protocol.SMTP,)),
            "source": given.get("source", Source.SPOOL),
            "expires_at": given.get("expires_at"),
        }

    def is_due(self, target: Target) -> bool:
        return not blacklisted(target.keys)

    def effect(self, target: Target, parameters: Mapping[str, Any]) -> str:
        return _(
            "From now on it can't hand in mail by SMTP, over connections that are open either. What is in the spool "
            "stays there: Delete Messages is for that."
        )

    def do(self, actor: Actor, target: Target, parameters: Mapping[str, Any]) -> Change:
        """One that is listed already gets the protocols in addition, and the later end."""
        wanted, source, ends = (
            set(map(Protocol, parameters["protocols"])),
            parameters["source"],
            parameters["expires_at"],
        )
        row = BlacklistEntry.objects.select_for_update().filter(network=_spelled(target.key)).first()
        if row is None or row.is_expired:
            row = row or BlacklistEntry(network=target.key)
            row.set_protocols(wanted)
            row.expires_at, row.source = ends, source
            row.spool_smtp = False
        else:
            row.spool_smtp = row.spool_smtp or (source == Source.SPOOL and not row.smtp and Protocol.SMTP in wanted)
            row.set_protocols(wanted | {*row.protocols})
            row.expires_at = max(row.expires_at, ends) if row.expires_at and ends else None
        row.description = parameters["description"] or row.description
        entry = stored(row, by=actor.name)
        labels = ", ".join(str(protocol.label) for protocol in Protocol if protocol in wanted)
        back = UNBLOCK if source == Source.SPOOL else UNBLACKLIST
        return Change(
            (_("%(row)s is blacklisted for %(labels)s.") % {"row": row, "labels": labels}),
            [entry],
            row,
            undo=WayBack(back.name, target),
        )


class Unblock(SecurityAction):
    """Takes back what Blacklist IP did: SMTP alone, and nothing that somebody has listed in Security."""

    name, label, icon = "unblock", _lazy("Unblock IP"), "block"
    kinds = ("ip", "network")
    menu_kinds = ("ip",)
    undoable = True

    def is_due(self, target: Target) -> bool:
        return bool(blacklisted(target.keys))

    def effect(self, target: Target, parameters: Mapping[str, Any]) -> str:
        return _("What the spool has blacklisted leaves the blacklist: it may hand in mail by SMTP again.")

    def do(self, actor: Actor, target: Target, parameters: Mapping[str, Any]) -> Change:
        row = BlacklistEntry.objects.select_for_update().filter(network=_spelled(target.key)).first()
        said, back = (_("%(target)s may hand in mail again.") % {"target": target}), None
        if row is None:
            _refuse_part_of_larger(target.key)
            return Change(said)
        if not row.smtp or not (row.spool_smtp or row.source == Source.SPOOL):
            raise Refused(_not_from_the_spool(row))
        back = WayBack(BLACKLIST.name, target, {"description": row.description})
        if row.protocols == [Protocol.SMTP]:
            return Change(said, removed([row]), undo=back)
        row.set_protocols({*row.protocols} - {Protocol.SMTP})
        row.spool_smtp = False
        return Change(said, [stored(row, by=actor.name)], undo=back)


class Unblacklist(SecurityAction):
    """Takes networks off the blacklist."""

    name, label, icon = "unblacklist", _lazy("Take off the blacklist"), "block"
    effect_text = _lazy("It leaves the blacklist, and may hand in mail and log in again.")
    kinds = ("ip", "network")
    menu_kinds = ()

    def parameters(self, given: Mapping[str, Any]) -> dict[str, Any]:
        return {"dry_run": given.get("dry_run", False)}

    def do(self, actor: Actor, target: Target, parameters: Mapping[str, Any]) -> Change:
        found: list[BlacklistEntry] = []
        for key in target.keys:
            rows = list(BlacklistEntry.objects.filter(network=spell(parse(key))))
            if not rows:
                _refuse_part_of_larger(key)
            found += rows
        entries = [] if parameters["dry_run"] else [entry for row in found for entry in removed([row])]
        return Change(number_removed(len(found)), entries, len(found))


class Whitelist(SecurityAction):
    """Lets a network in whatever the blacklist says, or changes one that is there; what is not said stays."""

    name, label, icon = "whitelist", _lazy("Whitelist"), "verified_user"
    effect_text = _lazy("It is let in whatever the blacklist says. If it is on the whitelist, its entry changes.")
    kinds = ("ip", "network")
    menu_kinds = ()
    undoable = True
    inputs = (
        PROTOCOLS,
        Input(
            "auth_bypass",
            _lazy("SMTP authentication bypass"),
            "switch",
            option_help="its hosts send anywhere without logging in",
        ),
        Input("spam_bypass", _lazy("Spam bypass"), "switch", option_help="its mail is not checked for spam"),
        Input(
            "login_bypass",
            _lazy("Login protection bypass"),
            "switch",
            option_help="wrong passwords never close the login to the address itself",
        ),
        DESCRIPTION,
    )

    def parameters(self, given: Mapping[str, Any]) -> dict[str, Any]:
        checked = super().parameters(given)
        return checked if given.get("protocols") is not None else {**checked, "protocols": None}

    def do(self, actor: Actor, target: Target, parameters: Mapping[str, Any]) -> Change:
        row = WhitelistEntry.objects.select_for_update().filter(network=_spelled(target.key)).first()
        back = WayBack(UNWHITELIST.name, target)
        if row is not None:
            flags = {flag: "on" if getattr(row, flag) else "off" for flag in FLAGS}
            back = WayBack(self.name, target, {**flags, "protocols": [one.value for one in row.protocols]})
        row = row or WhitelistEntry(network=target.key, smtp=True, web=True)
        if parameters["protocols"] is not None:
            row.set_protocols({Protocol(protocol) for protocol in parameters["protocols"]})
        for flag in FLAGS:
            if parameters[flag] is not None:
                setattr(row, flag, parameters[flag])
        row.description = parameters["description"] or row.description
        entry = stored(row, by=actor.name)
        return Change((_("%(row)s is whitelisted.") % {"row": row}), [entry], row, undo=back)


class Unwhitelist(SecurityAction):
    """Takes a network off the whitelist."""

    name, label, icon = "unwhitelist", _lazy("Take off the Whitelist"), "gpp_bad"
    kinds = ("ip", "network")
    menu_kinds = ("ip",)
    danger = True
    undoable = True

    def is_due(self, target: Target) -> bool:
        return WhitelistEntry.objects.filter(network=_spelled(target.key), is_default=False).exists()

    def effect(self, target: Target, parameters: Mapping[str, Any]) -> str:
        return _("The blacklist, greylisting and the spam checks count for it again, and it has to log in to send.")

    def do(self, actor: Actor, target: Target, parameters: Mapping[str, Any]) -> Change:
        rows = list(WhitelistEntry.objects.filter(network=_spelled(target.key)))
        entries: list[Written] = removed(rows)
        back = None
        if rows:
            [row] = rows
            given = {flag: "on" if getattr(row, flag) else "off" for flag in FLAGS}
            protocols = [one.value for one in row.protocols]
            back = WayBack(WHITELIST.name, target, {**given, "protocols": protocols, "description": row.description})
        return Change((_("%(target)s is off the whitelist.") % {"target": target}), entries, len(rows), undo=back)


FLAGS = ("auth_bypass", "spam_bypass", "login_bypass")
BLACKLIST, UNBLOCK, UNBLACKLIST = Blacklist(), Unblock(), Unblacklist()
WHITELIST, UNWHITELIST = Whitelist(), Unwhitelist()


def ip_named(key: str) -> Target | None:
    """An IP address, in the one spelling that it has."""
    address = parse_address(key) if len(key) <= 64 else None
    return Target.of("ip", str(address)) if address is not None else None


def blacklist(
    actor: Actor,
    network: str,
    *,
    protocols: Iterable[str] = (Protocol.SMTP,),
    description: str = "",
    source: str = Source.MANUAL,
    expires_at: datetime | None = None,
) -> BlacklistEntry:
    """Keep a network out. One that is listed already gets the protocols in addition, and the later end.

    Refused when the whitelist lets all of it in: such an entry would look like protection and be none.
    """
    given = {"protocols": protocols, "description": description, "source": source, "expires_at": expires_at}
    row: BlacklistEntry = perform(BLACKLIST, actor, Target.of("network", network), given).result
    return row


def unblacklist(actor: Actor, network: str, *, dry_run: bool = False) -> int:
    """Let a network in again; how many entries that took. Refused when it is only kept out as part of a larger one."""
    count: int = perform(UNBLACKLIST, actor, Target.of("network", network), {"dry_run": dry_run}).result
    return count


def whitelist(
    actor: Actor,
    network: str,
    *,
    protocols: Iterable[str] | None = None,
    description: str = "",
    auth_bypass: bool | None = None,
    spam_bypass: bool | None = None,
    login_bypass: bool | None = None,
) -> WhitelistEntry:
    """Let a network in whatever the blacklist says; a new one by all protocols. None leaves a thing as it is."""
    flags = {"auth_bypass": auth_bypass, "spam_bypass": spam_bypass, "login_bypass": login_bypass}
    wanted = None if protocols is None else [Protocol(protocol).value for protocol in protocols]
    given = {"protocols": wanted, "description": description, **flags}
    row: WhitelistEntry = perform(WHITELIST, actor, Target.of("network", network), given).result
    return row


def unwhitelist(actor: Actor, network: str) -> int:
    """Take a network off the whitelist; how many entries that took."""
    count: int = perform(UNWHITELIST, actor, Target.of("network", network)).result
    return count


def blacklisted(addresses: Iterable[str], protocol: Protocol = Protocol.SMTP) -> set[str]:
    """Which of the addresses are kept out at this moment."""
    now = lists.newest()
    return {address for address in addresses if now.blacklisted(address, protocol)}


def _refuse_part_of_larger(network: str) -> None:
    """Raises Refused with the larger network, where that is why this one is kept out."""
    wanted = parse(network)
    entries = lists.newest().blacklist.values()
    around = next((found.network for networks in entries if (found := networks.covers(wanted))), "")
    if around:
        raise Refused(
            fact(
                "%(network)s is kept out as a part of %(around)s; take that off the blacklist.",
                network=str(network),
                around=str(around),
            )
        )


def _not_from_the_spool(row: BlacklistEntry) -> Fact:
    if row.source == Source.LOGINS:
        where = fact("for failed logins")
    elif row.created_by:
        where = fact("in Security by %(created_by)s", created_by=row.created_by)
    else:
        where = fact("in Security")
    return fact(
        "%(row)s was blacklisted %(row_2)s, not from the spool: take it off the Blacklist there.",
        row=str(row),
        row_2=where,
    )


def _spelled(network: str) -> str:
    return spell(parse(network))
