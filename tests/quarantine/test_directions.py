"""What came from outside is checked as inbound, whatever becomes of it; what leaves, as outbound besides."""

from __future__ import annotations

from email import message_from_bytes

import pytest
from django.db import InternalError

from accounts import directory
from accounts.models import Alias, AliasTarget, Domain, ListMember, MailingList, SpamAction, User
from quarantine.items import transfer
from quarantine.models import AntispamSettings, CheckKind, Item, Scanned
from spool.actions import Actor, perform
from spool.addressing import accept
from spool.files.store import path_of
from spool.flow import intake
from spool.models import Entry, Trace
from tests.quarantine.spamming import CLIENT, EVE, a_check, a_mail, from_outside, junk
from tests.quarantine.test_forged import LIES
from tests.quarantine.test_spam_check import Setting
from tests.spool.passing import ANN, FAR, HERE, Spool
from tests.support.messages import a_submission

pytestmark = pytest.mark.django_db(transaction=True)
BOB, CY = f"bob@{FAR}", f"cy@{HERE}"
SALES, NEWS = f"sales@{HERE}", f"news@{HERE}"
SPAM = a_mail(subject="Cheap")


@pytest.fixture(autouse=True)
def _people(spool: Spool) -> None:
    domain = Domain.objects.get(name=HERE)
    User.objects.create(email=CY, domain=domain, password="!")
    alias = Alias.objects.create(address=SALES, domain=domain)
    for target in (ANN, BOB):
        AliasTarget.objects.create(alias=alias, address=target)
    news = MailingList.objects.create(address=NEWS, domain=domain)
    for member in (ANN, CY, BOB):
        ListMember.objects.create(mailing_list=news, address=member)
    directory.forget()


def _comes_in(to: str, content: bytes = SPAM) -> str:
    """By a stranger's session, as the listener resolves the address."""
    submission = a_submission(EVE, content=content)
    submission.envelope.recipients = accept(to)
    submission.envelope.client_ip, submission.envelope.ours = CLIENT, False
    [name] = intake.accept([submission])
    return name


def _goes_out(*to: str, content: bytes = SPAM) -> str:
    """By ANN's session."""
    submission = a_submission(ANN, content=content)
    submission.envelope.recipients = [one for address in to for one in accept(address)]
    submission.envelope.auth_user, submission.envelope.ours = ANN, True
    [name] = intake.accept([submission])
    return name


def _forwards(*, keeps_copy: bool = True) -> None:
    User.objects.filter(email=ANN).update(forward_to=BOB, forward_keeps_copy=keeps_copy)
    directory.forget()


def _inbound(points: float = 12, **columns: object) -> None:
    a_check(CheckKind.HEADER, points, where="Subject", pattern="Cheap", name="in", **columns)


def _outbound(points: float = 40) -> None:
    a_check(CheckKind.HEADER, points, where="Subject", pattern="Cheap", name="out", inbound=False, outbound=True)


@pytest.mark.parametrize("to", [SALES, ANN, NEWS], ids=["alias", "forward", "list"])
def test_an_address_that_leads_away_too_is_no_way_around_the_checks(spool: Spool, to: str) -> None:
    _inbound(25)
    if to == ANN:
        _forwards()
    _comes_in(to)
    spool.work()
    assert not spool.mailbox() and len(junk()) == 1
    [left] = spool.peer.taken
    message = message_from_bytes(left.content)
    assert message["X-Spam-Flag"] == "YES" and message["Subject"] == "Cheap"


@pytest.mark.parametrize("to", [SALES, ANN, NEWS], ids=["alias", "forward", "list"])
@pytest.mark.parametrize("size", [500, 1_500_000])
def test_what_a_stranger_forged_reaches_nobody(spool: Spool, to: str, size: int) -> None:
    _inbound()
    if to == ANN:
        _forwards()
    _comes_in(to, LIES + a_mail("\r\n".join(["x" * 70] * (size // 72))))
    spool.work()
    copies = [*(bytes(message) for message in spool.mailbox()), *(one.content for one in spool.peer.taken)]
    assert len(copies) == 2
    for copy in copies:
        message = message_from_bytes(copy)
        assert b"bank.test" not in copy.partition(b"\n\n")[0]
        assert message.get_all("X-Spam-Status") == ["No, score=0 required=10 tests=none"]


def test_nor_by_an_outbound_check_alone_or_past_a_pardon(spool: Spool, admin: Actor) -> None:
    _outbound()
    _comes_in(SALES, LIES + SPAM)
    spool.work()
    assert "X-Spam-Status" not in spool.mailbox()[0]
    perform("quarantine-resend", [Item.objects.get().id], admin)
    spool.work()
    assert b"bank.test" not in spool.peer.taken[0].content


@pytest.mark.parametrize("to", [SALES, ANN, NEWS], ids=["alias", "forward", "list"])
def test_an_outbound_check_keeps_back_what_leaves_and_nobodys_own_copy(spool: Spool, admin: Actor, to: str) -> None:
    _outbound()
    if to == ANN:
        _forwards()
    name = _comes_in(to)
    spool.work()
    assert len(spool.mailbox()) == 1 and not spool.peer.taken and not Entry.objects.exists()
    item = Item.objects.get()
    assert (item.addresses, item.recipients_total, item.get_direction_display()) == (BOB, 1, "Outbound")
    assert item.file_name != name and item.in_quarantine.exists()
    outcomes = set(Trace.objects.filter(recipient=BOB).values_list("outcome", flat=True))
    assert outcomes == {"quarantined"}
    perform("quarantine-resend", [item.id], admin)
    spool.work()
    assert len(spool.peer.taken) == 1 and len(spool.mailbox()) == 1
    assert not Entry.objects.exists() and not list(item.in_spool.parent.glob("*"))


def test_of_mail_of_ours_the_colleague_gets_a_copy_too(spool: Spool) -> None:
    _outbound()
    _goes_out(CY, BOB)
    spool.work()
    assert len(spool.mailbox(CY)) == 1 and not spool.peer.taken and Item.objects.get().addresses == BOB


def test_each_direction_counts_its_own_checks(spool: Spool) -> None:
    _inbound(12)
    _outbound(5)
    _goes_out(CY, BOB)
    _comes_in(SALES)
    spool.work()
    [to_cy] = spool.mailbox(CY)
    assert to_cy["X-Spam-Score"] == "12" and "in=12" in to_cy["X-Spam-Status"] and "out" not in to_cy["X-Spam-Status"]
    ours, strangers = sorted(spool.peer.taken, key=lambda one: b"X-Spam-Score: 12" in one.content)
    # What our own people send is sent byte for byte.
    assert b"X-Spam" not in ours.content and b"X-Spam-Flag: YES" in strangers.content


def test_what_is_deleted_for_a_domain_does_not_leave_by_its_alias(spool: Spool) -> None:
    _inbound(25)
    Domain.objects.filter(name=HERE).update(spam_medium=SpamAction.DELETE)
    User.objects.filter(email=ANN).update(spam_medium=SpamAction.NONE)
    directory.forget()
    _comes_in(SALES)
    spool.work()
    assert len(spool.mailbox()) == 1 and not spool.peer.taken
    assert Trace.objects.get(recipient=BOB).outcome == "removed"
    _comes_in(NEWS)
    spool.work()
    assert len(spool.mailbox()) == 1 and not spool.peer.taken


def test_what_was_found_out_holds_for_forwards_and_copies_and_nobody_is_asked_again(spool: Spool) -> None:
    spool.dns.add(FAR, "TXT", '"v=spf1 ip4:192.0.2.0/24 -all"')
    a_check(CheckKind.SPF, 8)
    _forwards()
    _comes_in(NEWS, a_mail())
    spool.work()
    copies = [*map(bytes, spool.mailbox()), *map(bytes, spool.mailbox(CY)), *(one.content for one in spool.peer.taken)]
    assert len(copies) == 4
    for copy in copies:
        assert message_from_bytes(copy)["Authentication-Results"] == f"mail.test; spf=pass smtp.mailfrom={FAR}"
    # The copies of the list, and the forward of one of them.
    assert Scanned.objects.count() == 2


def test_by_its_choice_the_filter_is_off_for_one_and_on_for_the_next(spool: Spool, setting: Setting) -> None:
    setting(AntispamSettings, medium_action=SpamAction.DELETE)
    _inbound(25)
    User.objects.filter(email=CY).update(spam_filter="off")
    directory.forget()
    _comes_in(NEWS)
    spool.work()
    assert len(spool.mailbox(CY)) == 0
    from_outside(spool, SPAM, to=CY)
    spool.work()
    assert len(spool.mailbox(CY)) == 1


def test_what_can_not_be_quarantined_yet_is_not_split_nor_sent_and_leaves_no_file(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object) -> None:
        raise InternalError("it can not be written")

    _outbound()
    name = _comes_in(SALES)
    with monkeypatch.context() as patched:
        patched.setattr(transfer, "_pack", away)
        spool.work()
    entry = spool.entry(name)
    assert (entry.recipients.count(), entry.recipients_total, entry.attempts) == (2, 2, 0)
    folder = path_of(entry.subspool, name).parent
    assert [path.name for path in folder.glob("*")] == [name] and not spool.peer.taken and not spool.mailbox()
    spool.later(minutes=2)
    spool.work()
    assert len(spool.mailbox()) == 1 and Item.objects.get().addresses == BOB and not spool.peer.taken
