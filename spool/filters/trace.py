"""Which outcomes of the trace are meant: the conditions, and pages of what meets them, newest first or by a name.

Sender, recipient, user, client IP, file name and Message-ID have indexes; of what one of them leaves, or of all, the
other conditions are looked at row by row, for a bounded time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.db.models import BooleanField, Q, QuerySet
from django.db.models.expressions import RawSQL
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy

from accounts.addresses import key_of
from spool.filters import wildcards  # noqa: F401 – it registers the lookup
from spool.filters.base import MessageFilter, with_message_id, with_words
from spool.filters.fields import FIELDS, BadFilter, Field, chosen_among
from spool.filters.keyset import Order, look, place_in_time, values_in_time
from spool.filters.pages import PATIENT_SECONDS, Extent
from spool.filters.terms import OPERATORS
from spool.filters.units import format_age, parse_age
from spool.models.recipient import Outcome
from spool.models.trace import Trace

PAGE_SIZE: Final = 50
DEFAULT_SORT: Final = "-ended"
SORTS: Final = ("-ended", "ended", "sender", "-sender", "recipient", "-recipient")
# How long rows are looked at for one page.
LOOK_SECONDS: Final = 0.25
# Rows of an export that are read at a time, and the most that one has.
CHUNK: Final = 1_000
MOST_EXPORTED: Final = 500_000
_TAKEN: Final = (
    *("sender", "sender-domain", "recipient", "domain", "ip", "auth-user", "id", "message-id", "subject"),
    *("exact-subject", "larger", "smaller"),
)
# As the index has it: SQLite uses it only when the very words are there.
_WORDS: Final = f"NOT ({Trace._meta.db_table}.auth_user = '')"
_LOGGED_IN: Final = RawSQL(_WORDS, (), BooleanField())  # type: ignore[no-untyped-call]  # noqa: S611
_OUTCOMES: Final = {outcome.value: outcome.value for outcome in Outcome if outcome is not Outcome.PENDING}


TRACE_FIELDS: Final[dict[str, Field]] = {
    **{name: FIELDS[name] for name in _TAKEN},
    "outcome": chosen_among("outcome", "outcome", _lazy("with the outcome {}"), _lazy("what became of it"), _OUTCOMES),
    "reply": Field(
        "reply",
        "reply",
        _lazy("whose last reply has “{}”"),
        _lazy("text of the last reply"),
        "TEXT",
        FIELDS["subject"].parse,
    ),
    "host": Field(
        "host",
        "host",
        _lazy("that ended at {}"),
        _lazy("host that gave the last reply"),
        "HOST",
        FIELDS["subject"].parse,
    ),
    "older": Field(
        "older",
        "older_than",
        _lazy("that ended more than {} ago"),
        _lazy("ended longer ago than"),
        "AGE",
        parse_age,
        format_age,
    ),
    "younger": Field(
        "younger",
        "younger_than",
        _lazy("that ended less than {} ago"),
        _lazy("ended since less than"),
        "AGE",
        parse_age,
        format_age,
    ),
}
# What may stand before a colon in the search box.
TRACE_OPERATORS: Final = {
    **{name: condition for name, condition in OPERATORS.items() if condition in TRACE_FIELDS},
    **{name: name for name in TRACE_FIELDS},
    "id": "message-id",
    "error": "reply",
    "status": "outcome",
}


@dataclass(frozen=True, slots=True)
class TraceFilter(MessageFilter):
    """Conditions on outcomes; `recipient` finds the address that was written as well, an alias's for one."""

    conditions = TRACE_FIELDS
    compared = {
        "file_name": "file_name",
        "ip": "client_ip",
        "outcome": "outcome",
        "larger_than": "size_bytes__gt",
        "smaller_than": "size_bytes__lt",
        "exact_subject": "subject",
        "reply": "reply__icontains",
        "host": "host__icontains",
    }
    since = "ended"

    sender_domain: str = ""
    domain: str = ""
    outcome: str = ""
    reply: str = ""
    host: str = ""

    def sentence(self) -> str:
        """In words: "outcomes of messages from ann@example.org"."""
        return ", ".join([_("outcomes of messages"), *self.phrases()])

    def leading(self) -> list[Q]:
        """What one condition asks for, each by an index of its own in the order of time; empty where none leads."""
        if self.file_name:
            return [Q(file_name=self.file_name)]
        if self.message_id:
            return [with_message_id(self.message_id)]
        if self.sender and "*" not in self.sender:
            return _is_sender(self.sender)
        if self.recipient and "*" not in self.recipient:
            return _is_recipient(self.recipient)
        if self.auth_user and "*" not in self.auth_user:
            return [of_user(self.auth_user)]
        return [Q(client_ip=self.ip)] if self.ip else []

    @property
    def straight(self) -> bool:
        """Whether the index that leads has all that is meant."""
        asked = self.texts().keys() - {"older", "younger"}
        return not asked or (len(asked) == 1 and bool(self.leading()))

    def within(self, traces: QuerySet[Trace]) -> QuerySet[Trace]:
        """`traces` of the time that is meant."""
        now = timezone.now()
        if self.younger_than is not None:
            traces = traces.filter(ended__gt=now - self.younger_than)
        return traces if self.older_than is None else traces.filter(ended__lt=now - self.older_than)

    def all_of(self) -> Q:
        """Every condition, of a row that is looked at."""
        found = Q()
        for condition in (*self.comparisons().values(), *with_words("subject", self.subject)):
            found &= condition
        if self.message_id:
            found &= with_message_id(self.message_id)
        if self.sender:
            found &= Q(sender__wild=self.sender) if "*" in self.sender else _any(_is_sender(self.sender))
        if self.recipient:
            wild = Q(recipient__wild=self.recipient)
            found &= wild if "*" in self.recipient else _any(_is_recipient(self.recipient))
        if self.auth_user:
            wild = Q(auth_user__wild=self.auth_user)
            found &= wild if "*" in self.auth_user else of_user(self.auth_user)
        for column, domain in (("sender", self.sender_domain), ("recipient", self.domain)):
            if domain:
                found &= Q((f"{column}__iendswith", f"@{domain}"))
        return found


@dataclass(frozen=True, slots=True)
class TracePage:
    """Some outcomes in the order `sort`; `following` is where the next page begins, "" for the last.

    `extent` says how far a look came that its time cut short.
    """

    traces: list[Trace]
    sort: str
    following: str = ""
    extent: Extent | None = None


def can_be_sorted(chosen: TraceFilter, sort: str, choices: Sequence[Q] = ()) -> bool:
    """By time always; by a name along its index, which no other condition leads to."""
    return sort.lstrip("-") == "ended" or not (chosen.leading() or choices)


def page(
    chosen: TraceFilter,
    *,
    sort: str = DEFAULT_SORT,
    after: str = "",
    size: int = PAGE_SIZE,
    choices: Sequence[Q] = (),
    since: datetime | None = None,
    patient: bool = False,
) -> TracePage:
    """A page of what `chosen` means, behind the place `after`. Raises BadFilter.

    `choices` are conditions of which one must hold as well, each with an index in the order of time; nothing that ended
    before `since` is meant.
    """
    if sort not in SORTS:
        raise BadFilter(
            _("%(sort)s is not an order; there are %(sorts)s.") % {"sort": f"{sort!r}", "sorts": ", ".join(SORTS)}
        )
    if not can_be_sorted(chosen, sort, choices):
        sort = DEFAULT_SORT
    order, behind = _order(sort), values_in_time(after, is_named=sort.lstrip("-") != "ended")
    meant = chosen.all_of()
    branches = choices or chosen.leading() or [Q()]
    is_straight = chosen.straight if not choices else not (chosen.texts().keys() - {"older", "younger"})
    seconds = (PATIENT_SECONDS if patient else LOOK_SECONDS) / len(branches)
    rows: dict[int, Trace] = {}
    edges: list[tuple[Any, ...]] = []
    looked = 0
    for branch in branches:
        there = chosen.within(Trace.objects.filter(branch))
        there = there if since is None else there.filter(ended__gte=since)
        if is_straight:
            rows |= {trace.pk: trace for trace in order.of(there, behind)[: size + 1]}
            continue
        found = look(there, lambda some: some.filter(meant), order, behind, size, seconds)
        rows |= {trace.pk: trace for trace in found.rows}
        looked += found.number
        edges += [found.edge] if found.edge else []
    ordered = list(rows.values())
    if len(branches) > 1:
        ordered.sort(key=lambda trace: _values(trace, order), reverse=order.descending)
    # Behind the place where the first look ended, there may be rows that it has not seen.
    edge = (max if order.descending else min)(edges, default=())
    if edge and len(branches) > 1:
        ordered = [row for row in ordered if _is_ahead(_values(row, order), edge, order)]
    if len(ordered) > size:
        return TracePage(ordered[:size], sort, place_in_time(_values(ordered[size - 1], order)))
    if not edge:
        return TracePage(ordered, sort)
    at = edge[-2]
    extent = Extent(looked, 0, at if len(edge) == 2 else None, order.descending, bool(after))
    return TracePage(ordered, sort, place_in_time(edge), extent)


def of_user(address: str) -> Q:
    """What was handed in by that login, newest first along an index of mail that somebody logged in for."""
    return Q(auth_user=key_of(address)) & Q(_LOGGED_IN)


def every(chosen: TraceFilter, most: int = MOST_EXPORTED, **asked: Any) -> Iterator[Trace]:
    """All that is meant, a thousand at a time and `most` at most, however long that takes."""
    after, left = "", most
    while left > 0:
        found = page(chosen, after=after, size=min(CHUNK, left), patient=True, **asked)
        yield from found.traces
        left -= len(found.traces)
        if not (after := found.following):
            return


def _is_sender(address: str) -> list[Q]:
    return [Q(sender="")] if address == "<>" else [Q(sender=key_of(address)), Q(sender_key=key_of(address))]


def _is_recipient(address: str) -> list[Q]:
    key = key_of(address)
    return [Q(recipient=key), Q(recipient_key=key), Q(original=key)]


def _any(conditions: Sequence[Q]) -> Q:
    found = Q()
    for condition in conditions:
        found |= condition
    return found


def _order(sort: str) -> Order:
    column = sort.lstrip("-")
    columns = ("ended", "id") if column == "ended" else (column, "ended", "id")
    return Order(Trace._meta.db_table, columns, sort.startswith("-"))


def _values(trace: Trace, order: Order) -> tuple[Any, ...]:
    return tuple(getattr(trace, column) for column in order.columns)


def _is_ahead(values: tuple[Any, ...], edge: tuple[Any, ...], order: Order) -> bool:
    return values >= edge if order.descending else values <= edge
