"""FUTURERELEASE (RFC 4865): mail that is handed in now and leaves later."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from spool.smtpd.verbs.future_release import offered, release_of
from spool.smtpd.verbs.parameters import BadParameter
from tests.spool.smtpd.conftest import ANN, Listener
from tests.spool.smtpd.dialogue import Dialogue

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
MONTH = timedelta(days=30)
X = "x@elsewhere.test"


@pytest.mark.parametrize(
    ("parameters", "moment"),
    [
        ({}, None),
        ({"HOLDFOR": "90"}, NOW + timedelta(seconds=90)),
        ({"HOLDFOR": "0"}, None),
        ({"HOLDUNTIL": "2026-03-02T18:30:00Z"}, datetime(2026, 3, 2, 18, 30, tzinfo=UTC)),
        ({"HOLDUNTIL": "2026-03-02t18:30:00.25z"}, datetime(2026, 3, 2, 18, 30, 0, 250_000, tzinfo=UTC)),
        ({"HOLDUNTIL": "2026-03-02T18:30:00+02:00"}, datetime(2026, 3, 2, 16, 30, tzinfo=UTC)),
        ({"HOLDUNTIL": "2026-03-02T11:59:59Z"}, None),
        ({"HOLDFOR": str(30 * 86_400)}, NOW + MONTH),
    ],
)
def test_when_a_message_is_to_leave(parameters: dict[str, str], moment: datetime | None) -> None:
    assert release_of(parameters, MONTH, NOW) == moment


@pytest.mark.parametrize(
    "parameters",
    [
        {"HOLDFOR": "90", "HOLDUNTIL": "2026-03-02T18:30:00Z"},
        {"HOLDFOR": ""},
        {"HOLDFOR": "-1"},
        {"HOLDFOR": "1.5"},
        {"HOLDFOR": "1234567890"},
        {"HOLDFOR": "\u0661"},
        {"HOLDFOR": str(30 * 86_400 + 1)},
        {"HOLDUNTIL": ""},
        {"HOLDUNTIL": "tomorrow"},
        {"HOLDUNTIL": "2026-03-02"},
        {"HOLDUNTIL": "2026-03-02T18:30:00"},
        {"HOLDUNTIL": "2026-02-30T18:30:00Z"},
        {"HOLDUNTIL": "9999-12-31T23:59:59-23:59"},
        {"HOLDUNTIL": "2026-05-02T18:30:00Z"},
    ],
)
def test_what_is_no_time_or_too_far_ahead_is_refused(parameters: dict[str, str]) -> None:
    with pytest.raises(BadParameter) as refused:
        release_of(parameters, MONTH, NOW)
    assert refused.value.reply.startswith("501 5.5.4 ")


def test_the_limits_are_offered_in_seconds_and_as_a_moment() -> None:
    assert offered(MONTH, NOW) == "FUTURERELEASE 2592000 2026-04-01T12:00:00Z"


def test_it_is_offered_on_submission_alone(listener: Listener) -> None:
    with listener.submission() as client:
        assert any(line.startswith("FUTURERELEASE 2592000 2") for line in client.ehlo().lines)
        assert client.do(f"MAIL FROM:<{ANN}> HOLDFOR=tomorrow").status == "501 5.5.4"
        assert client.do(f"MAIL FROM:<{ANN}> HOLDFOR=60 HOLDUNTIL=2036-01-01T00:00:00Z").status == "501 5.5.4"
        assert client.do(f"MAIL FROM:<{ANN}> HOLDUNTIL=2036-01-01T00:00:00Z").status == "501 5.5.4"
    with listener.client() as client:
        assert not any(line.startswith("FUTURERELEASE") for line in client.ehlo().lines)
        assert client.do(f"MAIL FROM:<{X}> HOLDFOR=60").status == "555 5.5.4"


def test_where_the_setting_says_never_it_is_not_known(listener: Listener) -> None:
    with listener.settings(schedule_days=0):
        with Dialogue(listener.mailspool.submission_port) as client:
            assert not any(line.startswith("FUTURERELEASE") for line in client.ehlo().lines)
        with listener.submission() as client:
            assert client.do(f"MAIL FROM:<{ANN}> HOLDFOR=60").status == "555 5.5.4"


def test_a_message_is_scheduled_for_the_time_that_was_asked_for(listener: Listener) -> None:
    subject, message = listener.message(to=X)
    with listener.submission() as client:
        assert client.do(f"MAIL FROM:<{ANN}> HOLDFOR=3600").code == 250
        assert client.do(f"RCPT TO:<{X}>").code == 250
        assert client.content(message).code == 250
    row = listener.only(subject).row
    assert row["status"] == "scheduled"
    moments = [datetime.fromisoformat(str(row[name])) for name in ("created", "next_attempt", "due_at", "release_at")]
    assert moments[1] == moments[2] == moments[3]
    assert 3590 < (moments[1] - moments[0]).total_seconds() <= 3600
