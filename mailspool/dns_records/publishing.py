"""Records of a domain put into the DNS by a name server that takes updates (RFC 2136), when somebody asks for it.

Nothing is replaced that the page has not shown, and at the place of a DKIM key nothing at all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from django.utils.translation import gettext

from base.dns_updates import Primary, There, UpdateFailed
from base.facts import FactError, Value, fact, few, verbatim, whole
from mailspool.dns_records import shown
from mailspool.dns_records.names import HOST
from spool.models.dkim import DkimKey
from spool.models.update_server import UpdateServer
from spool.signing import primaries

# What a name server can be told; addresses, reverse names and DS records are elsewhere, or not ours to say.
PURPOSES: Final = ("DKIM", "SPF", "DMARC", "MTA-STS", "TLS-RPT", "MX", "Policy", "DANE")
_MOST_NAMED: Final = 3


class CannotPublish(FactError):
    """It can't be done as asked; the message says why, as a sentence."""


@dataclass(frozen=True, slots=True)
class Plan:
    """One record: what is at its place now that has to give way, and what comes there."""

    record: shown.Shown
    there: There
    gone: tuple[str, ...]

    @property
    def is_there(self) -> bool:
        """Whether there is nothing to do."""
        wanted = self.record.wanted
        return self.gone == (wanted if self.record.kind == "TXT" else wanted.rstrip(".").lower(),)

    @property
    def sentence(self) -> str:
        """What would be done."""
        at = gettext("%(purpose)s at %(name)s") % {"purpose": self.record.purpose, "name": self.record.name}
        if self.is_there:
            return gettext("%(at)s is there already.") % {"at": at}
        instead = (gettext(" in the place of %(gone)s") % {"gone": verbatim(_quoted(self.gone))}) if self.gone else ""
        return gettext("%(at)s: “%(wanted)s” is put there%(instead)s.") % {
            "at": at,
            "wanted": self.record.wanted,
            "instead": instead,
        }


def possible(domain: str) -> list[shown.Shown]:
    """The records of a domain, or of HOST, that are wanted, are not right, and can be put there."""
    return [one for one in shown.records_of(domain) if one.shows_wanted and one.purpose in PURPOSES]


def server_for(domain: str) -> UpdateServer | None:
    """The one that takes updates for a domain, or for what the host's name is in."""
    return primaries.server_of(domain if domain != HOST else shown.host_name())


def plans(domain: str, purposes: Sequence[str], server: UpdateServer, *, replace: bool) -> tuple[Primary, list[Plan]]:
    """What has to be done for those purposes, by what the server has now. Raises CannotPublish."""
    records = [one for one in possible(domain) if one.purpose in purposes]
    if lacking := sorted(set(purposes) - {one.purpose for one in records}):
        raise CannotPublish(
            fact("There is nothing to publish for %(lacking)s: check the DNS now to see what is so.", lacking=lacking)
        )
    try:
        primary = primaries.primary(server)
        found = [_plan(one, primary.read(one.name, one.kind)) for one in records]
    except UpdateFailed as error:
        raise CannotPublish(whole(error.fact)) from error
    for plan in found:
        if not plan.is_there:
            _refuse_unseen(plan, replace=replace)
    return primary, found


def carry_out(primary: Primary, plan: Plan) -> None:
    """Raises CannotPublish."""
    try:
        primary.replace(plan.there, lambda text: text in plan.gone, [plan.record.wanted])
    except UpdateFailed as error:
        raise CannotPublish(whole(error.fact)) from error


def note_sent(record: shown.Shown) -> None:
    """Of a key's record, that it is ours to take out again; it is looked for at once."""
    if record.purpose == "DKIM":
        selector, _, of = record.name.partition("._domainkey.")
        DkimKey.objects.filter(domain=of, selector=selector).update(
            sent=record.wanted, send_problem="", send_problem_fact=None, checked=None
        )


def _plan(record: shown.Shown, there: There) -> Plan:
    return Plan(record, there, tuple(text for text in there.texts if _is_of_purpose(text, record)))


def _is_of_purpose(text: str, record: shown.Shown) -> bool:
    """Whether a record has to give way to the wanted one: others may stand beside it (RFC 7208 3.2)."""
    if record.kind != "TXT" or record.purpose == "DKIM":
        return True
    tag = record.wanted.replace(";", " ").split()[0].lower()
    return "".join(text.lower().split()).startswith(tag)


def _refuse_unseen(plan: Plan, *, replace: bool) -> None:
    record = plan.record
    if not plan.gone:
        return
    stands = fact("%(name)s has %(texts)s", name=record.name, texts=_quoted(plan.gone))
    if record.purpose == "DKIM":
        raise CannotPublish(fact("%(stands)s, which is left alone: make a key with another selector.", stands=stands))
    if not set(plan.gone) <= set(record.found):
        raise CannotPublish(
            fact(
                "%(stands)s, which the last look did not find: check the DNS now, and look at it first.", stands=stands
            )
        )
    if not replace:
        raise CannotPublish(
            fact(
                "%(stands)s. Choose to replace it, if “%(wanted)s” is to be there instead.",
                stands=stands,
                wanted=record.wanted,
            )
        )


def _quoted(texts: Sequence[str]) -> Value:
    return few([f"“{text[:200]}”" for text in texts], _MOST_NAMED)
