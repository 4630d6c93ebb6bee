"""Engines that have more to do than they can, or do not answer: nothing goes unscored unless somebody wants that."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.utils import timezone

from quarantine.engines import checks
from quarantine.engines.turns import share_of
from quarantine.models import AntispamSettings, Check, CheckKind, Item
from spool.actions import Actor, perform
from spool.models import Entry
from spool.models.entry import Status
from spool.monitoring import programs
from spool.monitoring.programs import Known, Live
from tests.quarantine.spamming import a_check, a_mail, from_outside, junk
from tests.quarantine.test_commands import as_json, run
from tests.spool.passing import ANN, FAR, Spool
from tests.support.few_children import FewChildren
from tests.support.spamd import GTUBE, Spamd

pytestmark = pytest.mark.django_db(transaction=True)
Setting = Callable[..., None]


@pytest.fixture
def engine() -> Iterator[FewChildren]:
    """An engine with five children, each of which needs a tenth of a second, and a queue as short as that."""
    with FewChildren(children=5, seconds=0.1) as engine:
        yield engine


def a_spamassassin(engine: FewChildren | Spamd, **columns: object) -> Check:
    columns = {"timeout_seconds": 5, "name": "SpamAssassin", "weight": 2, **columns}
    return a_check(CheckKind.SPAMD, where=engine.address, **columns)


def test_sixty_outgoing_spams_at_five_children_are_all_caught(spool: Spool, engine: FewChildren) -> None:
    a_spamassassin(engine, outbound=True, timeout_seconds=1)
    for number in range(60):
        spool.take(content=a_mail(f"{GTUBE} {number}", sender=ANN))
    spool.work()
    assert Item.objects.filter(why__startswith="100 points").count() == 60
    assert spool.peer.taken == []
    assert engine.most_asked <= 5 and engine.turned_away == 0


@pytest.mark.long
def test_sixty_incoming_messages_at_three_children_of_spamd_are_all_scored(spool: Spool, spamd: Spamd) -> None:
    a_spamassassin(spamd, parallel=3, timeout_seconds=30)
    for number in range(60):
        from_outside(spool, a_mail(f"{GTUBE if number % 2 else 'At noon?'} {number}"))
    spool.work()
    assert [message["X-Spam-Unchecked"] for message in spool.mailbox()] == [None] * 30
    assert len(junk()) == 30 and not Entry.objects.exists()


def test_workers_share_the_questions_that_an_engine_may_have(
    spool: Spool, engine: FewChildren, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(programs, "_known", Known(Live(here=3, everywhere=6)))
    a_spamassassin(engine)
    # One on this machine is asked by its workers, another by those of all machines.
    elsewhere = Check(kind=CheckKind.SPAMD, where="192.0.2.1:783")
    assert share_of(elsewhere) == -(-elsewhere.most_at_once // 6)
    for number in range(10):
        from_outside(spool, a_mail(str(number)))
    spool.work()
    assert engine.most_asked == 2 and engine.answers == 10


def test_outgoing_mail_waits_for_an_engine_that_is_down_and_says_why(spool: Spool) -> None:
    with FewChildren(children=1, seconds=0) as gone:
        pass
    a_spamassassin(gone, outbound=True, inbound=False)
    names = [spool.take(content=a_mail(str(number), sender=ANN)) for number in range(8)]
    spool.work()
    for name in names:
        entry = spool.entry(name)
        assert (entry.status, entry.attempts) == (Status.SPAM_CHECK, 0)
        assert entry.last_error.startswith("Not checked for spam yet: SpamAssassin: ")
        assert 0 < spool.minutes_to_go(name) <= 5
    assert spool.peer.taken == []


def test_what_waited_goes_on_when_the_engine_answers_again(spool: Spool, engine: FewChildren) -> None:
    engine.is_silent = True
    a_spamassassin(engine, outbound=True, inbound=False, timeout_seconds=1)
    for number in range(7):
        spool.take(content=a_mail(GTUBE if number == 3 else str(number), sender=ANN))
    spool.work()
    assert checks.rests.resting("SpamAssassin") or Entry.objects.filter(status=Status.SPAM_CHECK).count() == 7
    assert spool.peer.taken == []
    engine.is_silent = False
    checks.rests.forget()
    spool.later(minutes=6)
    spool.work()
    assert len(spool.peer.taken) == 6 and Item.objects.count() == 1 and not Entry.objects.exists()


def test_a_check_that_rests_lets_no_outgoing_mail_go_unscored(spool: Spool, engine: FewChildren) -> None:
    a_spamassassin(engine, outbound=True, inbound=False)
    for _ in range(5):
        checks.rests.failed("SpamAssassin", "gone")
    name = spool.take(content=a_mail(GTUBE, sender=ANN))
    spool.work()
    assert "paused" in spool.entry(name).last_error and spool.peer.taken == []


def test_force_has_an_engine_asked_that_rests(spool: Spool, engine: FewChildren, admin: Actor) -> None:
    a_spamassassin(engine, outbound=True, inbound=False)
    for _ in range(5):
        checks.rests.failed("SpamAssassin", "gone")
    name = spool.take(content=a_mail(sender=ANN))
    spool.work()
    perform("force", [spool.entry(name).id], admin)
    spool.work()
    assert len(spool.peer.taken) == 1


@pytest.mark.parametrize(
    ("choice", "after"),
    [("hold", "quarantined"), ("hold_pass", "sent"), ("keep", "quarantined at once"), ("pass", "sent at once")],
)
def test_outgoing_mail_without_an_answer_goes_as_was_chosen(
    spool: Spool, setting: Setting, choice: str, after: str
) -> None:
    with FewChildren(children=1, seconds=0) as gone:
        pass
    setting(AntispamSettings, outbound_unanswered=choice, outbound_hold_hours=2)
    a_spamassassin(gone, outbound=True, inbound=False)
    spool.take(content=a_mail(sender=ANN))
    spool.work()
    if not after.endswith("at once"):
        spool.later(hours=1)
        spool.work()
        assert Entry.objects.get().status == Status.SPAM_CHECK
        spool.later(hours=1, minutes=6)
        spool.work()
    assert not Entry.objects.exists()
    if after.startswith("sent"):
        assert len(spool.peer.taken) == 1
    else:
        assert Item.objects.get().why == "Not checked for spam: no answer of SpamAssassin"
        assert spool.peer.taken == []


@pytest.mark.parametrize("choice", ["hold", "mark", "pass"])
def test_incoming_mail_without_an_answer_goes_as_was_chosen(spool: Spool, setting: Setting, choice: str) -> None:
    with FewChildren(children=1, seconds=0) as gone:
        pass
    setting(AntispamSettings, inbound_unanswered=choice, inbound_hold_hours=2)
    a_spamassassin(gone)
    from_outside(spool, b"X-Spam-Unchecked: nobody\r\n" + a_mail())
    spool.work()
    if choice == "hold":
        assert Entry.objects.get().status == Status.SPAM_CHECK and not spool.mailbox()
        spool.later(hours=2, minutes=6)
        spool.work()
    [message] = spool.mailbox()
    assert message.get_all("X-Spam-Unchecked") == (None if choice == "pass" else ["SpamAssassin"])
    assert message["Subject"] == "Lunch"


def test_what_other_checks_find_is_enough_to_catch_it(spool: Spool) -> None:
    with FewChildren(children=1, seconds=0) as gone:
        pass
    a_spamassassin(gone, outbound=True, inbound=False)
    a_check(CheckKind.BODY, 40, pattern="cheap watches", outbound=True, inbound=False, name="watches")
    spool.take(content=a_mail("Cheap watches!", sender=ANN))
    spool.work()
    assert Item.objects.get().why == "40 points: watches 40"


def test_copies_for_mailboxes_here_do_not_wait_with_those_that_leave(spool: Spool) -> None:
    with FewChildren(children=1, seconds=0) as gone:
        pass
    a_spamassassin(gone, outbound=True, inbound=False)
    spool.take([ANN, f"bob@{FAR}"], content=a_mail(sender=ANN))
    entry = Entry.objects.get()
    entry.recipients.filter(address=ANN).update(kind="local")
    spool.work()
    assert len(spool.mailbox()) == 1 and spool.peer.taken == []
    waiting = Entry.objects.get()
    assert (waiting.status, waiting.attempts) == (Status.SPAM_CHECK, 0)


def test_who_finds_no_turn_in_time_comes_back_soon_whatever_was_chosen(
    spool: Spool, setting: Setting, engine: FewChildren, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine.seconds = 1.6
    setting(AntispamSettings, line_seconds=1, inbound_unanswered="pass")
    a_spamassassin(engine, parallel=1)
    for number in range(2):
        from_outside(spool, a_mail(str(number)))
    spool.work()
    entry = Entry.objects.get()
    assert entry.last_error == "Not checked for spam yet: SpamAssassin: busy: no turn within 1 s"
    assert entry.next_attempt is not None and (entry.next_attempt - timezone.now()).total_seconds() <= 15
    assert not checks.rests.resting("SpamAssassin")
    engine.seconds = 0
    spool.later(seconds=20)
    spool.work()
    assert len(spool.mailbox()) == 2 and engine.answers == 2


def test_a_pass_that_ends_in_the_middle_leaves_nothing_behind(spool: Spool, engine: FewChildren) -> None:
    """As a worker that is told to stop: what it had begun is for the next."""
    from spool.flow import passes

    engine.seconds = 0.5
    a_spamassassin(engine, outbound=True, inbound=False)
    for number in range(12):
        spool.take(content=a_mail(f"{GTUBE} {number}", sender=ANN))

    def stop() -> None:
        while engine.most_asked == 0:
            time.sleep(0.01)
        passes.request_stop()

    thread = threading.Thread(target=stop)
    thread.start()
    passes.run()
    thread.join(10)
    passes._stop.clear()
    assert Item.objects.count() + Entry.objects.count() == 12
    engine.seconds = 0
    spool.later(minutes=1)
    spool.work()
    assert Item.objects.filter(why__startswith="100 points").count() == 12 and spool.peer.taken == []


def test_the_scan_command_says_who_has_not_read_a_message_and_what_is_set_for_it(spool: Spool, tmp_path: Path) -> None:
    with FewChildren(children=1, seconds=0) as gone:
        pass
    a_spamassassin(gone)
    path = tmp_path / "mail.eml"
    path.write_bytes(a_mail())
    said = "Not read by SpamAssassin. For such mail is set: inbound, Deliver marked; outbound, Hold, then quarantine."
    assert said in run("scan", str(path))[1]
    assert as_json("scan", str(path))["spam"]["unanswered"] == ["SpamAssassin"]


def test_the_settings_of_antispam_can_be_changed_from_the_shell(spool: Spool) -> None:
    assert run("settings", "set", "antispam.outbound_unanswered=pass", "antispam.line-seconds=30")[0] == 0
    assert run("settings", "get", "antispam.outbound_unanswered")[1] == "pass\n"
    row = AntispamSettings.load()
    assert (row.outbound_unanswered, row.line_seconds) == ("pass", 30)
    status, _, why = run("settings", "set", "antispam.line_seconds=900")
    assert status == 1 and why.startswith("line_seconds: Ensure this value is less than or equal to 180")
    assert as_json("settings", "list")["antispam.line_seconds"] == 30
