"""What one worker has no room for is taken up by another one that is idle."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from spool.flow import doorbell
from spool.monitoring import programs
from spool.monitoring.programs import Known, Live
from tests.spool.passing import Spool

pytestmark = [pytest.mark.both, pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("redis", "home")]


@pytest.fixture(autouse=True)
def known() -> Iterator[None]:
    before = programs.known()
    yield
    programs.learn(before)


@pytest.mark.parametrize(("workers", "rings"), [(2, 1), (1, 0)])
def test_a_pass_with_more_than_it_has_room_for_has_another_worker_begin(spool: Spool, workers: int, rings: int) -> None:
    """This one is elsewhere, and none other is told while none is there."""
    programs.learn(Known(Live(1, workers)))
    spool.settings(max_deliveries=1)
    for _ in range(3):
        spool.take()
    # Those rings are for this one.
    doorbell.mail_queue().empty()
    # One that answers all others.
    doorbell.Listening("a pass").register()

    spool.work()

    assert doorbell.mail_queue().count == rings
    assert len(spool.peer.taken) == 3
