"""What the log says of messages that wait, are caught, or make a stage fail."""

from __future__ import annotations

import pytest
from django.conf import settings as django_settings

from spool.events.line import Value
from spool.flow.rounds import MOST_FAILURES
from tests.spool.events.conftest import ANN, BOB, PASSWORD, Logged
from tests.spool.passing import Spool
from tests.spool.test_stages import Look

_CHECK = """
from quarantine.models import AntispamSettings, Check
Check.objects.get_or_create(
    name="words", defaults={"kind": "body", "pattern": "cheap-pills", "weight": 50, "outbound": True}
)
"""


def test_outbound_spam_is_quarantined_with_the_reason_and_resent_by_somebody(logged: Logged) -> None:
    logged.mailspool.run(_CHECK)
    # In effect on return.
    logged.mailspool.settings()
    queue_id = logged.send(ANN, "someone@sink.test", body="Buy cheap-pills\r\n")
    caught = logged.log.wait_for(id=queue_id, event="quarantined")
    assert caught["kind"] == "spam"
    assert float(caught["score"]) >= 50
    assert "words" in caught["why"]
    assert not logged.log.events(id=queue_id, event="ended")
    logged.mailspool.manage("quarantine", "resend", "--id", f"{queue_id}.eml", "--yes")
    assert "shell" in logged.log.wait_for(id=queue_id, event="resent")["by"]
    logged.log.wait_for(id=queue_id, event="ended", delivered=1)


def test_a_throttled_message_says_why_and_until_when(logged: Logged) -> None:
    logged.mailspool.manage("throttle", "set", BOB, "--messages-per-hour", "1", "--action", "delay")
    logged.mailspool.settings()
    with logged.submission() as client:
        client.login(BOB, PASSWORD)
        for _ in range(2):
            client.sendmail(BOB, ["someone@sink.test"], b"Subject: Often\r\n\r\nHello\r\n")
    throttled = logged.log.wait_for(event="throttled")
    assert BOB in throttled["why"] or "messages" in throttled["why"]
    assert throttled["next"]
    logged.mailspool.manage("throttle", "release", BOB)
    assert "shell" in logged.log.wait_for(id=throttled["id"], event="released")["by"]
    logged.log.wait_for(id=throttled["id"], event="ended")


class Broken(Look):
    """A stage with a bug."""

    async def run(self, batch: object, context: object) -> dict[int, object]:  # type: ignore[override]
        raise ValueError("a bug in a stage")


def test_a_stage_that_fails_is_logged_until_the_message_is_set_aside(
    spool: Spool, monkeypatch: pytest.MonkeyPatch, events: list[dict[str, Value]]
) -> None:
    monkeypatch.setattr(django_settings, "SPOOL_STAGES", [f"{__name__}.Broken", "spool.stages.Delivery"])
    name = spool.take()
    for _ in range(MOST_FAILURES):
        spool.work()
        spool.later(minutes=10)
    failed = [event for event in events if event["event"] == "failed"]
    assert [event["id"] for event in failed] == [name.removesuffix(".eml")] * MOST_FAILURES
    assert failed[0]["why"] == "ValueError: a bug in a stage"
    assert "next" in failed[0]
    assert failed[-1]["held"] == "yes"
