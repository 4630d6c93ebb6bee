"""What each kind of check does with a message, and the points that it gives. Never raises for what a server does."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Final

from quarantine.engines import authentication, dnslists, rspamd, rules, spamd
from quarantine.engines.answers import EngineFailed
from quarantine.engines.examined import Examined, Result
from quarantine.engines.resolver import ask, names_of
from quarantine.engines.resting import Rests
from quarantine.models.addresses import parse_server
from quarantine.models.check import Check, CheckKind

log = logging.getLogger(__name__)

# What a scanner's own score can come to, so that no single one decides with a thousand points.
MOST_POINTS: Final = 100.0
LEAST_POINTS: Final = -20.0
# After so many failures in a row a check pauses, and says so.
rests = Rests(first_seconds=30.0, allowed=5)
Found = tuple[float, str]


async def run(check: Check, examined: Examined) -> Result:
    """What a check says, within its own time limit."""
    if rests.resting(check.name):
        return Result(check.name, check.kind, 0.0, "paused: it has not answered lately", True)
    started = time.monotonic()
    try:
        async with asyncio.timeout(check.timeout_seconds):
            points, text = await _KINDS[CheckKind(check.kind)](check, examined)
    except FileNotFoundError:
        if examined.is_gone:
            raise
        return _failed(check, "there is no such socket", started)
    except TimeoutError:
        return _failed(check, f"no answer within {check.timeout_seconds} s", started)
    except (EngineFailed, OSError) as error:
        return _failed(check, getattr(error, "strerror", "") or str(error) or type(error).__name__, started)
    except Exception as error:  # the edge of a check: a library that stumbles over a message must not hold it up
        log.exception("the check %s failed", check.name)
        return _failed(check, repr(error)[:200], started)
    rests.answered(check.name)
    return Result(check.name, check.kind, points, text, False, time.monotonic() - started)


def _failed(check: Check, why: str, started: float) -> Result:
    rests.failed(check.name, why)
    return Result(check.name, check.kind, 0.0, why, True, time.monotonic() - started)


async def _spamd(check: Check, examined: Examined) -> Found:
    content = await examined.off_loop(lambda: examined.content)
    if content is None:
        return 0.0, "too large"
    return _scaled(check, *await spamd.score(parse_server(check.where), content))


async def _rspamd(check: Check, examined: Examined) -> Found:
    content = await examined.off_loop(lambda: examined.content)
    if content is None:
        return 0.0, "too large"
    return _scaled(check, *await rspamd.score(parse_server(check.where), examined, content))


def _scaled(check: Check, score: float, hits: str) -> Found:
    points = max(LEAST_POINTS, min(MOST_POINTS, score * check.weight))
    return points, f"score {score:g}{f': {hits}' if hits else ''}"


async def _ip_list(check: Check, examined: Examined) -> Found:
    found = await dnslists.listed_ip(examined, check.where, check.pattern, check.timeout_seconds)
    return (check.weight, f"{examined.client_ip} is listed: {found}") if found else (0.0, "")


async def _uri_list(check: Check, examined: Examined) -> Found:
    found = await dnslists.listed_domains(examined, check.where, check.pattern, check.timeout_seconds)
    return (check.weight, f"listed: {found}") if found else (0.0, "")


async def _spf(check: Check, examined: Examined) -> Found:
    found = await authentication.spf_of(examined)
    share = {"fail": 1.0, "softfail": 0.5, "permerror": 0.25}.get(found.result, 0.0)
    return check.weight * share, f"{found.result} for {found.domain}" if found.domain else found.result


async def _dkim(check: Check, examined: Examined) -> Found:
    found = await authentication.dkim_of(examined)
    if not found:
        return 0.0, "none"
    text = ", ".join(f"{one.result} for {one.domain or 'nobody'}" for one in found)
    bad = not any(one.result == "pass" for one in found) and any(one.result == "fail" for one in found)
    return check.weight if bad else 0.0, text


async def _dmarc(check: Check, examined: Examined) -> Found:
    found = await authentication.dmarc_of(examined)
    if found.result != "fail":
        return 0.0, f"{found.result} for {found.domain}" if found.domain else found.result
    share = {"reject": 1.0, "quarantine": 0.5}.get(found.wish, 0.0)
    return check.weight * share, f"fail for {found.domain}, which asks for {found.wish}"


async def _reverse_dns(check: Check, examined: Examined) -> Found:
    """No name weighs all; a name that does not lead back to the address weighs half."""
    if not examined.client_ip:
        return 0.0, ""
    names = await names_of(examined.client_ip, check.timeout_seconds)
    if not names:
        return check.weight, f"{examined.client_ip} has no name"
    kind = "AAAA" if ":" in examined.client_ip else "A"
    for name in names[:5]:
        if examined.client_ip in await ask(name, kind, check.timeout_seconds):
            return 0.0, name
    return check.weight / 2, f"{names[0]} does not lead back to {examined.client_ip}"


async def _null_sender(check: Check, examined: Examined) -> Found:
    return (0.0, "") if examined.sender else (check.weight, "the sender is <>")


async def _header(check: Check, examined: Examined) -> Found:
    found = await rules.header_rule(examined, check.where, check.pattern)
    return (check.weight, f"{check.where} has {found}") if found else (0.0, "")


async def _body(check: Check, examined: Examined) -> Found:
    found = await rules.text_rule(examined, check.pattern)
    return (check.weight, f"the text has {found}") if found else (0.0, "")


_KINDS: dict[CheckKind, Callable[[Check, Examined], Awaitable[Found]]] = {
    CheckKind.SPAMD: _spamd, CheckKind.RSPAMD: _rspamd, CheckKind.IP_LIST: _ip_list, CheckKind.URI_LIST: _uri_list,
    CheckKind.SPF: _spf, CheckKind.DKIM: _dkim, CheckKind.DMARC: _dmarc, CheckKind.REVERSE_DNS: _reverse_dns,
    CheckKind.NULL_SENDER: _null_sender, CheckKind.HEADER: _header, CheckKind.BODY: _body,
}  # fmt: skip
