"""A worker that was asleep with messages in hand: others may have taken them, so it begins to send none of them."""

from __future__ import annotations

import threading

from django.utils import timezone

from spool.flow import leases, passes
from spool.message.envelope import LeasedEntry
from spool.models import Entry
from spool.rows import statements
from tests.spool.passing import FAR, Spool
from tests.support.waiting import wait_until


def lapsed(owner: str = "other") -> list[LeasedEntry]:
    """What another worker finds to do."""
    with statements.write_transaction():
        return leases.take(owner, timezone.now(), 100, straight=True, no_delay=True)


def begin(spool: Spool) -> threading.Thread:
    """A pass that has one message on the wire, and others in its hands that wait for the same connection."""
    spool.peer.delay_seconds = 0.5
    worker = threading.Thread(target=passes.run)
    worker.start()
    wait_until(lambda: "DATA" in spool.peer.commands, "a message is on the wire", 20)
    spool.peer.delay_seconds = 0.0
    return worker


def test_what_others_took_meanwhile_is_not_sent(spool: Spool) -> None:
    for n in range(6):
        spool.take(f"bob{n}@{FAR}")
    worker = begin(spool)
    spool.later(seconds=leases.LEASE.total_seconds() + 1)
    assert len(lapsed()) == 6
    worker.join(20)
    assert not worker.is_alive()
    assert len(spool.peer.taken) == 1, "only what was on the wire"
    assert set(Entry.objects.values_list("leased_by", "attempts")) == {("other", 0)}


def test_what_nobody_took_is_sent_once_all_the_same(spool: Spool) -> None:
    for n in range(6):
        spool.take(f"bob{n}@{FAR}")
    worker = begin(spool)
    spool.later(seconds=leases.LEASE.total_seconds() + 1)
    worker.join(20)
    spool.work()
    assert sorted(message.recipients for message in spool.peer.taken) == [(f"bob{n}@{FAR}",) for n in range(6)]
    assert not Entry.objects.exists()
