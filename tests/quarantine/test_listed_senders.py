"""Whom users allow and block decides about their own mailbox, and about nobody else's."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable

import pytest
from django.conf import settings as django_settings
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.actor import NotAllowed
from accounts.models import Domain, User
from quarantine import digest, stages
from quarantine.actions import by_owner
from quarantine.models import AntispamSettings, CheckKind, Item, ListedSender, Listing, TrustedSender
from quarantine.models.listed import forget_listed, normal_sender
from quarantine.spam.listed_senders import lists_of
from spool.actions import Actor, perform
from spool.flow import intake, leases
from spool.models import Entry
from spool.models.recipient import Kind
from spool.ownership import Ownership
from tests.quarantine.spamming import CLIENT, EVE, a_check, a_mail, from_outside, junk, signed
from tests.spool.passing import ANN, FAR, HERE, Spool
from tests.support.messages import a_submission

pytestmark = pytest.mark.django_db(transaction=True)
BOB, CLEO = f"bob@{HERE}", f"cleo@{HERE}"


@pytest.fixture(autouse=True)
def people(spool: Spool) -> None:
    for address in (BOB, CLEO):
        user = User(email=address, domain=Domain.objects.get(name=HERE))
        user.set_unusable_password()
        user.save()


@pytest.fixture
def rule() -> None:
    """Each message with Lunch as its subject has 25 points, and goes to Junk."""
    a_check(CheckKind.HEADER, 25, where="Subject", pattern="Lunch", name="rule")


def listed(address: str, **listings: str) -> None:
    """`allow` and `block` by their names."""
    user = User.objects.get(email=address)
    for listing, pattern in listings.items():
        ListedSender.objects.create(
            user=user, pattern=normal_sender(pattern), listing=Listing(listing), created=timezone.now()
        )
    forget_listed()


def speaks_for(spool: Spool, domain: str = FAR) -> None:
    """Mail of the client passes SPF for the domain."""
    spool.dns.add(domain, "TXT", f'"v=spf1 ip4:{CLIENT} -all"')


class TestBlocked:
    @pytest.mark.parametrize("pattern", [EVE, f"*@{FAR}", f"@{FAR.upper()}", "far.test"])
    def test_mail_of_a_blocked_sender_goes_to_the_quarantine_of_whom_blocks_it(
        self, spool: Spool, pattern: str
    ) -> None:
        listed(ANN, block=pattern)
        from_outside(spool, a_mail())
        spool.work()
        item = Item.objects.get()
        assert (item.blocked_by, item.addresses, item.kind) == (ANN, ANN, "spam")
        assert item.why.startswith(f"Blocked by {ANN}: ") and not spool.mailbox() and not Entry.objects.exists()

    def test_the_other_recipients_of_the_same_message_get_it_and_never_learn_of_it(self, spool: Spool) -> None:
        listed(ANN, block=EVE)
        listed(CLEO, block=FAR)
        from_outside(spool, a_mail(), to=[ANN, BOB, CLEO])
        spool.work()
        assert len(spool.mailbox(BOB)) == 1 and not spool.mailbox(ANN) and not spool.mailbox(CLEO)
        assert sorted(Item.objects.values_list("blocked_by", "addresses")) == [(ANN, ANN), (CLEO, CLEO)]
        assert not Entry.objects.exists()

    def test_a_block_is_of_who_stands_in_from_too_and_of_the_domains_below(self, spool: Spool) -> None:
        listed(ANN, block="shop.test")
        from_outside(spool, a_mail(sender="news@mail.shop.test"), sender=f"bounce-7@{FAR}")
        spool.work()
        assert Item.objects.get().blocked_by == ANN

    def test_what_is_only_like_it_is_not_blocked(self, spool: Spool) -> None:
        listed(ANN, block="shop.test")
        from_outside(spool, a_mail(sender="news@workshop.test"), sender=f"shop.test@{FAR}")
        spool.work()
        assert len(spool.mailbox()) == 1 and not Item.objects.exists()

    @pytest.mark.parametrize("is_proven", [False, True])
    def test_an_allowed_address_of_a_blocked_domain_gets_through_if_it_is_theirs(
        self, spool: Spool, is_proven: bool
    ) -> None:
        listed(ANN, block=FAR, allow=EVE)
        if is_proven:
            speaks_for(spool)
        from_outside(spool, a_mail())
        from_outside(spool, a_mail(sender=f"dan@{FAR}"), sender=f"dan@{FAR}")
        spool.work()
        assert len(spool.mailbox()) == is_proven
        assert set(Item.objects.values_list("why", flat=True)) == {f"Blocked by {ANN}: {FAR}"}

    def test_a_blocked_message_that_is_released_arrives(self, spool: Spool, admin: Actor) -> None:
        listed(ANN, block=EVE)
        from_outside(spool, a_mail())
        spool.work()
        perform("quarantine-rescan", [Item.objects.get().id], admin)
        assert Item.objects.count() == 1
        perform("quarantine-resend", [Item.objects.get().id], admin)
        spool.work()
        assert len(spool.mailbox()) == 1 and not Item.objects.exists()

    def test_lists_count_for_nothing_where_users_may_not_choose(
        self, spool: Spool, setting: Callable[..., None]
    ) -> None:
        listed(ANN, block=EVE)
        setting(AntispamSettings, users_choose=False)
        from_outside(spool, a_mail())
        spool.work()
        assert len(spool.mailbox()) == 1

    def test_who_administers_whitelists_and_trust_does_not_take_a_block_away(self, spool: Spool, rule: None) -> None:
        TrustedSender.objects.create(pattern=EVE)
        speaks_for(spool)
        listed(ANN, block=EVE)
        from_outside(spool, a_mail(), to=[ANN, BOB])
        spool.work()
        assert Item.objects.get().blocked_by == ANN and len(spool.mailbox(BOB)) == 1


@pytest.mark.usefixtures("rule")
class TestAllowed:
    def test_mail_of_an_allowed_sender_is_no_spam_for_whom_allows_it_and_spam_for_others(self, spool: Spool) -> None:
        speaks_for(spool)
        listed(ANN, allow=EVE)
        from_outside(spool, a_mail(), to=[ANN, BOB])
        spool.work()
        [message] = spool.mailbox()
        assert message["X-Spam-Status"] == "No, score=25 required=10 tests=rule=25 trusted"
        assert (message["Subject"], message["X-Spam-Flag"]) == ("Lunch", None)
        assert len(junk(BOB)) == 1 and not spool.mailbox(BOB)

    def test_who_only_says_to_be_an_allowed_sender_is_not_believed(self, spool: Spool) -> None:
        spool.dns.add(FAR, "TXT", '"v=spf1 -all"')
        listed(ANN, allow=FAR)
        from_outside(spool, a_mail())
        spool.work()
        assert len(junk()) == 1 and b"trusted" not in junk()[0]

    def test_the_author_counts_whatever_the_envelope_says(self, spool: Spool) -> None:
        listed(ANN, allow=EVE)
        from_outside(spool, signed(a_mail(), spool), sender="bounce-7@mailer.test")
        spool.work()
        assert len(spool.mailbox()) == 1 and not junk()

    @pytest.mark.parametrize("author", [f'"{EVE}" <x@mailer.test>', f"{EVE}, x@mailer.test", f"x@mailer.test ({EVE})"])
    def test_a_proven_envelope_of_another_does_not_speak_for_an_author(self, spool: Spool, author: str) -> None:
        speaks_for(spool, "mailer.test")
        listed(ANN, allow=EVE)
        from_outside(spool, a_mail(sender=author), sender="x@mailer.test")
        spool.work()
        assert len(junk()) == 1

    def test_it_is_not_deleted_where_the_level_says_so(self, spool: Spool, setting: Callable[..., None]) -> None:
        setting(AntispamSettings, medium_action="delete")
        speaks_for(spool)
        listed(ANN, allow=FAR)
        from_outside(spool, a_mail(), to=[ANN, BOB])
        spool.work()
        assert len(spool.mailbox()) == 1 and not spool.mailbox(BOB) and not junk(BOB)


def test_a_batch_costs_one_query_for_all_lists_and_none_while_nobody_has_one(spool: Spool) -> None:
    def asked() -> list[str]:
        from_outside(spool, a_mail(), to=[ANN, BOB])
        from_outside(spool, a_mail(sender=f"dan@{FAR}"), to=[CLEO])
        batch = leases.take("stage", timezone.now(), 1000, straight=False, no_delay=True)
        settings = AntispamSettings.current()
        lists_of(batch, settings)
        with CaptureQueriesContext(connection) as queries:
            lists_of(batch, settings)
        spool.later(minutes=5)
        return [query["sql"] for query in queries if "quarantine_listedsender" in query["sql"]]

    assert asked() == []
    listed(BOB, block="elsewhere.test")
    assert len(asked()) == 1


class TestWhose:
    """A message that is blocked by its recipient is the recipient's, even if its sender is one of us."""

    @pytest.fixture
    def item(self, spool: Spool) -> Item:
        listed(ANN, block=BOB)
        submission = a_submission(BOB, [ANN, CLEO], Kind.LOCAL, content=a_mail(sender=BOB))
        submission.envelope.auth_user = BOB
        intake.accept([submission])
        spool.work()
        assert len(spool.mailbox(CLEO)) == 1
        return Item.objects.get()

    def test_who_blocks_sees_and_releases_it_and_the_sender_does_not(self, spool: Spool, item: Item) -> None:
        ann, bob = User.objects.get(email=ANN), User.objects.get(email=BOB)
        assert by_owner.sees(Ownership.of_person(ann), item) and not by_owner.sees(Ownership.of_person(bob), item)
        with pytest.raises(NotAllowed):
            by_owner.release(Actor.of(bob), bob, item)
        # Though users ask for what was taken for spam: this is their own choice.
        by_owner.release(Actor.of(ann), ann, item)
        spool.work()
        assert len(spool.mailbox()) == 1

    def test_no_digest_tells_of_it(self, item: Item, setting: Callable[..., None]) -> None:
        setting(AntispamSettings, digest="both", digest_hour=0)
        assert digest.send_due(timezone.now()) == 0


def test_a_dns_that_is_silent_holds_up_a_batch_once_and_not_for_each_message(
    spool: Spool, rule: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    senders = [f"eve@far{number}.test" for number in range(12)]
    for sender in senders:
        listed(ANN, allow=sender)
        listed(CLEO, allow=sender, block=sender.partition("@")[2])
        from_outside(spool, a_mail(sender=sender), sender=sender, to=[ANN, CLEO])
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        monkeypatch.setattr(django_settings, "MAILSPOOL_DNS", f"127.0.0.1:{silent.getsockname()[1]}")
        monkeypatch.setattr(stages, "PROOF_SECONDS", 2.0)
        began = time.perf_counter()
        spool.work()
        assert time.perf_counter() - began < 20
    # Nobody has proved anything: what is allowed is spam, and what is blocked is blocked.
    assert len(junk()) == 12 and not spool.mailbox()
    assert Item.objects.filter(blocked_by=CLEO).count() == 12
