"""Whether a message comes from where it says, by SPF (pyspf) and DKIM (dkimpy); DMARC is in dmarc.py.

Both libraries ask the DNS synchronously: they run in threads of their own, with a short limit for each question.
"""

from __future__ import annotations

import asyncio
import logging
import re
import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

import dkim
import dns.exception
import dns.resolver

from base.expiring import ExpiringDict
from quarantine.engines import dkim_bounds
from quarantine.engines.dkim_signatures import Signed
from quarantine.engines.examined import Examined
from quarantine.engines.resolver import blocking_resolver

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
_NO_KEY: Final = re.compile(rb"(?:^|;)\s*p\s*=\s*(?:;|$)")
_REVOKED: Final = "the key was revoked"


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


_spf_kept: ExpiringDict[tuple[str, str, str], SpfResult] = ExpiringDict(KEPT_SECONDS)


async def spf_of(examined: Examined) -> SpfResult:
    """The result for the client; temperror when the DNS of the domain gives no answer."""
    return await examined.once("spf", lambda: _kept_spf(examined))  # type: ignore[no-any-return]


async def dkim_of(examined: Examined) -> list[DkimResult]:
    """One for each signature; temperror for one whose key the DNS does not give."""
    known = dkim_at_once(examined)
    if known is not None:
        return known
    return await examined.once("dkim", lambda: _in_thread(_check_dkim, examined))  # type: ignore[no-any-return]


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


def _check_spf(examined: Examined) -> SpfResult:
    sender_domain = examined.sender.rpartition("@")[2]
    domain = sender_domain or examined.ehlo_name
    if not examined.client_ip or not domain:
        return SpfResult("none", domain)
    sender = examined.sender or f"postmaster@{domain}"
    result, text = spf.check2(
        i=examined.client_ip, s=sender, h=examined.ehlo_name or domain, timeout=SPF_SECONDS, querytime=SPF_SECONDS
    )
    return SpfResult(str(result), domain, not sender_domain, str(text)[:200])


def spf_by_record(record: str, ip: str, domain: str, ehlo_name: str) -> tuple[str, str]:
    """RFC 7208's result, and why, for mail of `domain` from an address, if its record were this one."""
    asked = spf.query(i=ip, s=f"postmaster@{domain}", h=ehlo_name, timeout=SPF_SECONDS, querytime=SPF_SECONDS)
    result, _code, text = asked.check(spf=record)
    return str(result), str(text)[:200]


def _check_dkim(examined: Examined) -> list[DkimResult]:
    try:
        message = Signed(examined, QUESTION_SECONDS)
    except OSError:
        raise
    except Exception as error:  # the edge of a library: no DKIM is a result, and DMARC has to be judged by it
        return [DkimResult("neutral", "", str(error)[:200])]
    signatures = [value for name, value in message.headers if name.lower() == b"dkim-signature"]
    results = []
    for index, signature in enumerate(signatures[:MOST_SIGNATURES]):
        excess = dkim_bounds.excess(message, signature)
        results.append(DkimResult("permerror", "", excess) if excess else _verified(message, index))
    return results


def _verified(message: Signed, index: int) -> DkimResult:
    message.is_tried = False
    try:
        good = message.verify(idx=index, dnsfunc=_txt)
        result, text = ("pass", "") if good else ("fail", "the signature does not fit the message")
    except dkim.DnsTimeoutError as error:
        result, text = "temperror", f"the DNS gave no key: {error}"[:200]
    except OSError:
        raise
    except Exception as error:  # the edge of a library, which stumbles over some of what strangers and their DNS say
        # A signature or key that can't be read speaks neither for nor against a message (RFC 6376 3.9); one whose
        # key was revoked (3.6.1: an empty p=) is no signature any more.
        failed = "body hash mismatch" in str(error) or str(error) == _REVOKED
        result, text = "fail" if failed else "permerror", str(error)[:200]
    if result == "fail" and message.is_tried:
        # As good as no signature, whatever it says (3.6.1: t=y).
        result, text = "neutral", f"its owner is only trying: {text}"
    domain = (message.domain or b"").decode("ascii", "replace").lower()
    return DkimResult(result, domain, text)


def _txt(name: Any, timeout: float = QUESTION_SECONDS) -> bytes | None:
    """The TXT record of a DKIM key, as dkimpy asks for it."""
    asked = name.decode("ascii", "replace") if isinstance(name, bytes) else str(name)
    try:
        answer = blocking_resolver().resolve(asked, "TXT", search=False, lifetime=QUESTION_SECONDS)
    except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
        return None
    except (dns.exception.DNSException, OSError, ValueError) as error:
        raise dkim.DnsTimeoutError(f"{asked} ({type(error).__name__})") from error
    record = b"".join(answer[0].strings)
    if _NO_KEY.search(record):
        raise dkim.ValidationError(_REVOKED)
    return record


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


spf.DNSLookup = _spf_lookup
