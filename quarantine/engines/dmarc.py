"""DMARC (RFC 9989): what the owner of the domain in From asks for when neither SPF nor DKIM speaks for it.

Which domain is whose is said by the DNS itself (the tree walk, 4.10), and no list of public suffixes. The standard
judges one domain. Programs show people more: a second From field or mailbox, an address in a display name. So every
domain that could be shown is judged, and the strictest wish of one that fails counts.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Mapping, Sequence
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
from quarantine.engines.examined import Examined
from quarantine.engines.resolver import ask, exists
from quarantine.engines.shown_domains import shown_in
from spool.delivery.author_policies import parents_of

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


@dataclass(frozen=True, slots=True)
class Owned:
    """What the DNS says of a domain: the `record` that applies to it, empty when there is none, and which domain is its
    `organisational` one. `own`: the record is its own."""

    organisational: str
    record: Mapping[str, str]
    own: bool = False


_UNJUDGED: Final = DmarcResult("permerror", "", "quarantine")
_kept: ExpiringDict[str, Owned] = ExpiringDict(KEPT_SECONDS)


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
    known: dict[str, Owned] = {}
    for domain in domains:
        owned = _kept.get(domain)
        if owned is None:
            return None
        known[domain] = owned
    spf_result: SpfResult | None = SpfResult("none", "")
    signatures: list[DkimResult] | None = []
    if any(owned.record for owned in known.values()):
        spf_result, signatures = spf_at_once(examined), dkim_at_once(examined)
    if spf_result is None or signatures is None:
        return None
    for name in _to_be_walked(known, spf_result, signatures):
        owned = _kept.get(name)
        if owned is None:
            return None
        known[name] = owned
    found = _strictest([_judged(domain, known, spf_result, signatures) for domain in domains])
    examined.tell("dmarc", found)
    return found


def forget() -> None:
    """Drop what was kept."""
    _kept.clear()


async def _check(examined: Examined) -> DmarcResult:
    try:
        domains = from_domains(examined)
    except TooMuch:
        return _UNJUDGED
    known = await _owned(domains)
    if not any(owned.record for owned in known.values()):
        return _strictest([DmarcResult("none" if domain in known else "temperror", domain) for domain in domains])
    spf_result, signatures = await asyncio.gather(spf_of(examined), dkim_of(examined))
    known |= await _owned(_to_be_walked(known, spf_result, signatures))
    return _strictest([_judged(domain, known, spf_result, signatures) for domain in domains])


async def _owned(domains: Iterable[str]) -> dict[str, Owned]:
    """What the DNS says of domains, but for those of which it gives no answer."""
    names = list(domains)
    answers = await asyncio.gather(*map(_kept_owned, names))
    return {name: owned for name, owned in zip(names, answers, strict=True) if owned is not None}


async def _kept_owned(domain: str) -> Owned | None:
    known = _kept.get(domain)
    if known is not None:
        return known
    try:
        return _kept.keep(domain, await _walk(domain))
    except EngineFailed:
        return None


def _to_be_walked(known: Mapping[str, Owned], spf_result: SpfResult, signatures: Sequence[DkimResult]) -> list[str]:
    """The domains that something was proved for, of which it has to be known whose they are: those below the
    organisational domain of one in From. Others are nobody's there, or the same."""
    proved = {spf_result.domain.lower(), *(one.domain.lower() for one in signatures)} - {"", *known}
    organisational = {owned.organisational for owned in known.values() if owned.record}
    return sorted(name for name in proved if any(name.endswith(f".{one}") for one in organisational))


def _strictest(results: Sequence[DmarcResult]) -> DmarcResult:
    """The worst result, and of several that fail the one with the strictest wish."""
    return min(
        results or [DmarcResult("none", "")],
        key=lambda one: (_ORDER.index(one.result), -_WISHES.index(one.wish or "none")),
    )


def _judged(
    domain: str, known: Mapping[str, Owned], spf_result: SpfResult, signatures: Sequence[DkimResult]
) -> DmarcResult:
    owned = known.get(domain)
    if owned is None:
        return DmarcResult("temperror", domain)
    record = owned.record
    if not record:
        return DmarcResult("none", domain)
    said = [spf_result.result] if _aligned(spf_result.domain, domain, record.get("aspf", "r"), known) else []
    said += [one.result for one in signatures if _aligned(one.domain, domain, record.get("adkim", "r"), known)]
    if "pass" in said:
        return DmarcResult("pass", domain)
    # Only of the domain itself: nobody gets away by a sender whose DNS is silent.
    return DmarcResult("temperror" if "temperror" in said else "fail", domain, _wish(record, owned.own))


def _wish(record: Mapping[str, str], own: bool) -> str:
    """What is asked for: p, for a subdomain sp or (one that does not exist) np; a step less where it is tried (t)."""
    wishes = [record["p"]] if own else [record.get("np", "") if "missing" in record else "", record.get("sp", "")]
    wish = next((one for one in wishes if one in _WISHES), record["p"])
    return _MILDER[wish] if record.get("t") == "y" else wish


async def _walk(domain: str) -> Owned:
    """What the records of a domain and of those that it is in come to (4.10). Raises EngineFailed."""
    names = [domain, *parents_of(domain)]
    answers = await asyncio.gather(*map(_records, names))
    found: dict[str, dict[str, str]] = {}
    for name, records in zip(names, answers, strict=True):
        if records is not None and len(records) == 1:
            [found[name]] = records
            if found[name].get("psd") in ("y", "n"):
                break
    if answers[0] is None or (not found and None in answers):
        # What matters may stand just there.
        raise EngineFailed(f"the DNS gave no answer for the DMARC policy of {domain}")
    organisational = _organisational(domain, found)
    record = found.get(domain) or found.get(organisational)
    if record is None:
        name, last = next(reversed(found.items()), ("", {}))
        record = last if name and _is_suffix(name, last) else {}
    own = domain in found
    if record and not own and record.get("np") in _WISHES and not await exists(domain, QUESTION_SECONDS):
        record = {**record, "missing": "yes"}
    return Owned(organisational, record, own)


async def _records(name: str) -> list[dict[str, str]] | None:
    """The DMARC records of one name; None when there is no answer."""
    try:
        texts = await ask(f"_dmarc.{name}", "TXT", QUESTION_SECONDS)
    except EngineFailed:
        return None
    return [record for text in texts if (record := _tags(text))]


def _organisational(domain: str, found: Mapping[str, Mapping[str, str]]) -> str:
    """Which of the domains above `domain`, or it, is that of its owner (4.10.2); `found` are the records, upwards."""
    for name, record in found.items():
        if record.get("psd") == "n":
            return name
        if name != domain and _is_suffix(name, record):
            # What is registered is one label below.
            return ".".join(domain.split(".")[-(name.count(".") + 2) :])
    return next(reversed(list(found)), domain)


def _is_suffix(name: str, record: Mapping[str, str]) -> bool:
    """Whether it is a public suffix. A top-level domain that only forgot to say so must not make all below it one's."""
    return record.get("psd") == "y" or ("." not in name and record.get("psd") != "n")


def _tags(text: str) -> dict[str, str]:
    """The tags of a DMARC record; none when it is no valid one. Without a good p= it asks for reports alone (4.7)."""
    if not re.match(r"v\s*=\s*DMARC1\s*(;|$)", text):
        return {}
    tags = {name: value.lower() for name, value in tags_of(text).items()}
    if tags.get("p") not in _WISHES and ":" in tags.get("rua", ""):
        tags["p"] = "none"
    return tags if tags.get("p") in _WISHES else {}


def _aligned(domain: str, author: str, mode: str, known: Mapping[str, Owned]) -> bool:
    """Whether what was proved for `domain` counts for the `author`'s (4.4)."""
    domain = domain.lower()
    if not domain or mode == "s" or domain == author:
        return bool(domain) and domain == author
    organisational = known[author].organisational
    if domain == organisational:
        # Nobody else's: the walk from below has come by its record, or there is none above it.
        return True
    owned = known.get(domain)
    return owned is not None and owned.organisational == organisational


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
