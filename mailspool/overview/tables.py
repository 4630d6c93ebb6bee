"""The tables of the page, in the specification's order and words, and which messages stand behind a row of each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from django.db.models import Q
from django.utils.http import urlencode
from django.utils.translation import gettext_lazy as _lazy
from django.utils.translation import pgettext_lazy

from base.texts import Text
from spool.models.recipient import Kind
from spool.models.traffic import TrafficKind
from spool.traffic.figures import Order


@dataclass(frozen=True, slots=True)
class Table:
    """One table. `behind` finds the deliveries of a key in the trace: those that meet one of its conditions, each of
    which has an index. `here` finds its messages in the spool, as a filter.

    `subject` is what a key is: account, ip, sender or domain; it decides which actions a row has.
    """

    name: str
    title: Text
    column: Text
    kind: TrafficKind
    subject: str
    says: Text
    empty: Text
    delivered: Kind
    behind: Callable[[str], tuple[Q, ...]]
    here: Callable[[str], dict[str, str]]

    def spool_query(self, key: str) -> str:
        """The query of the spool's list that shows what is there now of a key, in this table's direction."""
        return urlencode(self.here(key))


def _sender(key: str) -> tuple[Q, ...]:
    # As nearly all of them are written, and those that are written otherwise.
    return Q(sender=key), Q(sender_key=key)


def _recipient(key: str) -> tuple[Q, ...]:
    return Q(recipient=key), Q(recipient_key=key)


def _ip(key: str) -> tuple[Q, ...]:
    return (Q(client_ip=key),)


def _domain(key: str) -> tuple[Q, ...]:
    return (Q(sender__iendswith=f"@{key}"),)


TABLES: tuple[Table, ...] = (
    Table(
        "outbound-senders",
        TrafficKind.OUTBOUND_SENDER.label,
        _lazy("Sender"),
        TrafficKind.OUTBOUND_SENDER,
        "account",
        _lazy("Deliveries to other servers, by sender. What users send each other here is not in it."),
        _lazy("Nobody has sent mail to other servers in the last 24 hours."),
        Kind.REMOTE,
        _sender,
        # What a user has sent is all of it, mail to colleagues too; notices of this server are what goes out.
        lambda key: {"sender": key} if key else {"sender": "<>", "direction": "outbound"},
    ),
    Table(
        "outbound-ips",
        TrafficKind.OUTBOUND_IP.label,
        _lazy("IP address"),
        TrafficKind.OUTBOUND_IP,
        "ip",
        _lazy("Deliveries to other servers, by the address that handed them in."),
        _lazy("No address has handed in mail for other servers in the last 24 hours."),
        Kind.REMOTE,
        _ip,
        lambda key: {"ip": key, "direction": "outbound"},
    ),
    Table(
        "inbound-recipients",
        TrafficKind.INBOUND_RECIPIENT.label,
        _lazy("User"),
        TrafficKind.INBOUND_RECIPIENT,
        "recipient",
        _lazy("Deliveries to users of this server, wherever they came from."),
        _lazy("Nobody here has received mail in the last 24 hours."),
        Kind.LOCAL,
        _recipient,
        lambda key: {"mailbox": key},
    ),
    Table(
        "inbound-senders",
        TrafficKind.INBOUND_SENDER.label,
        _lazy("Sender"),
        TrafficKind.INBOUND_SENDER,
        "sender",
        _lazy("Deliveries to users of this server, by envelope sender."),
        _lazy("No mail for users of this server in the last 24 hours."),
        Kind.LOCAL,
        _sender,
        lambda key: {"sender": key or "<>", "direction": "inbound"},
    ),
    Table(
        "inbound-ips",
        TrafficKind.INBOUND_IP.label,
        _lazy("IP address"),
        TrafficKind.INBOUND_IP,
        "ip",
        _lazy("Deliveries to users of this server, by the address that handed them in."),
        _lazy("No address has handed in mail for users of this server in the last 24 hours."),
        Kind.LOCAL,
        _ip,
        lambda key: {"ip": key, "direction": "inbound"},
    ),
    Table(
        "inbound-domains",
        TrafficKind.INBOUND_DOMAIN.label,
        _lazy("Domain"),
        TrafficKind.INBOUND_DOMAIN,
        "domain",
        _lazy("Deliveries to users of this server, by the domain of the envelope sender."),
        _lazy("No domain has sent mail to users of this server in the last 24 hours."),
        Kind.LOCAL,
        _domain,
        lambda key: {"sender-domain": key, "direction": "inbound"},
    ),
)
# Beside the specification's: what is handed in, when it is accepted. Whoever did not log in is a sender.
SUBMITTERS: tuple[Table, ...] = (
    Table(
        "handing-in-users",
        TrafficKind.HANDED_IN_USER.label,
        _lazy("User or sender"),
        TrafficKind.HANDED_IN_USER,
        "account",
        _lazy("Messages accepted, by the user who logged in."),
        _lazy("Nobody has handed in mail in the last 24 hours."),
        Kind.REMOTE,
        lambda key: (Q(auth_user=key),),
        lambda key: {"auth-user": key},
    ),
    Table(
        "handing-in-senders",
        TrafficKind.HANDED_IN_SENDER.label,
        _lazy("Sender"),
        TrafficKind.HANDED_IN_SENDER,
        "sender",
        _lazy("Messages accepted without a login, by envelope sender."),
        _lazy("Nobody has handed in mail in the last 24 hours."),
        Kind.REMOTE,
        _sender,
        lambda key: {"sender": key or "<>"},
    ),
    Table(
        "handing-in-ips",
        TrafficKind.HANDED_IN_IP.label,
        _lazy("IP address"),
        TrafficKind.HANDED_IN_IP,
        "ip",
        _lazy("Messages accepted, by client IP."),
        _lazy("No address has handed in mail in the last 24 hours."),
        Kind.REMOTE,
        _ip,
        lambda key: {"ip": key},
    ),
)
# Tables whose rows have a menu; those whose numbers are deliveries.
BY_NAME = {table.name: table for table in (*TABLES, *SUBMITTERS)}
OF_DELIVERIES = {table.name: table for table in TABLES}


@dataclass(frozen=True, slots=True)
class Window:
    """A column of every table, by which it can be sorted. `minutes` is None for everything since the installation."""

    name: str
    title: Text
    short: Text
    attribute: Order
    minutes: int | None


WINDOWS = (
    Window("5m", _lazy("5 minutes"), _lazy("5 min"), Order.FIVE_MINUTES, 5),
    Window("1h", _lazy("1 hour"), pgettext_lazy("column", "1 hour"), Order.HOUR, 60),
    Window("24h", _lazy("24 hours"), pgettext_lazy("column", "24 hours"), Order.DAY, 1440),
    Window("all", _lazy("Since installation"), _lazy("Since start"), Order.TOTAL, None),
)
WINDOWS_BY_NAME = {window.name: window for window in WINDOWS}
