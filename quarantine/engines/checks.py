"""What each kind of check does with a message, and the points that it gives. Never raises for what a server does."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from quarantine.engines import authentication, dnslists, reverse, rspamd, rules, spamd
from quarantine.engines.answers import EngineFailed
from quarantine.engines.examined import Examined, Result
from quarantine.engines.resting import Rests
from quarantine.engines.texts import text_at_once
from quarantine.models.addresses import parse_server
from quarantine.models.check import Check, CheckKind

log = logging.getLogger(__name__)

# What a scanner's own score can come to, so that no single one decides with a thousand points.
MOST_POINTS: Final = 100.0
LEAST_POINTS: Final = -20.0
# After so many failures in a row a check pauses, and says so.
rests = Rests(first_seconds=30.0, allowed=5)
Found = tuple[float, str]
NOTHING: Final[Found] = (0.0, "")


async def run_all(wanted: Sequence[Check], examined: Examined) -> list[Result]:
    """What all of them say, in their order. Only for those that have to wait is there a task, and they wait together.

    Raises FileNotFoundError when the message is gone.
    """
    results = [_run_at_once(check, examined) for check in wanted]
    places = [place for place, result in enumerate(results) if result is None]
    answers = await asyncio.gather(*(run(wanted[place], examined) for place in places))
    for place, answer in zip(places, answers, strict=True):
        results[place] = answer
    return [result for result in results if result is not None]


def _run_at_once(check: Check, examined: Examined) -> Result | None:
    """What a check says that need not wait for anybody; None where it has to, or where something is odd."""
    answer = _AT_ONCE.get(CheckKind(check.kind))
    if answer is None or rests.resting(check.name):
        return None
    try:
        found = answer(check, examined)
    except Exception:
        # It is asked again by `run`, which knows what to do about it.
        return None
    if found is None:
        return None
    rests.answered(check.name)
    return Result(check.name, check.kind, *found)


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
    return (check.weight, f"{examined.client_ip} is listed: {found}") if found else NOTHING


def _ip_list_at_once(check: Check, examined: Examined) -> Found | None:
    return None if dnslists.can_be_listed(examined.client_ip) else NOTHING


async def _uri_list(check: Check, examined: Examined) -> Found:
    found = await dnslists.listed_domains(examined, check.where, check.pattern, check.timeout_seconds)
    return (check.weight, f"listed: {found}") if found else NOTHING


def _uri_list_at_once(check: Check, examined: Examined) -> Found | None:
    return NOTHING if examined.is_small and not dnslists.domains_in(text_at_once(examined)) else None


async def _spf(check: Check, examined: Examined) -> Found:
    return _points_of_spf(check, await authentication.spf_of(examined))


def _spf_at_once(check: Check, examined: Examined) -> Found | None:
    found = authentication.spf_at_once(examined)
    return None if found is None else _points_of_spf(check, found)


def _points_of_spf(check: Check, found: authentication.SpfResult) -> Found:
    share = {"fail": 1.0, "softfail": 0.5, "permerror": 0.25}.get(found.result, 0.0)
    return check.weight * share, f"{found.result} for {found.domain}" if found.domain else found.result


async def _dkim(check: Check, examined: Examined) -> Found:
    return _points_of_dkim(check, await authentication.dkim_of(examined))


def _dkim_at_once(check: Check, examined: Examined) -> Found | None:
    found = authentication.dkim_at_once(examined)
    return None if found is None else _points_of_dkim(check, found)


def _points_of_dkim(check: Check, found: list[authentication.DkimResult]) -> Found:
    if not found:
        return 0.0, "none"
    text = ", ".join(f"{one.result} for {one.domain or 'nobody'}" for one in found)
    bad = not any(one.result == "pass" for one in found) and any(one.result == "fail" for one in found)
    return check.weight if bad else 0.0, text


async def _dmarc(check: Check, examined: Examined) -> Found:
    return _points_of_dmarc(check, await authentication.dmarc_of(examined))


def _dmarc_at_once(check: Check, examined: Examined) -> Found | None:
    found = authentication.dmarc_at_once(examined)
    return None if found is None else _points_of_dmarc(check, found)


def _points_of_dmarc(check: Check, found: authentication.DmarcResult) -> Found:
    if found.result != "fail":
        return 0.0, f"{found.result} for {found.domain}" if found.domain else found.result
    share = {"reject": 1.0, "quarantine": 0.5}.get(found.wish, 0.0)
    return check.weight * share, f"fail for {found.domain}, which asks for {found.wish}"


async def _reverse_dns(check: Check, examined: Examined) -> Found:
    if not examined.client_ip:
        return NOTHING
    return _points_of_name(check, await reverse.name_of(examined.client_ip, check.timeout_seconds), examined.client_ip)


def _reverse_dns_at_once(check: Check, examined: Examined) -> Found | None:
    if not examined.client_ip:
        return NOTHING
    found = reverse.name_at_once(examined.client_ip)
    return None if found is None else _points_of_name(check, found, examined.client_ip)


def _points_of_name(check: Check, found: reverse.Name, client_ip: str) -> Found:
    """No name weighs all; a name that does not lead back to the address weighs half."""
    if not found.name:
        return check.weight, f"{client_ip} has no name"
    return (0.0, found.name) if found.leads_back else (
        check.weight / 2, f"{found.name} does not lead back to {client_ip}"
    )  # fmt: skip


async def _null_sender(check: Check, examined: Examined) -> Found:
    return _null_sender_at_once(check, examined)


def _null_sender_at_once(check: Check, examined: Examined) -> Found:
    return NOTHING if examined.sender else (check.weight, "the sender is <>")


async def _header(check: Check, examined: Examined) -> Found:
    return _points_of_header(check, await rules.header_rule(examined, check.where, check.pattern))


def _header_at_once(check: Check, examined: Examined) -> Found | None:
    found = rules.header_rule_at_once(examined, check.where, check.pattern)
    return None if found is None else _points_of_header(check, found)


def _points_of_header(check: Check, found: str) -> Found:
    return (check.weight, f"{check.where} has {found}") if found else NOTHING


async def _body(check: Check, examined: Examined) -> Found:
    return _points_of_text(check, await rules.text_rule(examined, check.pattern))


def _body_at_once(check: Check, examined: Examined) -> Found | None:
    found = rules.text_rule_at_once(examined, check.pattern)
    return None if found is None else _points_of_text(check, found)


def _points_of_text(check: Check, found: str) -> Found:
    return (check.weight, f"the text has {found}") if found else NOTHING


_KINDS: dict[CheckKind, Callable[[Check, Examined], Awaitable[Found]]] = {
    CheckKind.SPAMD: _spamd, CheckKind.RSPAMD: _rspamd, CheckKind.IP_LIST: _ip_list, CheckKind.URI_LIST: _uri_list,
    CheckKind.SPF: _spf, CheckKind.DKIM: _dkim, CheckKind.DMARC: _dmarc, CheckKind.REVERSE_DNS: _reverse_dns,
    CheckKind.NULL_SENDER: _null_sender, CheckKind.HEADER: _header, CheckKind.BODY: _body,
}  # fmt: skip
_AT_ONCE: dict[CheckKind, Callable[[Check, Examined], Found | None]] = {
    CheckKind.IP_LIST: _ip_list_at_once, CheckKind.URI_LIST: _uri_list_at_once, CheckKind.SPF: _spf_at_once,
    CheckKind.DKIM: _dkim_at_once, CheckKind.DMARC: _dmarc_at_once, CheckKind.REVERSE_DNS: _reverse_dns_at_once,
    CheckKind.NULL_SENDER: _null_sender_at_once, CheckKind.HEADER: _header_at_once, CheckKind.BODY: _body_at_once,
}  # fmt: skip
