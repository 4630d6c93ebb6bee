"""What the points of a check mean, and what an installation that exists keeps of its own."""

from __future__ import annotations

from importlib import import_module

import pytest
from django.apps import apps

from quarantine.models import AntispamSettings, Check, CheckKind
from quarantine.spam.score import Level, level_of
from tests.quarantine.spamming import a_check, from_outside, junk
from tests.spool.passing import ANN, Spool
from tests.support.spamd import Spamd

pytestmark = pytest.mark.django_db(transaction=True)

# What SpamAssassin gives 3.8 points of its own 5.
NEWSLETTER = f"""\
From: Shop News <news@good.test>
To: {ANN}
Subject: 50% OFF this weekend!
Date: Mon, 02 Mar 2026 08:00:00 +0000
Message-ID: <n1@good.test>
MIME-Version: 1.0
List-Unsubscribe: <https://good.test/u>
Content-Type: text/html; charset=utf-8

<html><body><img src="https://good.test/a.png"><p>Click here to save 50% off. Limited time offer. Buy now.</p>
<a href="https://good.test/x">Click here</a></body></html>
""".replace("\n", "\r\n").encode()


def weights() -> dict[str, float]:
    return dict(Check.objects.values_list("kind", "weight"))


def upgrade() -> None:
    import_module("quarantine.migrations.0006_usual_weights_of_engines").weigh(apps, None)


def test_a_newsletter_that_spamassassin_calls_ham_is_ham(spool: Spool, spamd: Spamd) -> None:
    a_check(CheckKind.SPAMD, None, where=spamd.address, timeout_seconds=30, name="SpamAssassin")
    from_outside(spool, NEWSLETTER, sender="news@good.test")
    spool.work()
    [message] = spool.mailbox()
    assert message["X-Spam-Status"].startswith("No, score=") and not junk()
    assert 0 < float(message["X-Spam-Score"]) < 10


@pytest.mark.parametrize(
    ("kind", "score", "level"),
    [
        (CheckKind.SPAMD, 4.9, Level.NONE),
        (CheckKind.SPAMD, 5, Level.LOW),
        (CheckKind.SPAMD, 10, Level.MEDIUM),
        (CheckKind.SPAMD, 15, Level.HIGH),
        (CheckKind.RSPAMD, 5.8, Level.NONE),
        (CheckKind.RSPAMD, 6, Level.LOW),
        (CheckKind.RSPAMD, 15, Level.MEDIUM),
    ],
)
def test_what_an_engine_calls_spam_is_low_and_the_rest_follows(kind: CheckKind, score: float, level: Level) -> None:
    check = a_check(kind, None)
    assert level_of(score * check.weight, AntispamSettings()) is level


def test_a_weight_that_nobody_chose_is_the_usual_one_and_none_is_allowed() -> None:
    for kind in (CheckKind.SPF, CheckKind.DKIM, CheckKind.DMARC):
        a_check(kind, None)
    a_check(CheckKind.NULL_SENDER, 0)
    assert weights() == {"spf": 5, "dkim": 3, "dmarc": 10, "null_sender": 0}


def test_an_upgrade_brings_the_usual_weight_where_nobody_had_chosen_one() -> None:
    AntispamSettings.load().save()
    a_check(CheckKind.SPAMD, 10)
    a_check(CheckKind.RSPAMD, 4)
    a_check(CheckKind.SPF, 10)
    upgrade()
    assert weights() == {"spamd": 2, "rspamd": 4, "spf": 10}


def test_an_upgrade_leaves_a_scale_of_somebodys_own_alone() -> None:
    row = AntispamSettings.load()
    row.low, row.medium, row.high = 50, 80, 100
    row.save()
    a_check(CheckKind.SPAMD, 10)
    upgrade()
    assert weights() == {"spamd": 10}
