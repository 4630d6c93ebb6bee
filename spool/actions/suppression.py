"""What is done to suppression lists: addresses are added for a domain, and taken off again."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy

from accounts import directory
from accounts.addresses import InvalidAddress, key_of, normalise_address
from base.actions.action import MOST_NAMED, Change, Refused, SingleAction, Target, WayBack, Written
from base.actions.inputs import Input
from base.audit.subjects import Subject
from base.batches import batched
from base.numbers import grouped
from base.phrases import first_few
from spool import suppression
from spool.actions.actor import Actor
from spool.actions.queue import moment_of
from spool.models.suppression import Suppression, SuppressionReason

MOST: Final = 100_000
_MOST_BACK: Final = 500
_CHUNK: Final = 500
_BETWEEN: Final = re.compile(r"[\s,;]+")

# (address, reason, evidence, since, expires), the times in ISO 8601, "" for never: as rows are given back.
Given = Sequence[str]


def suppressed_named(key: str) -> Target | None:
    """One address of a list, as example.org:bob@far.example."""
    domain, _, address = key.partition(":")
    row = Suppression.objects.filter(domain=domain.lower(), address=key_of(address)).first() if address else None
    return Target("suppressed", (str(row),), (row,)) if row is not None else None


class Suppress(SingleAction[Actor]):
    """Puts addresses on a domain's suppression list; those that are on it stay as they are."""

    name, label, icon = "suppress", _lazy("Suppress Addresses"), "unsubscribe"
    kinds = ("domain",)
    undoable = True
    hidden = ("rows",)
    inputs = (
        Input(
            "addresses",
            _lazy("Addresses"),
            "area",
            help=_lazy("One per line or comma-separated."),
            metavar="ADDRESSES",
            option_help="addresses, with blanks or commas between them; from standard input when left out",
        ),
        Input("evidence", _lazy("Reason"), metavar="TEXT", option_help="why, for whoever looks at the list"),
        Input(
            "until",
            _lazy("Expires"),
            "moment",
            placeholder=_lazy("empty: never"),
            metavar="TIME",
            option_help="when they are let off: 30d, 2026-12-31 18:00; without it, never",
        ),
    )

    def require(self, actor: Actor, target: Target) -> None:
        for key in target.keys:
            actor.require_address(f"postmaster@{key}")

    def is_due(self, target: Target) -> bool:
        return directory.local_domain(target.key) is not None

    def parameters(self, given: Mapping[str, Any]) -> dict[str, Any]:
        until = given.get("until") or ""
        return {
            "addresses": str(given.get("addresses") or ""),
            "evidence": str(given.get("evidence") or "")[:500],
            "until": moment_of(str(until)).isoformat() if until else "",
            "rows": list(given.get("rows") or ()),
        }

    def effect(self, target: Target, parameters: Mapping[str, Any]) -> str:
        domain = directory.local_domain(target.key)
        what = {
            "refuse": _("Mail that users of {} hand in for them is refused."),
            "bounce": _("Mail that users of {} send them bounces without a try."),
        }.get(domain.suppression if domain else "", _("{} keeps its list for information only: mail to them is sent."))
        return what.format(target.key)

    def do(self, actor: Actor, target: Target, parameters: Mapping[str, Any]) -> Change:
        domain = target.key.lower()
        if directory.local_domain(domain) is None:
            raise Refused(_("%(domain)s is no domain of this server.") % {"domain": domain})
        now = timezone.now()
        rows: dict[str, Suppression] = {}
        wrong: list[str] = []
        given = [tuple(one) for one in parameters["rows"]] or [
            (address, SuppressionReason.MANUAL.value, parameters["evidence"], "", parameters["until"])
            for address in _BETWEEN.split(parameters["addresses"])
            if address
        ]
        if len(given) > MOST:
            raise Refused(_("These are more than %(most)s addresses.") % {"most": grouped(MOST)})
        for one in given:
            try:
                row = row_of(domain, one, now)
            except (Refused, ValueError) as error:
                wrong.append(str(error))
            else:
                rows[row.address] = row
        if not rows:
            raise Refused(wrong[0] if wrong else _("Write at least one address."))
        there = suppression.find([(domain, address) for address in rows], now)
        added = [row for address, row in rows.items() if (domain, address) not in there]
        suppression.store(added)
        parts = [(_("%(number)s suppressed for %(domain)s") % {"number": grouped(len(added)), "domain": domain})]
        parts += [(_("%(number)s were already") % {"number": grouped(len(there))})] if there else []
        parts += (
            [(_("%(number)s left out, as: %(wrong)s") % {"number": grouped(len(wrong)), "wrong": wrong[0]})]
            if wrong
            else []
        )
        said = f"{'; '.join(parts)}."
        if not added:
            return Change(said, result=0, good=not wrong)
        keys = tuple(map(str, added))
        back = WayBack(UNSUPPRESS.name, Target.of("suppressed", *keys)) if len(keys) <= _MOST_BACK else None
        return Change(said, [_written(domain, [row.address for row in added])], len(added), undo=back, good=not wrong)


class Unsuppress(SingleAction[Actor]):
    """Takes addresses off a suppression list; a further bounce puts them on it again."""

    name, label, icon = "unsuppress", _lazy("Remove"), "delete"
    kinds = ("suppressed",)
    of_many = _lazy("Remove: takes addresses off a suppression list; a further bounce puts them on it again")
    takes_many = True
    undoable = True

    def require(self, actor: Actor, target: Target) -> None:
        for domain in {key.partition(":")[0] for key in target.keys}:
            actor.require_address(f"postmaster@{domain}")

    def effect(self, target: Target, parameters: Mapping[str, Any]) -> str:
        return _("Mail to it is sent again. If that bounces for good, it is listed anew.")

    def do(self, actor: Actor, target: Target, parameters: Mapping[str, Any]) -> Change:
        pairs = {(domain, key_of(address)) for domain, _colon, address in (key.partition(":") for key in target.keys)}
        rows: list[Suppression] = []
        for some in batched(sorted({address for _domain, address in pairs}), _CHUNK):
            found = Suppression.objects.select_for_update().filter(address__in=some)
            rows += [row for row in found if (row.domain, row.address) in pairs]
        if not rows:
            raise Refused(_("It is not on the list any more."))
        for some_rows in batched(rows, _CHUNK):
            Suppression.objects.filter(pk__in=[row.pk for row in some_rows]).delete()
        suppression.forget()
        by_domain: dict[str, list[Suppression]] = {}
        for row in rows:
            by_domain.setdefault(row.domain, []).append(row)
        written = [_written(domain, [row.address for row in some]) for domain, some in by_domain.items()]
        return Change(
            _("%(number)s removed.") % {"number": grouped(len(rows))}, written, len(rows), undo=_way_back(by_domain)
        )


SUPPRESS, UNSUPPRESS = Suppress(), Unsuppress()


def as_given(row: Suppression) -> list[str]:
    """A row as SUPPRESS takes it back."""
    expires = row.expires.isoformat() if row.expires else ""
    return [row.address, row.reason, row.evidence, row.since.isoformat(), expires]


def _way_back(by_domain: Mapping[str, Sequence[Suppression]]) -> WayBack | None:
    """Only where it is one step, and a page can hold it."""
    if len(by_domain) != 1 or sum(map(len, by_domain.values())) > _MOST_BACK:
        return None
    [(domain, rows)] = by_domain.items()
    return WayBack(SUPPRESS.name, Target.of("domain", domain), {"rows": [as_given(row) for row in rows]})


def row_of(domain: str, given: Given, now: datetime) -> Suppression:
    """What is written down, not stored. Raises Refused and ValueError."""
    address, reason, evidence, since, expires = given
    try:
        key = key_of(normalise_address(address))
    except InvalidAddress as error:
        raise Refused(_("%(address)s is no address") % {"address": f"{address[:80]!r}"}) from error
    if suppression.is_exempt(key):
        raise Refused(_("%(key)s is never suppressed: postmaster and abuse hear what is wrong") % {"key": key})
    return Suppression(
        domain=domain,
        address=key,
        reason=SuppressionReason(reason).value,
        evidence=evidence[:500],
        since=_moment(since) or now,
        expires=_moment(expires),
    )


def _moment(text: str) -> datetime | None:
    """Raises ValueError."""
    moment = datetime.fromisoformat(text) if text else None
    return timezone.make_aware(moment) if moment is not None and timezone.is_naive(moment) else moment


def _written(domain: str, addresses: Sequence[str]) -> Written:
    about = Subject("domain", domain)
    on = first_few([f"{domain}:{address}" for address in addresses], MOST_NAMED)
    return Written(on, done=len(addresses), about=about)
