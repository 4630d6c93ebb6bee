"""Suppression lists as CSV: written as `suppression export` does, read line by line, so that each can be told of."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from django.utils.translation import gettext as _

from accounts import directory
from accounts.addresses import InvalidAddress, normalise_domain
from base.actions.action import Refused, Target
from base.actions.perform import perform
from base.csv_cells import unescaped
from base.numbers import grouped
from spool import suppression
from spool.actions.actor import Actor
from spool.actions.suppression import MOST, SUPPRESS, Given, row_of
from spool.models.suppression import Suppression, SuppressionReason
from spool.transfer.streamed import as_csv

COLUMNS: Final = ("domain", "address", "reason", "evidence", "since", "expires")


class Unreadable(ValueError):
    """It is no such file; the message says what is missing, as a sentence."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a file: what it is about, and what stands in its way, or that it is on the list already."""

    number: int
    domain: str
    address: str
    given: Given = ()
    problem: str = ""
    is_there: bool = False

    @property
    def said(self) -> str:
        """What becomes of it."""
        if self.problem:
            return _("left out: %(problem)s") % {"problem": self.problem}
        return _("on the list already, stays as it is") if self.is_there else _("is added")


def cells(row: Suppression) -> dict[str, str]:
    """A row, by COLUMNS and in their order."""
    expires = row.expires.isoformat(timespec="seconds") if row.expires else ""
    since = row.since.isoformat(timespec="seconds")
    return dict(zip(COLUMNS, (row.domain, row.address, row.reason, row.evidence, since, expires), strict=True))


def csv_lines(rows: Iterable[Suppression]) -> Iterator[str]:
    """The file, heading first, a line at a time."""
    return as_csv(map(cells, rows), COLUMNS, "\n")


def read(text: str, now: datetime, domain: str = "") -> list[Line]:
    """What each line of a file with a heading would do; `domain` is for files without such a column. Raises Unreadable.

    A query for each domain and for 500 addresses.
    """
    # No database keeps a null character.
    reader = csv.DictReader(io.StringIO(text.removeprefix("\ufeff").replace("\0", "\ufffd")))
    if "address" not in (reader.fieldnames or ()):
        raise Unreadable(_("The file wants a heading with the column address."))
    if "domain" not in (reader.fieldnames or ()) and not domain:
        raise Unreadable(_("The file has no column domain: say for which domain it is."))
    lines: list[Line] = []
    try:
        for row in reader:
            lines.append(_line(reader.line_num, row, domain, now))
            if len(lines) > MOST:
                raise Unreadable(_("These are more than %(most)s addresses.") % {"most": grouped(MOST)})
    except csv.Error as error:
        raise Unreadable(
            _("Line %(number)s can't be read: %(error)s.") % {"number": reader.line_num, "error": error}
        ) from error
    return _with_those_there(lines, now)


def take(actor: Actor, lines: Sequence[Line]) -> list[str]:
    """Put on the lists what is not on them; a sentence for each domain. Raises NotAllowed and Refused."""
    by_domain: dict[str, list[Given]] = {}
    for line in lines:
        if not line.problem and not line.is_there:
            by_domain.setdefault(line.domain, []).append(line.given)
    return [
        perform(SUPPRESS, actor, Target.of("domain", domain), {"rows": rows}).sentence
        for domain, rows in by_domain.items()
    ]


def summary(lines: Sequence[Line]) -> str:
    """How many lines do what."""
    counts = Counter("wrong" if line.problem else "there" if line.is_there else "new" for line in lines)
    return _("%(new)s to add; %(there)s on the list already; %(wrong)s left out") % {
        kind: grouped(counts[kind]) for kind in ("new", "there", "wrong")
    }


def _line(number: int, row: dict[str, str | None], domain: str, now: datetime) -> Line:
    found = {name: unescaped((row.get(name) or "").strip()) for name in COLUMNS}
    whose, address = found["domain"] or domain, found["address"]
    line = Line(number, whose[:253], address[:320])
    if not address:
        return replace(line, problem=_("it has no address"))
    try:
        whose = normalise_domain(whose) if whose else ""
    except InvalidAddress as error:
        return replace(line, problem=str(error))
    if not whose or directory.local_domain(whose) is None:
        return replace(line, problem=_("%(domain)s is no domain of this server") % {"domain": whose[:80] or "–"})
    given = (address, found["reason"] or SuppressionReason.MANUAL.value, *(found[name] for name in COLUMNS[3:]))
    try:
        key = row_of(whose, given, now).address
    except (Refused, ValueError) as error:
        return replace(line, problem=str(error))
    return Line(number, whose, key, given)


def _with_those_there(lines: Sequence[Line], now: datetime) -> list[Line]:
    there = set(suppression.find([(line.domain, line.address) for line in lines if not line.problem], now))
    told: list[Line] = []
    for line in lines:
        pair = (line.domain, line.address)
        told.append(replace(line, is_there=not line.problem and pair in there))
        # What a file says twice is added once.
        there.add(pair)
    return told
