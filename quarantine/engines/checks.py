"""What each kind of check does with a message, and the points that it gives. Never raises for what a server does."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from quarantine.engines import authentication, dmarc, dnslists, reverse, rspamd, rules, spamd, turns
from quarantine.engines.answers import EngineFailed
from quarantine.engines.cooldown import Cooldown
from quarantine.engines.examined import Examined, Result
from quarantine.engines.texts import NOT_LOOKED_AT, read, read_at_once, unread_of
from quarantine.models.addresses import parse_server
from quarantine.models.check import Check, CheckKind

log = logging.getLogger(__name__)

# What a scanner's own score can come to, so that no single one decides with a thousand points.
MOST_POINTS: Final = 100.0
LEAST_POINTS: Final = -20.0
# After so many failures in a row a check pauses, and says so.
rests = Cooldown(first_seconds=30.0, allowed=5)
Found = tuple[float, str]
# An engine's own score, and what hit.
Scored = tuple[float, str]
NOTHING: Final[Found] = (0.0, "")


async def _own_sender(check: Check, examined: Examined) -> str:
    return examined.sender


def _never(check: Check, examined: Examined) -> None:
    return None


@dataclass(frozen=True, slots=True)
class _Kind:
    """How checks of one kind find something out, and the `points` that it comes to.

    `at_once` gives what `ask` would, where nobody has to be waited for, and None otherwise.
    """

    points: Callable[[Check, Examined, Any], Found]
    ask: Callable[[Check, Examined], Awaitable[Any]]
    at_once: Callable[[Check, Examined], Any] = _never
    # Whether a server of the administrator's choice answers, and not just the message or its sender's DNS.
    has_server: bool = False
    # Whether it judges by the client's address, which says nothing about our own people's mail.
    of_client: bool = False
    # Whether it judges whether a message is its sender's, as it came: not what a list has made of it.
    of_origin: bool = False


def applies(check: Check, examined: Examined) -> bool:
    """Whether the check has anything to say of that message."""
    kind = _KINDS[check.kind]
    return not (kind.of_client and examined.ours) and not (kind.of_origin and examined.remailed)


async def run_all(wanted: Sequence[Check], examined: Examined) -> list[Result]:
    """What all of them say, in their order. Only where several have to wait are there tasks: they wait together.

    Raises FileNotFoundError when the message is gone.
    """
    results = [_run_at_once(check, examined) for check in wanted]
    places = [place for place, result in enumerate(results) if result is None]
    if len(places) == 1:
        results[places[0]] = await run(wanted[places[0]], examined)
    else:
        answers = await asyncio.gather(*(run(wanted[place], examined) for place in places))
        for place, answer in zip(places, answers, strict=True):
            results[place] = answer
    return [result for result in results if result is not None]


def _run_at_once(check: Check, examined: Examined) -> Result | None:
    """What a check says that need not wait for anybody; None where it has to, or where something is odd."""
    if rests.resting(check.name):
        return None
    kind = _KINDS[check.kind]
    try:
        found = kind.at_once(check, examined)
        if found is None:
            return None
        points, text = kind.points(check, examined, found)
    except Exception:  # the edge of a check: `run` stumbles over the same, and says so
        return None
    rests.answered(check.name)
    return Result(check.name, check.kind, points, text)


async def run(check: Check, examined: Examined) -> Result:
    """What a check says, within its own time limit; where a server answers, when it is its turn."""
    if rests.resting(check.name):
        return _paused(check)
    if not _KINDS[check.kind].has_server:
        return await _asked(check, examined)
    try:
        async with turns.turn(check):
            # Those before it in line may have found out that it does not answer.
            return _paused(check) if rests.resting(check.name) else await _asked(check, examined)
    except turns.Busy as error:
        return Result(check.name, check.kind, 0.0, str(error), True, busy=True)


def unheard(check: Check) -> Result:
    """What there is of a check that had no time to answer at all."""
    return Result(check.name, check.kind, 0.0, "busy: no answer in time", True, busy=True)


def _paused(check: Check) -> Result:
    return Result(check.name, check.kind, 0.0, "paused: it has not answered lately", True)


async def _asked(check: Check, examined: Examined) -> Result:
    started = time.monotonic()
    try:
        async with asyncio.timeout(check.timeout_seconds):
            kind = _KINDS[check.kind]
            points, text = kind.points(check, examined, await kind.ask(check, examined))
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
        return Result(check.name, check.kind, 0.0, repr(error)[:200], True, time.monotonic() - started)
    rests.answered(check.name)
    return Result(check.name, check.kind, points, text, False, time.monotonic() - started)


def _failed(check: Check, why: str, started: float) -> Result:
    """Only a server rests: what a message or its sender's DNS causes is a result of that message alone."""
    if _KINDS[check.kind].has_server:
        rests.failed(check.name, why)
    return Result(check.name, check.kind, 0.0, why, True, time.monotonic() - started)


async def _spamd(check: Check, examined: Examined) -> Scored | None:
    content = await examined.off_loop(lambda: examined.content)
    if content is None:
        return None
    return await spamd.score(parse_server(check.where), spamd.as_ours(content) if examined.ours else content)


async def _rspamd(check: Check, examined: Examined) -> Scored | None:
    content = await examined.off_loop(lambda: examined.content)
    return None if content is None else await rspamd.score(parse_server(check.where), examined, content)


def _points_of_score(check: Check, examined: Examined, found: Scored | None) -> Found:
    if found is None:
        return 0.0, f"{NOT_LOOKED_AT}it is larger than {examined.max_content_bytes // 1024} KB"
    score, hits = found
    if not math.isfinite(score):
        raise EngineFailed(f"the score {score} is no number")
    points = max(LEAST_POINTS, min(MOST_POINTS, score * check.weight))
    return points, f"score {score:g}{f': {hits}' if hits else ''}"


async def _ip_list(check: Check, examined: Examined) -> str:
    return await dnslists.listed_ip(examined, check.where, check.pattern, check.timeout_seconds)


def _ip_list_at_once(check: Check, examined: Examined) -> str | None:
    return None if dnslists.can_be_listed(examined.client_ip) else ""


def _points_of_ip(check: Check, examined: Examined, found: str) -> Found:
    return (check.weight, f"{examined.client_ip} is listed: {found}") if found else NOTHING


async def _uri_list(check: Check, examined: Examined) -> str:
    return await dnslists.listed_domains(examined, check.where, check.pattern, check.timeout_seconds)


def _uri_list_at_once(check: Check, examined: Examined) -> str | None:
    return "" if examined.is_small and not dnslists.domains_in(read_at_once(examined).text) else None


def _points_of_uris(check: Check, examined: Examined, found: str) -> Found:
    if found:
        return check.weight, f"listed: {found}"
    if (examined.known("links") or 0) > dnslists.MOST_DOMAINS:
        return 0.0, f"{NOT_LOOKED_AT}domains after the first {dnslists.MOST_DOMAINS}"
    return 0.0, unread_of(examined)


def _points_of_spf(check: Check, examined: Examined, found: authentication.SpfResult) -> Found:
    share = {"fail": 1.0, "softfail": 0.5, "permerror": 0.25}.get(found.result, 0.0)
    return check.weight * share, f"{found.result} for {found.domain}" if found.domain else found.result


def _points_of_dkim(check: Check, examined: Examined, found: list[authentication.DkimResult]) -> Found:
    if not found:
        return 0.0, "none"
    text = ", ".join(f"{one.result} for {one.domain or 'nobody'}" for one in found)
    bad = not any(one.result == "pass" for one in found) and any(one.result == "fail" for one in found)
    return check.weight if bad else 0.0, text


_SHARE_OF_WISH: Final = {"reject": 1.0, "quarantine": 0.5}


def _points_of_dmarc(check: Check, examined: Examined, found: dmarc.DmarcResult) -> Found:
    if found.result == "permerror" and found.wish:
        return check.weight * _SHARE_OF_WISH[found.wish], "permerror: From is longer than can be judged"
    if found.result != "fail":
        return 0.0, f"{found.result} for {found.domain}" if found.domain else found.result
    share = _SHARE_OF_WISH.get(found.wish, 0.0)
    return check.weight * share, f"fail for {found.domain}, which asks for {found.wish}"


def _points_of_name(check: Check, examined: Examined, found: reverse.Name) -> Found:
    """No name weighs all; a name that does not lead back to the address weighs half."""
    client_ip = examined.client_ip
    if found is reverse.NOBODY:
        return NOTHING
    if not found.name:
        return check.weight, f"{client_ip} has no name"
    return (
        (0.0, found.name) if found.leads_back else (check.weight / 2, f"{found.name} does not lead back to {client_ip}")
    )


def _points_of_sender(check: Check, examined: Examined, sender: str) -> Found:
    # What this machine writes itself, as an alert, has no sender who could be told of anything.
    is_made_here = examined.ours and not examined.client_ip
    return NOTHING if sender or is_made_here else (check.weight, "the sender is <>")


def _points_of_header(check: Check, examined: Examined, found: str) -> Found:
    if found:
        return check.weight, f"{check.where} has {found}"
    return 0.0, rules.unread_headers(examined, check.where)


def _points_of_text(check: Check, examined: Examined, found: str) -> Found:
    return (check.weight, f"the text has {found}") if found else (0.0, unread_of(examined))


async def _unread(check: Check, examined: Examined) -> str:
    await read(examined)
    return unread_of(examined)


def _unread_at_once(check: Check, examined: Examined) -> str | None:
    if not examined.is_small:
        return None
    read_at_once(examined)
    return unread_of(examined)


def _points_of_unread(check: Check, examined: Examined, found: str) -> Found:
    return (check.weight, found) if found else NOTHING


_BY_KIND: dict[CheckKind, _Kind] = {
    CheckKind.SPAMD: _Kind(_points_of_score, ask=_spamd, has_server=True),
    CheckKind.RSPAMD: _Kind(_points_of_score, ask=_rspamd, has_server=True),
    CheckKind.IP_LIST: _Kind(_points_of_ip, ask=_ip_list, at_once=_ip_list_at_once, has_server=True, of_client=True),
    CheckKind.URI_LIST: _Kind(_points_of_uris, ask=_uri_list, at_once=_uri_list_at_once, has_server=True),
    CheckKind.SPF: _Kind(
        _points_of_spf,
        ask=lambda check, examined: authentication.spf_of(examined),
        at_once=lambda check, examined: authentication.spf_at_once(examined),
        of_client=True,
        of_origin=True,
    ),
    CheckKind.DKIM: _Kind(
        _points_of_dkim,
        ask=lambda check, examined: authentication.dkim_of(examined),
        at_once=lambda check, examined: authentication.dkim_at_once(examined),
        of_origin=True,
    ),
    CheckKind.DMARC: _Kind(
        _points_of_dmarc,
        ask=lambda check, examined: dmarc.dmarc_of(examined),
        at_once=lambda check, examined: dmarc.dmarc_at_once(examined),
        of_client=True,
        of_origin=True,
    ),
    CheckKind.REVERSE_DNS: _Kind(
        _points_of_name,
        ask=lambda check, examined: reverse.name_of(examined.client_ip, check.timeout_seconds),
        at_once=lambda check, examined: reverse.name_at_once(examined.client_ip),
        of_client=True,
    ),
    CheckKind.NULL_SENDER: _Kind(_points_of_sender, ask=_own_sender, at_once=lambda check, examined: examined.sender),
    CheckKind.HEADER: _Kind(
        _points_of_header,
        ask=lambda check, examined: rules.header_rule(examined, check.where, check.pattern),
        at_once=lambda check, examined: rules.header_rule_at_once(examined, check.where, check.pattern),
    ),
    CheckKind.BODY: _Kind(
        _points_of_text,
        ask=lambda check, examined: rules.text_rule(examined, check.pattern),
        at_once=lambda check, examined: rules.text_rule_at_once(examined, check.pattern),
    ),
    CheckKind.UNREAD: _Kind(_points_of_unread, ask=_unread, at_once=_unread_at_once),
}
# By what a row has: to make an enum's member of it takes longer than many a check.
_KINDS = {kind.value: how for kind, how in _BY_KIND.items()}
