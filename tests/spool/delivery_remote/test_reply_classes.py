"""What receivers mean by their refusals."""

from __future__ import annotations

from pathlib import Path

import pytest

from spool.delivery.replies import Reply
from spool.delivery.shaping.classes import LONGEST_TEXT, ReplyClass, classify, parse, wait_asked_for

TEXTS = Path(__file__).with_name("reply_texts.txt")


def _said() -> list[tuple[ReplyClass, Reply]]:
    found = []
    for line in TEXTS.read_text("utf-8").splitlines():
        if line.strip() and not line.startswith("#"):
            name, _, text = line.partition("\t")
            found.append((ReplyClass(name), Reply(int(text[:3]), (text[4:],))))
    return found


def test_most_of_what_receivers_really_say_is_understood() -> None:
    said = _said()
    wrong = [
        f"{classify(reply.code, reply.enhanced, reply.text)} for {is_about}: {reply.text}"
        for is_about, reply in said
        if classify(reply.code, reply.enhanced, reply.text) is not is_about
    ]
    assert len(said) >= 200
    assert len({reply.text for _, reply in said}) == len(said)
    assert len(wrong) <= 0.02 * len(said), "\n".join(wrong)


def test_what_brakes_us_is_never_read_into_what_is_about_a_message_or_a_recipient() -> None:
    brakes = {ReplyClass.RATE, ReplyClass.CONNECTIONS, ReplyClass.REPUTATION}
    wrong = [
        reply.text
        for is_about, reply in _said()
        if is_about not in brakes and classify(reply.code, reply.enhanced, reply.text) in brakes
    ]
    assert wrong == []


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("451 Greylisted, please try again in 180 seconds", 180),
        ("450 4.2.0 greylisted for 60 seconds by ZEROSPAM", 60),
        ("451 4.7.1 Greylisting in action, please come back in 00:05:00", 300),
        ("451 Greylisted for 5 minutes", 300),
        ("451 greylisted, retry in 15 mins", 900),
        ("451 greylisted for 1 hour", 3600),
        ("451 4.7.1 Greylisted by policy", None),
        ("451 4.7.1 Greylisted for a week", None),
    ],
)
def test_a_host_that_greylists_is_asked_again_when_it_says(text: str, seconds: int | None) -> None:
    assert wait_asked_for(text) == seconds


def test_words_that_come_too_late_in_a_text_decide_nothing() -> None:
    assert classify(421, "4.0.0", "too many connections") is ReplyClass.CONNECTIONS
    assert classify(421, "4.0.0", "x" * LONGEST_TEXT + " too many connections") is ReplyClass.OTHER


def test_what_was_taken_is_about_nothing() -> None:
    assert classify(250, "2.0.0", "ok, but you are throttled") is ReplyClass.OTHER


def test_a_rule_is_read_with_its_codes_and_phrases() -> None:
    [rule] = parse("# a remark\n\nrate 421,4.7.6*: too many … per hour  # why\n")
    assert (rule.is_about, rule.codes) == (ReplyClass.RATE, ("421", "4.7.6*"))
    words = " too many messages per hour "
    assert rule.fits(421, "4.0.0", words)
    assert rule.fits(451, "4.7.650", words)
    assert not rule.fits(451, "4.7.1", words)
    assert not rule.fits(421, "4.0.0", " per hour too many ")
