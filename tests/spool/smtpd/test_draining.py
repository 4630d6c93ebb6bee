"""A listener whose machine is drained, and resumed: the process stays."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.spool.smtpd.conftest import BOB, Listener
from tests.spool.smtpd.dialogue import Dialogue, stuffed
from tests.support.waiting import wait_until

SENDER = "x@elsewhere.test"


@pytest.fixture
def drained(listener: Listener) -> Iterator[None]:
    """What happens inside happens while the machine drains."""
    yield
    listener.mailspool.manage("machine", "resume", _machine(listener), check=False)
    wait_until(lambda: _greeting(listener) == 220, "it takes mail again", 30)


def _machine(listener: Listener) -> str:
    [row] = listener.rows("SELECT name FROM spool_machine")
    return str(row["name"])


def _greeting(listener: Listener) -> int:
    with listener.client(greet=False) as client:
        return client.greeting.code


@pytest.mark.usefixtures("drained")
def test_who_is_amid_a_message_ends_it_and_everybody_else_hears_421(listener: Listener) -> None:
    subject, content = listener.message(to=BOB, sender=SENDER)
    wire = stuffed(content)
    wait_until(lambda: listener.rows("SELECT 1 FROM spool_program"), "it has told that it lives", 30)
    with listener.client() as amid, listener.client() as idle:
        amid.begin(SENDER, BOB)
        amid.do("DATA")
        amid.send(wire[:200])
        listener.mailspool.manage("machine", "drain", _machine(listener))
        assert idle.reply().status == "421 4.3.2"
        assert idle.is_closed
        assert _greeting(listener) == 421
        with Dialogue(listener.mailspool.smtps_port, tls=True, greet=False) as implicit:
            assert implicit.greeting.status == "421 4.3.2"
        amid.send(wire[200:])
        assert amid.reply().status == "250 2.0.0"
        assert amid.reply().status == "421 4.3.2"
        assert amid.is_closed
    assert listener.only(subject)
    wait_until(
        lambda: (
            [(bool(row["drains"]), row["busy"]) for row in listener.rows("SELECT drains, busy FROM spool_program")]
            == [(True, 0)]
        ),
        "it tells that it has nothing in hand",
        30,
    )
