"""The records of keys, put into the DNS by this server itself where a name server takes updates from it (RFC 2136).

What somebody else wrote is left alone. A key that is revoked says so there by an empty p= (RFC 6376 3.6.1).
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.db.models import F, Q, QuerySet
from django.utils import timezone

from accounts.actor import SYSTEM
from base.action import record
from base.audit.subjects import subject_of
from base.background import Background
from base.dns_texts import tags_of
from base.dns_updates import There, UpdateFailed
from base.edges import one_of_many
from base.facts import NOTHING, Fact, fact
from spool.models.dkim import DkimKey, KeyState
from spool.models.update_server import UpdateServer
from spool.signing import primaries

log = logging.getLogger(__name__)

# After an attempt that failed, and until a record that vanished is put there again.
_AGAIN, _ANEW = timedelta(minutes=10), timedelta(hours=1)
# One may take ten seconds, and others are due meanwhile.
MOST_AT_A_TIME: Final = 20


@dataclass(frozen=True, slots=True)
class Sent:
    """What came of it: `problem` is why the record is not there, empty if it is."""

    problem: Fact = NOTHING
    changed: bool = False


def send(key: DkimKey, server: UpdateServer, now: datetime) -> Sent:
    """Have the DNS show the record of a key as it is now, and keep how that went."""
    wanted, changed = key.record, False
    try:
        primary = primaries.primary(server)
        there = primary.read(key.name, "TXT")
        if there.alias or tuple(there.texts) != (wanted,):
            _refuse_others(there, key)
            primary.replace(there, _is_of(key), [wanted])
            changed = True
    except UpdateFailed as error:
        primaries.note(server, now, error.fact)
        DkimKey.objects.filter(pk=key.pk).update(
            send_tried=now, send_problem=error.fact.english[:300], send_problem_fact=error.fact.kept
        )
        return Sent(error.fact)
    primaries.note(server, now)
    # It is looked for at all name servers at once.
    DkimKey.objects.filter(pk=key.pk).update(
        sent=wanted,
        send_tried=now,
        send_problem="",
        send_problem_fact=None,
        checked=None if changed else key.checked,
    )
    return Sent(changed=changed)


def take_out(key: DkimKey, server: UpdateServer) -> None:
    """Have the DNS forget a key. Raises UpdateFailed."""
    primary = primaries.primary(server)
    there = primary.read(key.name, "TXT")
    is_ours = _is_of(key)
    if any(map(is_ours, there.texts)):
        primary.replace(there, is_ours, [])


def _is_of(key: DkimKey) -> Callable[[str], bool]:
    """Whether a record is of this key: it shows it, or is the empty one that we have put there."""

    def is_ours(text: str) -> bool:
        shown = "".join(tags_of(text).get("p", "").split())
        return shown == key.public_key or (not shown and bool(key.sent) and text == key.sent)

    return is_ours


def _refuse_others(there: There, key: DkimKey) -> None:
    others = [text for text in there.texts if not _is_of(key)(text)]
    if others:
        raise UpdateFailed(
            fact(
                "another record stands at %(name)s, and is left alone: “%(record)s”",
                name=key.name,
                record=others[0][:100],
            )
        )


def sweep() -> None:
    """SPOOL_SWEEPS: have records sent that some server takes. The sweep does not wait for it."""
    if UpdateServer.objects.filter(enabled=True).exists() and _due(timezone.now()).exists():
        sender.start()


def send_due(now: datetime) -> None:
    """Send the records whose turn it is, a few of them."""
    for key in _due(now).order_by(F("send_tried").asc(nulls_first=True), "pk")[:MOST_AT_A_TIME]:
        with one_of_many(log, "the record of the DKIM key %s could not be put into the DNS", key.name) as edge:
            _send_in_turn(key, now)
        if edge.has_failed:
            DkimKey.objects.filter(pk=key.pk).update(send_tried=now)


def _send_in_turn(key: DkimKey, now: datetime) -> None:
    server = primaries.server_of(key.domain)
    if server is None:
        DkimKey.objects.filter(pk=key.pk).update(send_tried=now)
        return
    sent = send(key, server, now)
    if sent.changed:
        record(SYSTEM, "dkim-publish", key.name, parameters=said_of(key, server), about=subject_of(key))
    if sent.problem:
        log.warning("the record of the DKIM key %s could not be put into the DNS: %s", key.name, sent.problem.english)


sender: Final = Background("sending DKIM records", lambda: send_due(timezone.now()))


def said_of(key: DkimKey, server: UpdateServer) -> dict[str, str]:
    """What the audit keeps of a record that was sent."""
    return {"server": server.host, "as": "revoked" if key.state == KeyState.REVOKED else "good"}


def _due(now: datetime) -> QuerySet[DkimKey]:
    """Keys that wait for their record, and those that are to be shown as revoked where we have put them."""
    waiting = Q(state=KeyState.PREPARED, sent="") | Q(state=KeyState.REVOKED, sent__gt="") & ~Q(sent__endswith="p=")
    gone = Q(state=KeyState.PREPARED, send_tried__lt=now - _ANEW) & ~Q(found="")
    again = Q(send_tried=None) | Q(send_tried__lt=now - _AGAIN)
    return DkimKey.objects.filter((waiting & again) | gone)
