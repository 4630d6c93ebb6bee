"""The tables of the page, in the specification's order and words, and which messages stand behind a row of each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from django.db.models import Q
from django.utils.http import urlencode

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
    title: str
    column: str
    kind: TrafficKind
    subject: str
    says: str
    empty: str
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
        "Sender",
        TrafficKind.OUTBOUND_SENDER,
        "account",
        "Deliveries to other servers, by sender. What users send each other here is not in it.",
        "Nobody has sent mail to other servers in the last 24 hours.",
        Kind.REMOTE,
        _sender,
        # What a user has sent is all of it, mail to colleagues too; notices of this server are what goes out.
        lambda key: {"sender": key} if key else {"sender": "<>", "direction": "outbound"},
    ),
    Table(
        "outbound-ips",
        TrafficKind.OUTBOUND_IP.label,
        "IP address",
        TrafficKind.OUTBOUND_IP,
        "ip",
        "Deliveries to other servers, by the address that handed them in.",
        "No address has handed in mail for other servers in the last 24 hours.",
        Kind.REMOTE,
        _ip,
        lambda key: {"ip": key, "direction": "outbound"},
    ),
    Table(
        "inbound-recipients",
        TrafficKind.INBOUND_RECIPIENT.label,
        "User",
        TrafficKind.INBOUND_RECIPIENT,
        "recipient",
        "Deliveries to users of this server, wherever they came from.",
        "Nobody here has received mail in the last 24 hours.",
        Kind.LOCAL,
        _recipient,
        lambda key: {"mailbox": key},
    ),
    Table(
        "inbound-senders",
        TrafficKind.INBOUND_SENDER.label,
        "Sender",
        TrafficKind.INBOUND_SENDER,
        "sender",
        "Deliveries to users of this server, by envelope sender.",
        "No mail for users of this server in the last 24 hours.",
        Kind.LOCAL,
        _sender,
        lambda key: {"sender": key or "<>", "direction": "inbound"},
    ),
    Table(
        "inbound-ips",
        TrafficKind.INBOUND_IP.label,
        "IP address",
        TrafficKind.INBOUND_IP,
        "ip",
        "Deliveries to users of this server, by the address that handed them in.",
        "No address has handed in mail for users of this server in the last 24 hours.",
        Kind.LOCAL,
        _ip,
        lambda key: {"ip": key, "direction": "inbound"},
    ),
    Table(
        "inbound-domains",
        TrafficKind.INBOUND_DOMAIN.label,
        "Domain",
        TrafficKind.INBOUND_DOMAIN,
        "domain",
        "Deliveries to users of this server, by the domain of the envelope sender.",
        "No domain has sent mail to users of this server in the last 24 hours.",
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
        "User or sender",
        TrafficKind.HANDED_IN_USER,
        "account",
        "Messages accepted, by the user who logged in.",
        "Nobody has handed in mail in the last 24 hours.",
        Kind.REMOTE,
        lambda key: (Q(auth_user=key),),
        lambda key: {"auth-user": key},
    ),
    Table(
        "handing-in-senders",
        TrafficKind.HANDED_IN_SENDER.label,
        "Sender",
        TrafficKind.HANDED_IN_SENDER,
        "sender",
        "Messages accepted without a login, by envelope sender.",
        "Nobody has handed in mail in the last 24 hours.",
        Kind.REMOTE,
        _sender,
        lambda key: {"sender": key or "<>"},
    ),
    Table(
        "handing-in-ips",
        TrafficKind.HANDED_IN_IP.label,
        "IP address",
        TrafficKind.HANDED_IN_IP,
        "ip",
        "Messages accepted, by client IP.",
        "No address has handed in mail in the last 24 hours.",
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
    title: str
    short: str
    attribute: Order
    minutes: int | None


WINDOWS = (
    Window("5m", "5 minutes", "5 min", Order.FIVE_MINUTES, 5),
    Window("1h", "1 hour", "1 hour", Order.HOUR, 60),
    Window("24h", "24 hours", "24 hours", Order.DAY, 1440),
    Window("all", "Since installation", "Since start", Order.TOTAL, None),
)
WINDOWS_BY_NAME = {window.name: window for window in WINDOWS}
