"""Whether a message comes from where it says: SPF (pyspf), DKIM (dkimpy) and DMARC, and their results for its header.

Both libraries ask the DNS synchronously: they run in threads of their own, with a short limit for each question.
"""

from __future__ import annotations

import asyncio
import logging
import re
import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from email.utils import getaddresses
from typing import Any, Final

import dkim
import dns.exception
import dns.resolver

from quarantine.engines.answers import EngineFailed
from quarantine.engines.dnslists import organisational
from quarantine.engines.examined import Examined
from quarantine.engines.kept import Kept
from quarantine.engines.resolver import ask, blocking_resolver

with warnings.catch_warnings():
    # Old escapes in its texts.
    warnings.simplefilter("ignore")
    import spf

log = logging.getLogger(__name__)

QUESTION_SECONDS: Final = 3.0
MOST_SIGNATURES: Final = 5
# RFC 7208 4.6.4 bounds the number of questions; this bounds their time.
SPF_SECONDS: Final = 15
# Shorter than any TTL in use.
KEPT_SECONDS: Final = 30.0
_threads = ThreadPoolExecutor(16, thread_name_prefix="authentication")
_TAG: Final = re.compile(r"\s*([A-Za-z]+)\s*=\s*([^;]*)")


@dataclass(frozen=True, slots=True)
class SpfResult:
    """RFC 7208's result for `domain`; `of_helo` when the sender is null and the EHLO name was looked at."""

    result: str
    domain: str
    of_helo: bool = False
    text: str = ""


@dataclass(frozen=True, slots=True)
class DkimResult:
    """RFC 6376's result for one signature."""

    result: str
    domain: str
    text: str = ""


@dataclass(frozen=True, slots=True)
class DmarcResult:
    """RFC 7489's result for the domain of From; `wish` is what its owner asks for when it fails."""

    result: str
    domain: str
    wish: str = ""


Policy = tuple[dict[str, str], bool]
_spf_kept: Kept[tuple[str, str, str], SpfResult] = Kept(KEPT_SECONDS)
_policies_kept: Kept[str, Policy] = Kept(KEPT_SECONDS)


async def spf_of(examined: Examined) -> SpfResult:
    """The result for the client. Raises EngineFailed when the DNS gives no answer."""
    return await examined.once("spf", lambda: _kept_spf(examined))  # type: ignore[no-any-return]


async def dkim_of(examined: Examined) -> list[DkimResult]:
    """One for each signature. Raises EngineFailed when the DNS gives no answer."""
    known = dkim_at_once(examined)
    if known is not None:
        return known
    return await examined.once("dkim", lambda: _in_thread(_check_dkim, examined))  # type: ignore[no-any-return]


async def dmarc_of(examined: Examined) -> DmarcResult:
    """The result for the domain of From. Raises EngineFailed when the DNS gives no answer."""
    return await examined.once("dmarc", lambda: _check_dmarc(examined))  # type: ignore[no-any-return]


async def _in_thread(work: Any, examined: Examined) -> Any:
    return await asyncio.get_running_loop().run_in_executor(_threads, work, examined)


async def _kept_spf(examined: Examined) -> SpfResult:
    """The answer of a moment ago for the same session and sender: they often send more than one message."""
    known = _spf_kept.get(_spf_key(examined))
    if known is None:
        known = _spf_kept.keep(_spf_key(examined), await _in_thread(_check_spf, examined))
    return known


def spf_at_once(examined: Examined) -> SpfResult | None:
    """The result, or None when the DNS has to be asked."""
    found = _spf_kept.get(_spf_key(examined))
    if found is not None:
        examined.tell("spf", found)
    return found


def _spf_key(examined: Examined) -> tuple[str, str, str]:
    return examined.client_ip, examined.sender, examined.ehlo_name


def dkim_at_once(examined: Examined) -> list[DkimResult] | None:
    """The results, or None when there are signatures. Most mail of one's own users has none."""
    if b"dkim-signature" in examined.head.lower():
        return None
    examined.tell("dkim", [])
    return []


def dmarc_at_once(examined: Examined) -> DmarcResult | None:
    """The result, or None when the DNS has to be asked."""
    domain = from_domain(examined)
    policy = _policies_kept.get(domain) if domain else ({}, False)
    if policy is None:
        return None
    if policy[0]:
        spf_result, signatures = spf_at_once(examined), dkim_at_once(examined)
        if spf_result is None or signatures is None:
            return None
        found = _aligned_with(domain, policy, spf_result, signatures)
    else:
        found = DmarcResult("none", domain)
    examined.tell("dmarc", found)
    return found


def _check_spf(examined: Examined) -> SpfResult:
    sender_domain = examined.sender.rpartition("@")[2]
    domain = sender_domain or examined.ehlo_name
    if not examined.client_ip or not domain:
        return SpfResult("none", domain)
    sender = examined.sender or f"postmaster@{domain}"
    result, text = spf.check2(
        i=examined.client_ip, s=sender, h=examined.ehlo_name or domain, timeout=SPF_SECONDS, querytime=SPF_SECONDS
    )
    if result == "temperror":
        raise EngineFailed(f"the DNS gave no answer about {domain}: {text}")
    return SpfResult(str(result), domain, not sender_domain, str(text)[:200])


def _check_dkim(examined: Examined) -> list[DkimResult]:
    content = examined.content
    if content is None:
        return []
    try:
        message = dkim.DKIM(content, logger=_silent, timeout=QUESTION_SECONDS)
    except dkim.DKIMException as error:
        return [DkimResult("neutral", "", str(error)[:200])]
    signatures = sum(name.lower() == b"dkim-signature" for name, _ in message.headers)
    results = []
    for index in range(min(signatures, MOST_SIGNATURES)):
        results.append(_verified(message, index))
    return results


def _verified(message: dkim.DKIM, index: int) -> DkimResult:
    try:
        good = message.verify(idx=index, dnsfunc=_txt)
        result, text = ("pass", "") if good else ("fail", "the signature does not fit the message")
    except dkim.DnsTimeoutError as error:
        raise EngineFailed(f"the DNS gave no key: {error}") from error
    except (dkim.DKIMException, ValueError, TypeError, KeyError) as error:
        # A signature or key that can't be read speaks neither for nor against a message (RFC 6376 3.9).
        result, text = "fail" if "body hash mismatch" in str(error) else "permerror", str(error)[:200]
    domain = (message.domain or b"").decode("ascii", "replace").lower()
    return DkimResult(result, domain, text)


async def _check_dmarc(examined: Examined) -> DmarcResult:
    domain = from_domain(examined)
    if not domain:
        return DmarcResult("none", "")
    policy = _policies_kept.get(domain) or _policies_kept.keep(domain, await _policy(domain))
    if not policy[0]:
        return DmarcResult("none", domain)
    return _aligned_with(domain, policy, *await asyncio.gather(spf_of(examined), dkim_of(examined)))


def _aligned_with(domain: str, policy: Policy, spf_result: SpfResult, signatures: list[DkimResult]) -> DmarcResult:
    record, own = policy
    by_spf = spf_result.result == "pass" and _aligned(spf_result.domain, domain, record.get("aspf", "r"))
    by_dkim = any(one.result == "pass" and _aligned(one.domain, domain, record.get("adkim", "r")) for one in signatures)
    wish = record["p"] if own else record.get("sp", record["p"])
    return DmarcResult("pass" if by_spf or by_dkim else "fail", domain, wish)


async def _policy(domain: str) -> Policy:
    """The policy for `domain`, and whether it is the domain's own (RFC 7489 6.6.3)."""
    for name in dict.fromkeys((domain, organisational(domain))):
        found = [record for text in await ask(f"_dmarc.{name}", "TXT", QUESTION_SECONDS) if (record := _tags(text))]
        if len(found) == 1:
            return found[0], name == domain
    return {}, False


def _tags(text: str) -> dict[str, str]:
    """The tags of a DMARC record; none when it is no valid one."""
    if not re.match(r"v\s*=\s*DMARC1\s*(;|$)", text):
        return {}
    tags = {name.lower(): value.strip().lower() for name, value in _TAG.findall(text.replace(";", " ; "))}
    return tags if tags.get("p") in ("none", "quarantine", "reject") else {}


def _aligned(domain: str, from_: str, mode: str) -> bool:
    if mode == "s":
        return domain.lower() == from_
    return organisational(domain) == organisational(from_)


def from_domain(examined: Examined) -> str:
    """The one domain of From, lower case; "" when there is none, or more than one (RFC 7489 6.6.1)."""
    fields = [value.decode("utf-8", "replace") for value in examined.fields.all("from")]
    domains = {a.rpartition("@")[2].strip().lower() for _, a in getaddresses(fields) if "@" in a}
    return domains.pop() if len(domains) == 1 else ""


def _txt(name: Any, timeout: float = QUESTION_SECONDS) -> bytes | None:
    """The TXT record of a DKIM key, as dkimpy asks for it."""
    asked = name.decode("ascii", "replace") if isinstance(name, bytes) else str(name)
    try:
        answer = blocking_resolver().resolve(asked, "TXT", search=False, lifetime=QUESTION_SECONDS)
    except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
        return None
    except (dns.exception.DNSException, OSError, ValueError) as error:
        raise dkim.DnsTimeoutError(f"{asked} ({type(error).__name__})") from error
    return b"".join(answer[0].strings)


def _spf_lookup(name: str, kind: str, tcpfallback: bool = True, timeout: float = QUESTION_SECONDS) -> list[Any]:
    """What pyspf asks the DNS by, at our resolver. Raises spf.TempError."""
    try:
        answer = blocking_resolver().resolve(name, kind, search=False, lifetime=min(timeout, QUESTION_SECONDS))
    except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
        return []
    except (dns.exception.DNSException, OSError, ValueError) as error:
        raise spf.TempError(f"DNS {type(error).__name__}") from error
    return [((name, kind), _spf_value(kind, record)) for record in answer]


def _spf_value(kind: str, record: Any) -> Any:
    if kind in ("A", "AAAA"):
        return record.address
    if kind == "MX":
        return (record.preference, record.exchange)
    return record.target.to_text(True) if kind == "PTR" else record.strings


def forget() -> None:
    """Drop what was kept."""
    _spf_kept.clear()
    _policies_kept.clear()


spf.DNSLookup = _spf_lookup
_silent = logging.getLogger("quarantine.dkim")
_silent.setLevel(logging.CRITICAL)
