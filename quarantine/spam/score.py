"""From what the checks said to points, levels and header lines. Deciding only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final, Self

from django.conf import settings as django_settings

from quarantine.engines import checks
from quarantine.engines.authentication import DkimResult, SpfResult
from quarantine.engines.dmarc import DmarcResult
from quarantine.engines.examined import Examined, Result
from quarantine.engines.texts import NOT_LOOKED_AT
from quarantine.models.antispam import AntispamSettings
from quarantine.models.antispam import WhenUnansweredInbound as Inbound
from quarantine.models.check import SERVERS, Check, CheckKind
from spool.delivery.trace_headers import header_line

# What tells whether a sender is the one it says.
_OF_SENDERS: Final = (CheckKind.SPF, CheckKind.DKIM, CheckKind.DMARC)
# The kind of a result that no check gave: the message passed the others by.
TRUSTED: Final = "trusted"
_TOKEN: Final = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_")


class Level(Enum):
    """How sure it is."""

    NONE = "none"
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"


@dataclass(frozen=True, slots=True)
class Findings:
    """What the checks said of one message, and the results for Authentication-Results."""

    results: list[Result]
    authenticated: list[str]

    @property
    def trusted(self) -> bool:
        """Whether it passed the checks by, as its sender is trusted and proven."""
        return any(one.kind == TRUSTED for one in self.results)

    def missing(self, wanted: Sequence[Check], examined: Examined) -> list[Check]:
        """Those that look at the message and have not been asked."""
        if self.trusted:
            return []
        names = {one.check for one in self.results}
        return [check for check in wanted if check.name not in names and checks.applies(check, examined)]

    @property
    def complete(self) -> bool:
        """Whether every check has answered."""
        return not any(one.failed for one in self.results)

    def as_json(self) -> list[Any]:
        """Complete findings, ready for JSON."""
        rows = [(one.check, one.kind, one.points, one.text, one.seconds) for one in self.results]
        return [rows, self.authenticated]

    @classmethod
    def from_json(cls, kept: list[Any]) -> Self:
        """The same again."""
        rows, authenticated = kept
        results = [Result(check, kind, points, text, False, seconds) for check, kind, points, text, seconds in rows]
        return cls(results, authenticated)


@dataclass(frozen=True, slots=True)
class Judgement:
    """What it comes to. `authenticated` are the results for Authentication-Results."""

    score: float
    level: Level
    results: list[Result]
    trusted: bool
    authenticated: list[str]

    @property
    def unanswered(self) -> list[Result]:
        """Engines that have read nothing of it, so that the score says little."""
        return [one for one in self.results if one.failed and one.kind in SERVERS]

    @property
    def why(self) -> str:
        """The score and the checks that made it, the heaviest first."""
        hits = sorted((one for one in self.results if one.points), key=lambda one: -abs(one.points))
        names = ", ".join(f"{one.check} {one.points:g}" for one in hits)
        return f"{self.score:g} points{f': {names}' if names else ''}"


async def judge(examined: Examined, wanted: Sequence[Check], settings: AntispamSettings) -> Judgement:
    """Run all checks at once, and weigh what they say. Raises FileNotFoundError when the message is gone."""
    return weigh(await ask(examined, wanted), settings)


async def ask(examined: Examined, wanted: Sequence[Check], known: Findings | None = None) -> Findings:
    """Run all checks at once that apply to it, but for those that are `known`: what all say, those first.

    Raises FileNotFoundError when the message is gone.
    """
    known = known or Findings([], [])
    missing = known.missing(wanted, examined)
    try:
        results = await checks.run_all(missing, examined)
        return Findings([*known.results, *results], [*known.authenticated, *_authenticated(examined, missing)])
    finally:
        examined.close()


async def pass_by(examined: Examined, wanted: Sequence[Check], why: str) -> Findings:
    """The findings of a trusted sender's message: no check is asked but who wrote it, for the results that are added.

    Raises FileNotFoundError when the message is gone.
    """
    findings = await ask(examined, [check for check in wanted if check.kind in _OF_SENDERS])
    return Findings([Result("Trusted sender", TRUSTED, 0.0, why)], findings.authenticated)


def weigh(findings: Findings, settings: AntispamSettings) -> Judgement:
    """What follows from what the checks have said."""
    results = findings.results
    score = round(sum(one.points for one in results if not one.failed), 2)
    return Judgement(score, level_of(score, settings), list(results), findings.trusted, findings.authenticated)


def level_of(score: float, settings: AntispamSettings) -> Level:
    """Which level a score reaches."""
    if score >= settings.high:
        return Level.HIGH
    if score >= settings.medium:
        return Level.MEDIUM
    return Level.LOW if score >= settings.low else Level.NONE


def headers_of(judgement: Judgement, settings: AntispamSettings, *, marked: bool) -> bytes:
    """The lines for an inbound message, with CRLF: results (RFC 8601), and the score in the usual fields.

    `marked` adds those that mail programs and Sieve rules act upon.
    """
    if not settings.add_results:
        return b""
    lines = b""
    if judgement.authenticated:
        named = "; ".join([django_settings.MAILSPOOL_HOSTNAME, *judgement.authenticated])
        lines += header_line("Authentication-Results", named)
    is_spam = judgement.level is not Level.NONE
    hits = ",".join(f"{_token(one.check)}={one.points:g}" for one in judgement.results if one.points)
    status = f"{'Yes' if is_spam else 'No'}, score={judgement.score:g} required={settings.low:g} tests={hits or 'none'}"
    if unread := ",".join(_token(one.check) for one in judgement.results if one.text.startswith(NOT_LOOKED_AT)):
        # Text of which somebody has made sure that no rule sees it.
        status += f" unread={unread}"
    lines += header_line("X-Spam-Status", f"{status}{' trusted' if judgement.trusted else ''}")
    lines += header_line("X-Spam-Score", f"{judgement.score:g}")
    if marked:
        lines += header_line("X-Spam-Flag", "YES") + header_line("X-Spam-Level", judgement.level.value)
    return lines


def unchecked_header(judgement: Judgement, settings: AntispamSettings) -> bytes:
    """The line for an inbound message that an engine has not read, where it is to be marked."""
    names = ", ".join(_token(one.check) for one in judgement.unanswered)
    return header_line("X-Spam-Unchecked", names) if names and settings.inbound_unanswered != Inbound.PASS else b""


def _authenticated(examined: Examined, wanted: Sequence[Check]) -> list[str]:
    """Results of those checks that ran, as RFC 8601 writes them; what the DNS did not answer is a temperror."""
    kinds = {check.kind for check in wanted}
    found = []
    if CheckKind.SPF in kinds:
        spf: SpfResult | None = examined.known("spf")
        if spf is None:
            found.append("spf=temperror")
        else:
            name = "smtp.helo" if spf.of_helo else "smtp.mailfrom"
            found.append(f"spf={spf.result} {name}={_token(spf.domain)}" if spf.domain else f"spf={spf.result}")
    if CheckKind.DKIM in kinds:
        signatures: list[DkimResult] | None = examined.known("dkim")
        if signatures is None:
            found.append("dkim=temperror")
        else:
            some = [f"dkim={one.result} header.d={_token(one.domain) or 'none'}" for one in signatures]
            found += some or ["dkim=none"]
    if CheckKind.DMARC in kinds:
        dmarc: DmarcResult | None = examined.known("dmarc")
        domain = _token(dmarc.domain) if dmarc else ""
        said = f"dmarc={dmarc.result} header.from={domain or 'none'}" if dmarc else "dmarc=temperror"
        # permerror: From shows more than can be judged, which is no way past a policy.
        has_wish = dmarc is not None and dmarc.result in ("fail", "permerror") and dmarc.wish
        found.append(f"{said} policy.dmarc={dmarc.wish}" if dmarc and has_wish else said)
    return found


def _token(text: str) -> str:
    """Text as one word of a header, whatever a sender wrote."""
    return "".join(letter if letter in _TOKEN else "_" for letter in text[:255])
