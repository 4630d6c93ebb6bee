"""The rows of the spool's tables: each table's columns and their types, in one frozen dataclass.

All that names columns is made of these: what is inserted, what a worker gets, what is taken out of the spool and put
back. A field with `init=False` has no value yet when its row is inserted.

A statement takes plain tuples, and building a frozen instance for each costs more than the statement itself. So the hot
path calls what `values_of` makes of such a class: it takes the same keywords, which mypy checks, and makes the tuple.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import MISSING, dataclass, field, fields
from datetime import datetime
from operator import itemgetter
from typing import Any, ParamSpec

Row = tuple[Any, ...]
# As statements.db_time makes it.
Moment = datetime | str
P = ParamSpec("P")


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryRow:
    """An entry (models.entry says what each column means). What has a default is so in each new one."""

    id: int
    file_name: str
    subspool: str
    sender: str
    sender_domain: str
    sender_key: str | None
    auth_user: str
    client_ip: str
    ehlo_name: str
    tls: str
    port: int
    direction: int
    origin: str
    subject: str
    message_id: str
    size_bytes: int
    priority: int
    status: str
    attempts: int
    recipients_total: int
    created: Moment
    next_attempt: Moment | None
    due_at: Moment | None
    turn_at: Moment | None
    release_at: Moment | None
    hold: bool
    hold_reason: str
    envid: str
    ret: str
    smtputf8: bool
    eight_bit: bool
    delay_notified: bool
    ours: bool | None
    tls_wish: str = ""
    machine: str = ""
    leased_by: str = ""
    dns_failures: int = 0
    recipients_done: int = 0
    last_error: str = ""
    error_group: str = ""
    next_hop: str = ""
    failures: int = 0
    traceback: str = ""
    hold_until: Moment | None = field(init=False, default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecipientRow:
    """A recipient of an entry."""

    id: int = field(init=False)
    entry_id: int
    address: str
    domain: str
    kind: str
    status: str
    original: str
    notify: str
    orcpt: str
    address_key: str | None
    original_key: str | None
    last_reply: str = ""
    last_host: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptRow:
    """A line of the log of attempts."""

    id: int = field(init=False)
    file_name: str
    at: Moment
    recipients: str
    host: str
    ip: str
    tls: str
    code: int
    reply: str
    seconds: float
    machine: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceRow:
    """What became of one recipient."""

    id: int = field(init=False)
    file_name: str
    sender: str
    recipient: str
    kind: str
    outcome: str
    reply: str
    host: str
    auth_user: str
    client_ip: str
    ehlo_name: str
    tls: str
    port: int
    subject: str
    message_id: str
    size_bytes: int
    attempts: int
    created: Moment
    ended: Moment
    sender_key: str | None
    recipient_key: str | None
    original: str | None


def columns_of(row: type) -> tuple[str, ...]:
    """All columns, in the order of their fields."""
    return tuple(one.name for one in fields(row))


def inserted(row: type) -> tuple[str, ...]:
    """The columns that a new row is given: what `values_of` makes has them in this order."""
    return tuple(one.name for one in fields(row) if one.init)


def values_of(row: Callable[P, object]) -> Callable[P, Row]:
    """A function that takes what `row` is made with, by the same keywords, and returns it as a plain tuple."""
    given = [one for one in fields(row) if one.init]  # type: ignore[arg-type]
    defaults = {one.name: one.default for one in given if one.default is not MISSING}
    names = [one.name for one in given]
    signature = ", ".join(f"{name}=defaults[{name!r}]" if name in defaults else name for name in names)
    source = f"def values({signature}):\n    return ({', '.join(names)},)\n"
    made: dict[str, Any] = {"defaults": defaults}
    exec(compile(source, f"<values of {getattr(row, '__name__', row)}>", "exec"), made)  # noqa: S102 – names of fields
    values: Callable[P, Row] = made["values"]
    return values


def picker(row: type, *names: str) -> Callable[[Row], Any]:
    """A function that takes the values of these columns out of a tuple of the inserted ones."""
    order = inserted(row)
    return itemgetter(*(order.index(name) for name in names))
