"""Why a message is still in the spool, in a sentence."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from spool.console.why import Facts, LastTry, why
from spool.delivery.replies import WAITS_FOR_HOST
from spool.delivery.shaping.brakes import reasons
from spool.models import Status

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


def facts(**known: Any) -> Facts:
    """An entry that waits after one try, with what a test says otherwise."""
    usual: dict[str, Any] = {
        "now": NOW,
        "status": Status.WAITING.value,
        "open_recipients": 1,
        "total_recipients": 1,
        "attempts": 1,
        "next_attempt": NOW + timedelta(minutes=14),
        "expires": NOW + timedelta(days=2, hours=6),
        "domains": ("example.net",),
    }
    return Facts(**(usual | known))


def last(reply: str, code: int = 0, host: str = "mx1.example.net", ip: str = "192.0.2.25") -> LastTry:
    return LastTry(NOW - timedelta(minutes=1), host, ip, code, reply)


def test_a_refusal_for_now_names_host_reply_and_what_comes_next() -> None:
    assert why(facts(last_try=last("451 4.3.0 Try later", 451))).sentence == (
        "Not delivered yet: after 1 attempt mx1.example.net (192.0.2.25) answered “451 4.3.0 Try later”"
        " 1 minute ago; the next attempt is in 14 minutes. Bounces in 2 days 6 hours."
    )


def test_a_host_that_does_not_answer_is_said_to_be_out_of_reach() -> None:
    sentence = why(facts(last_try=last("Connection refused"), attempts=3)).sentence
    assert "after 3 attempts mx1.example.net (192.0.2.25) could not be reached 1 minute ago" in sentence
    assert "“Connection refused”" in sentence


def test_without_an_attempt_in_the_log_the_last_error_is_told() -> None:
    assert "the last one failed with “No room”" in why(facts(last_error="No room.")).sentence


def test_an_entry_that_waits_without_any_attempt_says_so() -> None:
    assert "it has not been tried yet" in why(facts(attempts=0)).sentence


def test_mail_for_a_host_that_rests_says_why_it_waits_and_one_time() -> None:
    error = f"{WAITS_FOR_HOST}connecting to mx1.example.net [192.0.2.25]: no answer in time"
    found = why(facts(attempts=0, last_error=error))
    assert found.sentence == (
        "Not delivered yet: it waits, as its host did not answer other mail (“connecting to mx1.example.net"
        " [192.0.2.25]: no answer in time”); the next attempt is in 14 minutes. Bounces in 2 days 6 hours."
    )
    assert "When it is back" in found.advice
    assert (
        "after 2 attempts it waits"
        in why(facts(attempts=2, last_error=error, last_try=last("451 later", 451))).sentence
    )


@pytest.mark.parametrize(
    ("place", "waits"),
    [
        (0, "it waits, as mx.far.test takes only so much mail from us at a time"),
        (1, "it waits, as mx.far.test does not take mail from our address"),
        (2, "it waits, as an administrator has suspended mail for mx.far.test"),
    ],
)
def test_mail_for_a_destination_with_a_limit_says_so_and_where_there_is_more(place: int, waits: str) -> None:
    found = why(facts(attempts=0, last_error=reasons("mx.far.test")[place]))
    assert (
        found.sentence == f"Not delivered yet: {waits}; the next attempt is in 14 minutes. Bounces in 2 days 6 hours."
    )
    assert "page of the destination" in found.advice
    later = why(facts(attempts=2, last_error=reasons("mx.far.test")[place], last_try=last("421 slow down", 421)))
    assert f"after 2 attempts {waits}" in later.sentence


def test_what_broke_on_a_host_that_was_reached_is_not_said_to_be_out_of_reach() -> None:
    sentence = why(
        facts(last_try=last("the connection to mx1.example.net [192.0.2.25] broke: no answer in time"))
    ).sentence
    assert "the last one, to mx1.example.net (192.0.2.25), failed 1 minute ago" in sentence
    assert "could not be reached" not in sentence and "answered" not in sentence


def test_without_a_host_the_destination_is_named() -> None:
    sentence = why(facts(last_try=last("no MX", host="", ip=""), domains=("a.example", "b.example"))).sentence
    assert "a.example and b.example could not be reached" in sentence
    sentence = why(
        facts(last_try=last("no MX", host="", ip=""), domains=("a.example", "b.example", "c.example"))
    ).sentence
    assert "a.example and 2 other domains" in sentence


@pytest.mark.parametrize(
    ("left", "total", "words"),
    [
        (1, 1, "Not delivered yet"),
        (3, 3, "Not delivered to any of its 3 recipients yet"),
        (2, 1200, "2 of 1,200 recipients not delivered yet"),
        (1, 4, "1 of 4 recipients not delivered yet"),
    ],
)
def test_it_counts_who_is_still_open(left: int, total: int, words: str) -> None:
    assert why(facts(open_recipients=left, total_recipients=total)).sentence.startswith(words)


@pytest.mark.parametrize(
    ("reply", "advice"),
    [
        ("450 4.2.0 Greylisted, see http://postgrey", "greylisting"),
        ("452 4.2.2 mailbox full", "mailbox is full"),
        ("DNS: no such domain nowhere.example", "Check the spelling"),
        ("Cannot connect: Connection refused", "down or a firewall"),
        ("timed out after 30 s", "down or a firewall"),
        ("TLS handshake failed", "Encryption"),
        ("421 4.7.28 unusual rate of mail", "limits how much"),
        ("554 5.7.1 listed at a blocklist", "refuses our address"),
        ("535 5.7.8 Authentication credentials invalid", "wants a login"),
        ("451 something else", "Force tries at once"),
        ("550 5.7.26 unauthenticated sender, DMARC", "SPF, DKIM and DMARC"),
        ("451 4.7.1 message refused for now", "Redirect sends it elsewhere"),
        ("450 4.7.25 reverse DNS lookup failed", "PTR"),
        ("421 4.7.0 not now", "Redirect sends it elsewhere"),
        ("451 4.3.0 deliberately put off", "Redirect sends it elsewhere"),
    ],
)
def test_the_advice_fits_the_reply(reply: str, advice: str) -> None:
    assert advice in why(facts(last_error=reply, last_try=last(reply, 0))).advice


def test_a_hold_tells_its_reason_and_its_end() -> None:
    held = why(facts(held=True, hold_reason="Asked by Ann.", hold_until=NOW + timedelta(hours=1)))
    assert (
        held.sentence
        == "It is on hold because “Asked by Ann” until 2026-03-02 13:00 UTC; no attempt is made meanwhile."
    )
    assert "until somebody releases it" in why(facts(held=True)).sentence


def test_a_missing_file_matters_more_than_anything_else() -> None:
    orphan = why(facts(held=True, file_exists=False))
    assert "file is missing" in orphan.sentence and "delete the entry" in orphan.advice


def test_an_entry_that_was_set_aside_points_at_its_traceback() -> None:
    aside = why(facts(held=True, failures=3))
    assert "failed 3 times" in aside.sentence and "traceback" in aside.advice


def test_what_is_on_the_wire_needs_no_help() -> None:
    assert "right now (Remote Delivery)" in why(facts(status=Status.REMOTE_DELIVERY.value, leased=True)).sentence


def test_the_delivery_delay_says_when_it_ends() -> None:
    rests = facts(status=Status.DELIVERY_DELAY.value, next_attempt=NOW + timedelta(seconds=20), attempts=0)
    assert why(rests).sentence == "Waiting for the delivery delay; delivery starts in 20 seconds."


def test_an_entry_that_nobody_takes_points_at_the_workers() -> None:
    left = why(facts(status=Status.DELIVERY_DELAY.value, next_attempt=NOW - timedelta(minutes=9)))
    assert "due for 9 minutes and no worker" in left.sentence and "workers are running" in left.advice


def test_a_fresh_entry_is_about_to_be_taken() -> None:
    assert "next free worker" in why(facts(status=Status.DELIVERY_DELAY.value, next_attempt=NOW)).sentence


def test_a_throttled_entry_says_when_it_goes_on() -> None:
    throttled = why(facts(status=Status.THROTTLED.value, next_attempt=NOW + timedelta(minutes=40)))
    assert "sending limit; it goes on in 40 minutes" in throttled.sentence


def test_what_waits_for_an_engine_says_for_which_and_until_when() -> None:
    waiting = why(
        facts(
            status=Status.SPAM_CHECK.value,
            attempts=0,
            last_error="Not checked for spam yet: SpamAssassin: no answer within 5 s",
            next_attempt=NOW + timedelta(minutes=2),
        )
    )
    assert waiting.sentence == (
        "It waits for the Spam Check: Not checked for spam yet: SpamAssassin: no answer within 5 s. It is looked at"
        " again in 2 minutes; no attempt is counted meanwhile."
    )
    assert "Force has it asked at once" in waiting.advice


def test_the_last_attempt_is_announced_as_the_last() -> None:
    assert "last one before it bounces" in why(facts(expires=NOW, next_attempt=NOW)).sentence
    assert "the next attempt is due now" in why(facts(next_attempt=NOW)).sentence
    assert "no further attempt is planned" in why(facts(next_attempt=None)).sentence


def test_a_long_reply_is_cut() -> None:
    assert len(why(facts(last_try=last("x" * 500, 450))).sentence) < 450


def test_what_is_more_than_its_senders_share_says_whose_and_when_it_goes_at_last() -> None:
    burst = {"status": Status.DELIVERY_DELAY.value, "attempts": 0, "next_attempt": NOW - timedelta(minutes=9)}
    found = why(facts(**burst, turn=NOW + timedelta(minutes=7), share_of="ann@here.test"))
    assert found.sentence == (
        "ann@here.test has handed in more than its share. It goes when nothing of others is due, in 7 minutes at the"
        " latest."
    )
    assert "Force" in found.advice
    assert "no worker has taken it" in why(facts(**burst, turn=NOW - timedelta(seconds=1))).sentence
