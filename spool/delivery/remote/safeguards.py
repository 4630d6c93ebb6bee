"""What mail for a domain asks of its hosts before it crosses to them: by DANE, else by MTA-STS, else by the setting.

Where a host has TLSA records, these alone decide about it: MTA-STS must not let pass what they refuse (RFC 8461 2).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from spool.delivery.remote import mta_sts
from spool.delivery.remote.client import NO_REQUIRETLS
from spool.delivery.remote.dane import lookup
from spool.delivery.remote.dane.records import Tlsa
from spool.delivery.remote.mx import Exchangers, Host, NoRoute
from spool.delivery.remote.tls_policy import Wanted
from spool.delivery.remote.tls_results import (
    NO_POLICY,
    NOT_NAMED,
    AskedPolicy,
    PolicyType,
    Result,
    Session,
    Told,
    sts_lines,
)
from spool.message.tls_wish import TLSWish
from spool.models.route import TLSPolicy


@dataclass(frozen=True, slots=True)
class Guarded:
    """A host, and how it is to be talked to. `by_mta_sts`: because the domain's policy says so."""

    host: Host
    tls: TLSPolicy
    tlsa: Tlsa | None = None
    by_mta_sts: bool = False
    # What reports say that its domain asks for; None where it was not looked for.
    asked: AskedPolicy | None = None


async def guarded(
    hosts: Sequence[Host],
    domain: str,
    wanted: Wanted,
    exchangers: Exchangers,
    wish: TLSWish = TLSWish.USUAL,
    told: Told | None = None,
) -> list[Guarded]:
    """Those of `hosts` that may be used, in the same order. Raises NoRoute when there is none.

    `told` hears of hosts that are left out, and with it those that may be used say what reports have to know.

    By the sender's `wish` what the domain says of itself counts for nothing; or it has to say something, and only
    hosts that can be proved by that are left (RFC 8689 4.2).
    """
    chosen = wanted.policy
    is_required = wish is TLSWish.REQUIRED
    if chosen is TLSPolicy.NONE or domain.startswith("[") or wish is TLSWish.OPTIONAL:
        if is_required:
            raise _not_proved(domain)
        return [Guarded(host, chosen) for host in hosts]
    known: dict[str, Tlsa | NoRoute | None] = {}
    if wanted.dane or is_required:
        known = await lookup.found(hosts, wanted.port, exchangers)
    sts = mta_sts.Known(None)
    if (wanted.mta_sts or is_required) and not all(_decides(known.get(host.name)) for host in hosts):
        sts = await mta_sts.policy_for(domain, exchangers)
    enforced = sts.policy if sts.policy is not None and sts.policy.enforced else None
    asked = _asked(sts.policy, sts.trouble) if told is not None else None
    usable: list[Guarded] = []
    left_out: dict[str, Session] = {}
    for host in hosts:
        tlsa = known.get(host.name)
        if isinstance(tlsa, NoRoute):
            by_dane = AskedPolicy(PolicyType.TLSA)
            left_out[host.name] = Session(domain, by_dane, Result.DNSSEC_INVALID, host.name, host.ip, "", tlsa.reply)
            continue
        dane = AskedPolicy(PolicyType.TLSA, tlsa.said) if tlsa is not None and told is not None else None
        if tlsa is not None and tlsa.records:
            usable.append(Guarded(host, TLSPolicy.ENCRYPT, tlsa, asked=dane))
        elif enforced is not None:
            if enforced.allows(host.name):
                usable.append(Guarded(host, TLSPolicy.VERIFY, tlsa, by_mta_sts=True, asked=asked))
            elif asked is not None:
                left_out[host.name] = Session(domain, asked, Result.FAILED, host.name, host.ip, "", NOT_NAMED)
        elif not is_required:
            at_least = _at_least_encrypted(chosen) if tlsa is not None else chosen
            if dane is not None:
                dane = replace(dane, trouble=Result.TLSA_INVALID)
            usable.append(Guarded(host, at_least, tlsa, asked=dane or asked))
    if told is not None:
        for session in left_out.values():
            told(session)
    if not usable:
        if is_required and enforced is None and not any(isinstance(one, NoRoute) for one in known.values()):
            raise _not_known(domain) if sts.is_unsure else _not_proved(domain)
        raise _nobody(hosts, domain, known)
    return usable


def _asked(policy: mta_sts.Policy | None, trouble: Result) -> AskedPolicy:
    """What a domain asks for by MTA-STS; a policy of mode `none` asks for nothing (RFC 8461 5)."""
    if policy is not None and policy.mode != "none":
        lines = sts_lines(policy.mode, policy.mx, policy.max_age_seconds)
        return AskedPolicy(PolicyType.STS, lines, policy.mx, tested=not policy.enforced)
    return AskedPolicy(PolicyType.STS, trouble=trouble) if trouble is not Result.GOOD else NO_POLICY


def route_not_proved(host: str) -> NoRoute:
    """Mail whose sender requires TLS has nowhere to go but a host that proves nothing: it comes back."""
    reply = f"nothing proves the route to {host}, as the sender requires (REQUIRETLS)"
    return NoRoute(reply, NO_REQUIRETLS, permanent=True)


def _not_proved(domain: str) -> NoRoute:
    reply = f"nothing proves the mail hosts of {domain}, as the sender requires (REQUIRETLS)"
    return NoRoute(reply, NO_REQUIRETLS, permanent=True)


def _not_known(domain: str) -> NoRoute:
    reply = f"the MTA-STS policy of {domain} could not be looked up, and the sender requires proof (REQUIRETLS)"
    return NoRoute(reply, "4.7.5", permanent=False)


def _decides(tlsa: Tlsa | NoRoute | None) -> bool:
    return isinstance(tlsa, NoRoute) or (tlsa is not None and bool(tlsa.records))


def _at_least_encrypted(chosen: TLSPolicy) -> TLSPolicy:
    return TLSPolicy.ENCRYPT if chosen is TLSPolicy.OPPORTUNISTIC else chosen


def _nobody(hosts: Sequence[Host], domain: str, known: dict[str, Tlsa | NoRoute | None]) -> NoRoute:
    for trouble in known.values():
        if isinstance(trouble, NoRoute):
            reply = f"it is not known which certificate the mail host has (DANE): {trouble.reply}"
            return NoRoute(reply, "4.7.5", permanent=False)
    names = ", ".join(sorted({host.name for host in hosts}))
    reply = f"the MTA-STS policy of {domain} does not allow the hosts that the DNS names ({names})"
    return NoRoute(reply, "4.7.5", permanent=False)
