"""Opening logins again, and keeping out for longer who has guessed."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from accounts import changes, edits
from accounts.addresses import key_of
from security.actions.many import blacklist_many
from security.addresses import parse_network, spell
from security.audit import require, write
from security.models import FailedLogin, LoginBlock, LoginRules, Protocol, Source
from spool.actions.actor import Actor
from spool.actions.verb import Refused


@transaction.atomic
def release(actor: Actor, blocks: QuerySet[LoginBlock]) -> int:
    """Open logins at once, and forget the wrong passwords that closed them; how many. Raises NotAllowed."""
    require(actor)
    found = list(blocks.filter(until__gt=timezone.now()).select_for_update())
    for block in found:
        failures = FailedLogin.objects.all()
        if block.ip:
            failures = failures.filter(ip=block.ip)
        if block.account:
            failures = failures.filter(account=block.account)
        failures.delete()
    LoginBlock.objects.filter(pk__in=[block.pk for block in found]).update(until=timezone.now())
    if found:
        write(actor, "login-release", found)
    return len(found)


def blocks_of(who: str) -> QuerySet[LoginBlock]:
    """The blocks now in force of an account or an address, or an account's to one address."""
    return LoginBlock.objects.filter(Q(account=key_of(who.strip())) | Q(ip=who.strip()), until__gt=timezone.now())


@transaction.atomic
def blacklist_guessers(
    actor: Actor, blocks: QuerySet[LoginBlock], *, around: int = 0, expires_at: datetime | None = None
) -> int:
    """Blacklist the addresses of these blocks, for mail and web; with `around`, the network of that size (IPv4).

    How many are new on the list. Raises NotAllowed; Refused when none of the blocks is about an address, or the
    whitelist lets them in.
    """
    require(actor)
    networks = {_around(ip, around) for ip in blocks.exclude(ip="").values_list("ip", flat=True)}
    if not networks:
        raise Refused("These accounts were tried from everywhere: there is no one address to blacklist.")
    outcome = blacklist_many(
        actor,
        sorted(networks),
        protocols=Protocol,
        source=Source.LOGINS,
        expires_at=expires_at,
        description="Too many failed logins",
    )
    if not outcome.new and not outcome.present:
        raise Refused(" ".join(outcome.problems))
    return outcome.new


@transaction.atomic
def change_rules(actor: Actor, rules: LoginRules) -> LoginRules:
    """Store the rules, which have been validated. Switched off, they close nobody out any more."""
    require(actor)
    before = changes.stored(rules)
    edits.save(rules)
    changes.record(actor, before, rules, "login-rules")
    if not rules.enabled:
        LoginBlock.objects.filter(until__gt=timezone.now()).update(until=timezone.now())
    return rules


def _around(ip: str, length: int) -> str:
    network = parse_network(ip)
    if network.version == 4 and 0 < length < network.prefixlen:
        network = network.supernet(new_prefix=length)
    return spell(network)
