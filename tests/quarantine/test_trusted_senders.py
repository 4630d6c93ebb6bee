"""A trusted sender passes the Spam Check by, when it is proven to be that sender; nobody else does in their name."""

from __future__ import annotations

import pytest

from quarantine.models import CheckKind, Item, TrustedSender
from spool.actions import Actor, perform
from spool.flow import intake
from tests.quarantine.spamming import EVE, a_check, a_mail, from_outside, junk, signed
from tests.spool.passing import ANN, FAR, HERE, Spool
from tests.support.messages import a_submission

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _trusted(spool: Spool) -> None:
    row = TrustedSender(pattern=f"@{FAR.upper()}")
    row.full_clean()
    row.save()
    a_check(CheckKind.HEADER, 25, where="Subject", pattern="Lunch", name="rule")


@pytest.mark.parametrize("record", ["v=spf1 -all", "v=spf1 ~all", "v=spf1 ?all", ""])
def test_a_stranger_in_a_trusted_name_is_not_forgiven(spool: Spool, record: str) -> None:
    if record:
        spool.dns.add(FAR, "TXT", f'"{record}"')
    from_outside(spool, a_mail())
    spool.work()
    [spam] = junk()
    assert b"score=25" in spam and b"trusted" not in spam


def test_who_passes_spf_passes_by_and_no_check_counts(spool: Spool) -> None:
    spool.dns.add(FAR, "TXT", '"v=spf1 ip4:192.0.2.0/24 -all"')
    a_check(CheckKind.SPF, 8)
    from_outside(spool, a_mail())
    spool.work()
    [message] = spool.mailbox()
    assert message["X-Spam-Status"] == "No, score=0 required=10 tests=none trusted"
    assert message["Authentication-Results"] == f"mail.test; spf=pass smtp.mailfrom={FAR}"


def test_a_signature_of_the_senders_domain_proves_it_too(spool: Spool) -> None:
    TrustedSender.objects.create(pattern=f"mail.{FAR}")
    from_outside(spool, signed(a_mail(), spool), sender=f"news@mail.{FAR}")
    spool.work()
    assert [message["X-Spam-Score"] for message in spool.mailbox()] == ["0"]


def test_one_of_another_domain_or_of_another_message_does_not(spool: Spool) -> None:
    TrustedSender.objects.create(pattern="bank.test")
    from_outside(spool, signed(a_mail(), spool), sender="teller@bank.test")
    from_outside(spool, signed(a_mail(), spool).replace(b"At noon?", b"At night"))
    spool.work()
    assert not spool.mailbox() and len(junk()) == 2


def test_a_proven_envelope_does_not_cover_a_protected_from(spool: Spool) -> None:
    spool.dns.add(FAR, "TXT", '"v=spf1 ip4:192.0.2.0/24 -all"')
    spool.dns.add("_dmarc.bank.test", "TXT", '"v=DMARC1; p=reject"')
    from_outside(spool, a_mail(sender="ceo@bank.test"), sender=EVE)
    spool.work()
    assert len(junk()) == 1


def test_our_own_people_are_proven_by_their_login_for_their_own_address_alone(spool: Spool, admin: Actor) -> None:
    a_check(CheckKind.HEADER, 40, where="Subject", pattern="Lunch", name="out", inbound=False, outbound=True)
    submission = a_submission(ANN, f"bob@{FAR}", content=a_mail(sender=ANN))
    submission.envelope.auth_user = ANN
    intake.accept([submission])
    spool.work()
    perform("quarantine-resend", [Item.objects.get().id], admin, trust=True)
    spool.work()
    assert len(spool.peer.taken) == 1 and TrustedSender.objects.filter(pattern=ANN).exists()
    for login in (ANN, f"mallory@{HERE}"):
        again = a_submission(ANN, f"bob@{FAR}", content=a_mail(sender=ANN))
        again.envelope.auth_user = login
        intake.accept([again])
    spool.work()
    assert len(spool.peer.taken) == 2 and Item.objects.get().auth_user == f"mallory@{HERE}"
