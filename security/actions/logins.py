"""Opening logins again, and keeping out for longer who has guessed."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db.models import Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy
from django.utils.translation import ngettext

from accounts import changes, edits
from accounts.addresses import key_of
from base.actions.action import Change, Refused, Target
from base.actions.perform import perform
from base.numbers import grouped
from security.actions.many import blacklist_many
from security.addresses import parse_network, spell
from security.audit import SecurityAction, written
from security.models import FailedLogin, LoginBlock, LoginRules, Protocol, Source
from spool.actions.actor import Actor


def opened(number: int) -> str:
    """What is said of logins that were opened."""
    return ngettext("%(number)s login opened.", "%(number)s logins opened.", number) % {"number": grouped(number)}


def blacklisted(number: int) -> str:
    """What is said of addresses from which passwords were guessed."""
    return _("%(number)s blacklisted.") % {"number": grouped(number)}


class ReleaseLogin(SecurityAction):
    """Opens a login at once, and forgets the wrong passwords that closed it."""

    name, label, icon = "release-login", _lazy("Release Login"), "lock_open"
    recorded = "login-release"
    kinds = ("login", "user", "ip")

    def is_due(self, target: Target) -> bool:
        return _blocks_in(target).exists()

    def effect(self, target: Target, parameters: Mapping[str, Any]) -> str:
        return _("The login was closed after too many wrong passwords. It opens now.")

    def do(self, actor: Actor, target: Target, parameters: Mapping[str, Any]) -> Change:
        found = list(_blocks_in(target).filter(until__gt=timezone.now()).select_for_update())
        for block in found:
            failures = FailedLogin.objects.all()
            if block.ip:
                failures = failures.filter(ip=block.ip)
            if block.account:
                failures = failures.filter(account=block.account)
            failures.delete()
        LoginBlock.objects.filter(pk__in=[block.pk for block in found]).update(until=timezone.now())
        entries = [written("login-release", found)] if found else []
        return Change(opened(len(found)), entries, len(found))


class BlacklistGuessers(SecurityAction):
    """Blacklists the addresses from which logins were closed, for mail and web."""

    name, label, icon = "blacklist-guessers", _lazy("Blacklist the address"), "block"
    kinds = ("login",)
    menu_kinds = ()
    danger = True

    def parameters(self, given: Mapping[str, Any]) -> dict[str, Any]:
        return {"around": given.get("around", 0), "expires_at": given.get("expires_at")}

    def do(self, actor: Actor, target: Target, parameters: Mapping[str, Any]) -> Change:
        ips = target.rows[0].exclude(ip="").values_list("ip", flat=True)
        networks = {_around(ip, parameters["around"]) for ip in ips}
        if not networks:
            raise Refused(_("These accounts were tried from everywhere: there is no one address to blacklist."))
        outcome = blacklist_many(
            actor,
            sorted(networks),
            protocols=Protocol,
            source=Source.LOGINS,
            expires_at=parameters["expires_at"],
            description="Too many failed logins",
        )
        if not outcome.new and not outcome.present:
            raise Refused(" ".join(outcome.problems))
        return Change(blacklisted(outcome.new), result=outcome.new)


class ChangeRules(SecurityAction):
    """Stores the rules that close logins. Switched off, they close nobody out any more."""

    name, label = "login-rules", _lazy("Save")
    kinds = ("login-rules",)
    menu_kinds = ()

    def do(self, actor: Actor, target: Target, parameters: Mapping[str, Any]) -> Change:
        [rules] = target.rows
        before = changes.stored(rules)
        edits.save(rules)
        entry = changes.described(before, rules)
        if not rules.enabled:
            LoginBlock.objects.filter(until__gt=timezone.now()).update(until=timezone.now())
        return Change("Saved.", [entry] if entry is not None else [], rules)


RELEASE_LOGIN, BLACKLIST_GUESSERS, CHANGE_RULES = ReleaseLogin(), BlacklistGuessers(), ChangeRules()


def login_named(key: str) -> Target | None:
    """A login, by its account or by the address that it came from."""
    return Target.of("login", key) if key and len(key) <= 320 else None


def release(actor: Actor, blocks: QuerySet[LoginBlock]) -> int:
    """Open logins at once, and forget the wrong passwords that closed them; how many. Raises NotAllowed."""
    count: int = perform(RELEASE_LOGIN, actor, Target.holding("login", blocks)).result
    return count


def blocks_of(who: str) -> QuerySet[LoginBlock]:
    """The blocks now in force of an account or an address, or an account's to one address."""
    return LoginBlock.objects.filter(Q(account=key_of(who.strip())) | Q(ip=who.strip()), until__gt=timezone.now())


def blacklist_guessers(
    actor: Actor, blocks: QuerySet[LoginBlock], *, around: int = 0, expires_at: datetime | None = None
) -> int:
    """Blacklist the addresses of these blocks, for mail and web; with `around`, the network of that size (IPv4).

    How many are new on the list. Raises NotAllowed; Refused when none of the blocks is about an address, or the
    whitelist lets them in.
    """
    given = {"around": around, "expires_at": expires_at}
    count: int = perform(BLACKLIST_GUESSERS, actor, Target.holding("login", blocks), given).result
    return count


def change_rules(actor: Actor, rules: LoginRules) -> LoginRules:
    """Store the rules, which have been validated."""
    done: LoginRules = perform(CHANGE_RULES, actor, Target.holding("login-rules", rules)).result
    return done


def _blocks_in(target: Target) -> QuerySet[LoginBlock]:
    """Those that were chosen, or those of a key."""
    if target.kind == "login" and target.rows:
        chosen: QuerySet[LoginBlock] = target.rows[0]
        return chosen
    return blocks_of(target.key)


def _around(ip: str, length: int) -> str:
    network = parse_network(ip)
    if network.version == 4 and 0 < length < network.prefixlen:
        network = network.supernet(new_prefix=length)
    return spell(network)
