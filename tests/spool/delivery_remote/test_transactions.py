"""What hosts answer, stage by stage, and what becomes of the recipients."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from spool.models.recipient import Outcome
from tests.spool.delivery_remote.conftest import BOB, CARL, DAN, Deliver, addresses
from tests.support.messages import a_leased_entry
from tests.support.smtp_peer import CUT, DRIP, HANG, POUR, Answer, SmtpPeer

DELIVERED, BOUNCED, PENDING = Outcome.DELIVERED, Outcome.BOUNCED, Outcome.PENDING
BOTH = pytest.mark.parametrize("pipelining", [True, False], ids=["pipelining", "one by one"])


def _pipelining(peer: SmtpPeer, wanted: bool) -> None:
    if not wanted:
        peer.features.remove("PIPELINING")


@BOTH
def test_each_recipient_gets_the_outcome_of_its_own_reply(
    peer: SmtpPeer, spooled: Path, deliver: Deliver, pipelining: bool
) -> None:
    _pipelining(peer, pipelining)
    peer.rcpt = {CARL: "550 5.1.1 no such user", DAN: "450 4.2.1 try later"}
    entry = a_leased_entry(spooled, to=[BOB, CARL, DAN])
    [told] = deliver(entry)
    assert told.outcomes == {BOB: DELIVERED, CARL: BOUNCED, DAN: PENDING}
    assert told.of(CARL).reply == "550 5.1.1 no such user"
    assert (told.of(CARL).status_code, told.of(DAN).status_code) == ("5.1.1", "4.2.1")
    [taken] = peer.taken
    assert taken.recipients == (BOB,)
    assert taken.content == entry.read()
    [attempt] = told.attempts
    assert (attempt.host, attempt.ip, attempt.code) == ("mx.far.test", "127.0.0.1", 550)


STAGES: list[tuple[str, Answer, Outcome, str]] = [
    ("CONNECT", "421 4.3.2 shutting down", PENDING, "shutting down"),
    ("CONNECT", "554 5.7.1 not you", PENDING, "not you"),
    ("CONNECT", CUT, PENDING, "closed by the other side"),
    ("CONNECT", HANG, PENDING, "no answer in time"),
    ("CONNECT", b"HTTP/1.1 400 Bad Request\r\n\r\n", PENDING, "no SMTP reply"),
    ("CONNECT", b"220-" + b"x" * 100_000, PENDING, "a line that never ends"),
    ("CONNECT", b"220-go on\r\n" * 200, PENDING, "a reply that never ends"),
    ("CONNECT", DRIP, PENDING, "no answer in time"),
    ("CONNECT", POUR, PENDING, "no answer in time"),
    ("EHLO", "451 4.3.0 not now", PENDING, "not now"),
    ("EHLO", CUT, PENDING, "closed by the other side"),
    ("MAIL", "421 4.7.0 too many", PENDING, "421 4.7.0 too many"),
    ("MAIL", "451 4.3.0 not now", PENDING, "451 4.3.0 not now"),
    ("MAIL", "550 5.7.1 sender unwanted", BOUNCED, "550 5.7.1 sender unwanted"),
    ("MAIL", CUT, PENDING, "broke"),
    ("MAIL", HANG, PENDING, "no answer in time"),
    ("MAIL", POUR, PENDING, "no answer in time"),
    ("MAIL", b"\xff\xfe\r\n", PENDING, "no SMTP reply"),
    ("RCPT", "421 4.7.0 too many", PENDING, "421 4.7.0 too many"),
    ("RCPT", "450 4.2.1 greylisted", PENDING, "450 4.2.1 greylisted"),
    ("RCPT", "553 5.1.3 what?", BOUNCED, "553 5.1.3 what?"),
    ("RCPT", "552 too many recipients", PENDING, "too many recipients"),
    ("RCPT", CUT, PENDING, "broke"),
    ("DATA", "421 4.7.0 too many", PENDING, "421 4.7.0 too many"),
    ("DATA", "451 4.3.0 not now", PENDING, "451 4.3.0 not now"),
    ("DATA", "554 5.7.1 no", BOUNCED, "554 5.7.1 no"),
    ("DATA", "250 2.0.0 ok", PENDING, "answered DATA with"),
    ("DATA", CUT, PENDING, "broke"),
    ("END", "421 4.7.0 too many", PENDING, "421 4.7.0 too many"),
    ("END", "452 4.3.1 disk full", PENDING, "452 4.3.1 disk full"),
    ("END", "552 5.3.4 too big", BOUNCED, "552 5.3.4 too big"),
    ("END", "554 5.7.1 spam", BOUNCED, "554 5.7.1 spam"),
    ("END", "354 what?", PENDING, "354 what?"),
    ("END", CUT, PENDING, "broke"),
]


# Pipelining begins with MAIL.
@pytest.mark.parametrize(
    ("stage", "answer", "outcome", "text", "pipelining"),
    [(*row, way) for row in STAGES for way in ((True,) if row[0] in ("CONNECT", "EHLO") else (True, False))],
)
def test_a_failure_at_any_stage_has_its_outcome_and_its_text(
    peer: SmtpPeer,
    spooled: Path,
    deliver: Deliver,
    stage: str,
    answer: Answer,
    outcome: Outcome,
    text: str,
    pipelining: bool,
) -> None:
    _pipelining(peer, pipelining)
    peer.on[stage] = answer
    patience = 1 if answer in (HANG, DRIP, POUR) else 10
    [told] = deliver(a_leased_entry(spooled, to=[BOB, CARL]), reply_timeout_seconds=patience)
    assert told.outcomes == {BOB: outcome, CARL: outcome}
    assert text in told.of(BOB).reply
    assert told.of(BOB).status_code[0] == ("5" if outcome is BOUNCED else "4")
    assert peer.taken == []
    [attempt] = told.attempts
    assert set(attempt.recipients) == {BOB, CARL}
    assert text in attempt.reply


def test_a_host_that_only_knows_helo_gets_the_message(peer: SmtpPeer, spooled: Path, deliver: Deliver) -> None:
    peer.on["EHLO"] = "502 5.5.1 what?"
    [told] = deliver(a_leased_entry(spooled, to=BOB, eight_bit=True))
    assert told.outcomes == {BOB: DELIVERED}
    assert peer.taken[0].mail == "MAIL FROM:<ann@example.org>"


def test_what_a_host_answers_is_bounded_in_what_is_kept(peer: SmtpPeer, spooled: Path, deliver: Deliver) -> None:
    peer.on["END"] = b"".join(b"550-5.7.1 " + b"no " * 300 + b"\r\n" for _ in range(50)) + b"550 5.7.1 no\r\n"
    [told] = deliver(a_leased_entry(spooled, to=BOB))
    assert told.only.outcome is BOUNCED
    assert len(told.only.reply) == 500


def test_a_slow_host_has_time_for_each_reply_anew(peer: SmtpPeer, spooled: Path, deliver: Deliver) -> None:
    # Every line is late, the whole takes longer than one reply may.
    peer.features.remove("PIPELINING")
    peer.delay_seconds = 0.4
    [told] = deliver(a_leased_entry(spooled, to=[BOB, CARL]), reply_timeout_seconds=1)
    assert told.outcomes == {BOB: DELIVERED, CARL: DELIVERED}


def test_a_message_larger_than_the_host_takes_is_not_offered(peer: SmtpPeer, spooled: Path, deliver: Deliver) -> None:
    peer.features = ["SIZE 1000", "PIPELINING"]
    [told] = deliver(a_leased_entry(spooled, to=BOB, content=b"Subject: x\r\n\r\n" + b"x" * 2000 + b"\r\n"))
    assert (told.only.outcome, told.only.status_code) == (BOUNCED, "5.3.4")
    assert not any(command.startswith("MAIL") for command in peer.commands)


def test_eight_bit_content_goes_unchanged_to_a_host_without_8bitmime(
    peer: SmtpPeer, spooled: Path, deliver: Deliver
) -> None:
    peer.features.remove("8BITMIME")
    content = b"Subject: x\r\n\r\ngr\xc3\xbc\xc3\x9fe \xff\r\n"
    [told] = deliver(a_leased_entry(spooled, to=BOB, content=content, eight_bit=True))
    assert told.only.outcome is DELIVERED
    assert peer.taken[0].content == content
    assert "BODY=" not in peer.taken[0].mail


def test_more_recipients_than_every_host_must_take_go_in_several_transactions(
    peer: SmtpPeer, spooled: Path, deliver: Deliver
) -> None:
    [told] = deliver(a_leased_entry(spooled, to=addresses(250)))
    assert set(told.outcomes.values()) == {DELIVERED}
    assert len(told.results) == 250
    assert sorted(len(taken.recipients) for taken in peer.taken) == [50, 100, 100]


@pytest.mark.parametrize("reply", ["452 4.5.3 too many recipients", "552 too many recipients"])
def test_recipients_that_were_too_many_follow_at_once(
    peer: SmtpPeer, spooled: Path, deliver: Deliver, reply: str
) -> None:
    peer.most_recipients, peer.too_many = 3, reply
    [told] = deliver(a_leased_entry(spooled, to=addresses(8)))
    assert set(told.outcomes.values()) == {DELIVERED}
    assert [len(taken.recipients) for taken in peer.taken] == [3, 3, 2]


@pytest.mark.parametrize("pipelining", [True, False])
@pytest.mark.parametrize("end", ["421 4.7.0 too many errors", CUT])
def test_a_host_that_takes_some_and_hangs_up_gets_all_some_at_a_time(
    peer: SmtpPeer, spooled: Path, deliver: Deliver, end: Answer, pipelining: bool
) -> None:
    _pipelining(peer, pipelining)
    peer.most_recipients, peer.hangs_up = 10, end
    [told] = deliver(a_leased_entry(spooled, to=addresses(35)))
    assert set(told.outcomes.values()) == {DELIVERED} and len(told.results) == 35
    assert [len(taken.recipients) for taken in peer.taken] == [10, 10, 10, 5]
    assert "hung up after it took 10 recipients" in told.attempts[0].reply


def test_a_host_that_hangs_up_at_every_second_recipient_is_asked_some_times_at_most(
    peer: SmtpPeer, spooled: Path, deliver: Deliver
) -> None:
    peer.most_recipients, peer.hangs_up = 1, CUT
    [told] = deliver(a_leased_entry(spooled, to=addresses(100)))
    assert set(told.outcomes.values()) == {DELIVERED}
    assert len(peer.conversations) <= 3


def test_a_host_that_hangs_up_at_the_first_recipient_gets_no_second_try(
    peer: SmtpPeer, spooled: Path, deliver: Deliver
) -> None:
    peer.most_recipients, peer.hangs_up = 0, CUT
    [told] = deliver(a_leased_entry(spooled, to=addresses(20)))
    assert set(told.outcomes.values()) == {PENDING}
    assert len(peer.conversations) == 1


def test_a_message_whose_file_is_missing_waits_and_the_connection_lives(
    peer: SmtpPeer, spooled: Path, deliver: Deliver
) -> None:
    gone, there = a_leased_entry(spooled, to=BOB), a_leased_entry(spooled, to=CARL)
    gone.path.unlink()
    told_gone, told_there = deliver(gone, there)
    assert told_gone.only.outcome is PENDING
    assert "missing" in told_gone.only.reply
    assert told_there.only.outcome is DELIVERED


def test_a_missing_large_file_is_noticed_before_anything_is_said(
    peer: SmtpPeer, spooled: Path, deliver: Deliver
) -> None:
    entry = a_leased_entry(spooled, to=BOB, content=b"x" * 3_000_000)
    entry.path.unlink()
    [told] = deliver(entry)
    assert told.only.outcome is PENDING
    assert not any(command.startswith("MAIL") for command in peer.commands)


def test_a_host_that_wants_a_message_for_nobody_gets_an_empty_one(
    peer: SmtpPeer, spooled: Path, deliver: Deliver
) -> None:
    """By pipelining DATA was sent before the refusals came (RFC 2920 3.1)."""
    peer.rcpt = {BOB: "550 5.1.1 no"}
    peer.on["DATA"] = "354 go on"
    told = deliver(*[a_leased_entry(spooled, to=to) for to in (BOB, CARL)], max_per_destination=1)
    assert [one.only.outcome for one in told] == [BOUNCED, DELIVERED]
    assert [taken.recipients for taken in peer.taken] == [(CARL,)]
    assert len(peer.conversations) == 1


def test_a_host_that_wants_a_message_after_it_refused_the_sender_gets_none(
    peer: SmtpPeer, spooled: Path, deliver: Deliver
) -> None:
    peer.on["MAIL"] = ["550 5.7.1 no", "250 2.1.0 ok"]
    peer.on["DATA"] = "354 go on"
    told = deliver(*[a_leased_entry(spooled, to=to) for to in (BOB, CARL)], max_per_destination=1)
    assert [one.only.outcome for one in told] == [BOUNCED, DELIVERED]
    assert len(peer.conversations) == 2


def test_a_host_that_stops_reading_a_large_message_is_given_up(peer: SmtpPeer, spooled: Path, deliver: Deliver) -> None:
    peer.on["BODY"] = HANG
    entry = a_leased_entry(spooled, to=BOB, content=b"Subject: x\r\n\r\n" + b"x" * 78 * 300_000)
    started = time.monotonic()
    [told] = deliver(entry, reply_timeout_seconds=1)
    assert time.monotonic() - started < 20
    assert (told.only.outcome, told.only.status_code) == (PENDING, "4.4.2")


def test_an_envelope_that_can_not_be_sent_does_not_stop_others(peer: SmtpPeer, spooled: Path, deliver: Deliver) -> None:
    broken = a_leased_entry(spooled, sender="an\ud800n@example.org", to=BOB, content=b"Subject: x\r\n\r\n")
    told_broken, told_fine = deliver(broken, a_leased_entry(spooled, to=CARL))
    assert told_broken.only.outcome is PENDING
    assert told_fine.only.outcome is DELIVERED
