"""DMARC (RFC 7489): what the owner of the domain in From asks for when neither SPF nor DKIM speaks for it.

The standard judges one domain. Programs show people more: a second From field or mailbox, an address in a display name.
So every domain that could be shown is judged, and the strictest wish of one that fails counts.
"""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from accounts.addresses import InvalidAddress, normalise_domain
from base.dns_texts import tags_of
from base.expiring import ExpiringDict
from quarantine.engines.answers import EngineFailed
from quarantine.engines.authentication import (
    KEPT_SECONDS,
    QUESTION_SECONDS,
    DkimResult,
    SpfResult,
    dkim_at_once,
    dkim_of,
    spf_at_once,
    spf_of,
)
from quarantine.engines.dnslists import organisational
from quarantine.engines.examined import Examined
from quarantine.engines.resolver import ask, exists
from quarantine.engines.shown_domains import shown_in

# More than anybody writes in From. What goes on is not read, and treated as one domain that asks for quarantine.
MOST_DOMAINS: Final = 8
_MOST_READ: Final = 16 * 1024
_WISHES: Final = ("none", "quarantine", "reject")
_MILDER: Final = {"reject": "quarantine", "quarantine": "none", "none": "none"}
# A domain's result may hide behind those before it.
_ORDER: Final = ("fail", "temperror", "permerror", "none", "pass")


@dataclass(frozen=True, slots=True)
class DmarcResult:
    """The result for `domain`; `wish` is what its owner asks for when it fails."""

    result: str
    domain: str
    wish: str = ""


class TooMuch(Exception):
    """From is longer, or names more domains, than can be judged."""


Policy = tuple[Mapping[str, str], bool]
_UNJUDGED: Final = DmarcResult("permerror", "", "quarantine")
_policies_kept: ExpiringDict[str, Policy] = ExpiringDict(KEPT_SECONDS)


async def dmarc_of(examined: Examined) -> DmarcResult:
    """The result for the domains of From; temperror when the DNS of one gives no answer that matters."""
    return await examined.once("dmarc", lambda: _check(examined))  # type: ignore[no-any-return]


def dmarc_at_once(examined: Examined) -> DmarcResult | None:
    """The result, or None when the DNS has to be asked."""
    try:
        domains = from_domains(examined)
    except TooMuch:
        examined.tell("dmarc", _UNJUDGED)
        return _UNJUDGED
    policies: dict[str, Policy] = {}
    for domain in domains:
        policy = _policies_kept.get(domain)
        if policy is None:
            return None
        policies[domain] = policy
    spf_result: SpfResult | None = SpfResult("none", "")
    signatures: list[DkimResult] | None = []
    if any(policy for policy, _ in policies.values()):
        spf_result, signatures = spf_at_once(examined), dkim_at_once(examined)
    if spf_result is None or signatures is None:
        return None
    found = _strictest([_judged(domain, policies[domain], spf_result, signatures) for domain in domains])
    examined.tell("dmarc", found)
    return found


def forget() -> None:
    """Drop what was kept."""
    _policies_kept.clear()


async def _check(examined: Examined) -> DmarcResult:
    try:
        domains = from_domains(examined)
    except TooMuch:
        return _UNJUDGED
    answers = await asyncio.gather(*(_kept_policy(domain) for domain in domains))
    policies = dict(zip(domains, answers, strict=True))
    if not any(policy is not None and policy[0] for policy in answers):
        return _strictest([_without_policy(domain, policies[domain]) for domain in domains])
    spf_result, signatures = await asyncio.gather(spf_of(examined), dkim_of(examined))
    return _strictest(
        [
            _without_policy(domain, None) if policy is None else _judged(domain, policy, spf_result, signatures)
            for domain, policy in policies.items()
        ]
    )


async def _kept_policy(domain: str) -> Policy | None:
    """The policy for a domain; None when its DNS gives no answer."""
    known = _policies_kept.get(domain)
    if known is not None:
        return known
    try:
        return _policies_kept.keep(domain, await _policy(domain))
    except EngineFailed:
        return None


def _without_policy(domain: str, policy: Policy | None) -> DmarcResult:
    return DmarcResult("temperror" if policy is None else "none", domain)


def _strictest(results: Sequence[DmarcResult]) -> DmarcResult:
    """The worst result, and of several that fail the one with the strictest wish."""
    return min(
        results or [DmarcResult("none", "")],
        key=lambda one: (_ORDER.index(one.result), -_WISHES.index(one.wish or "none")),
    )


def _judged(domain: str, policy: Policy, spf_result: SpfResult, signatures: Sequence[DkimResult]) -> DmarcResult:
    record, own = policy
    if not record:
        return DmarcResult("none", domain)
    said = [spf_result.result] if _aligned(spf_result.domain, domain, record.get("aspf", "r")) else []
    said += [one.result for one in signatures if _aligned(one.domain, domain, record.get("adkim", "r"))]
    if "pass" in said:
        return DmarcResult("pass", domain)
    # Only of the domain itself: nobody gets away by a sender whose DNS is silent.
    return DmarcResult("temperror" if "temperror" in said else "fail", domain, _wish(record, own))


def _wish(record: Mapping[str, str], own: bool) -> str:
    """What is asked for: p, for a subdomain sp or (one that does not exist) np; for only a part of the mail by pct."""
    wishes = [record["p"]] if own else [record.get("np", "") if "missing" in record else "", record.get("sp", "")]
    wish = next((one for one in wishes if one in _WISHES), record["p"])
    share = record.get("pct", "")
    is_share = share.isascii() and share.isdecimal() and int(share) < 100
    return _MILDER[wish] if is_share and random.uniform(0, 100) >= int(share) else wish


async def _policy(domain: str) -> Policy:
    """The policy for `domain`, and whether it is the domain's own (6.6.3). Raises EngineFailed."""
    for name in dict.fromkeys((domain, organisational(domain))):
        found = [record for text in await ask(f"_dmarc.{name}", "TXT", QUESTION_SECONDS) if (record := _tags(text))]
        if len(found) != 1:
            continue
        [record] = found
        if name != domain and record.get("np") in _WISHES and not await exists(domain, QUESTION_SECONDS):
            record["missing"] = "yes"
        return record, name == domain
    return {}, False


def _tags(text: str) -> dict[str, str]:
    """The tags of a DMARC record; none when it is no valid one."""
    if not re.match(r"v\s*=\s*DMARC1\s*(;|$)", text):
        return {}
    tags = {name: value.lower() for name, value in tags_of(text).items()}
    return tags if tags.get("p") in _WISHES else {}


def _aligned(domain: str, from_: str, mode: str) -> bool:
    if not domain:
        return False
    return domain.lower() == from_ if mode == "s" else organisational(domain) == organisational(from_)


def from_domains(examined: Examined) -> list[str]:
    """Every domain that a reader may see as the sender's, normalised: of all mailboxes of all From fields, and of what
    looks like an address in them. Raises TooMuch."""
    values = examined.fields.all("from")
    if sum(map(len, values)) > _MOST_READ:
        raise TooMuch
    found: dict[str, None] = {}
    for domain in (domain for value in values for domain in shown_in(value.decode("utf-8", "replace"))):
        try:
            found[normalise_domain(domain.rstrip("."))] = None
        except InvalidAddress:
            # Nobody's domain, and nobody's policy.
            continue
        if len(found) > MOST_DOMAINS:
            raise TooMuch
    return list(found)
