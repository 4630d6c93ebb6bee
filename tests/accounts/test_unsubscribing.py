"""How members leave a list by themselves: the fields of their copies, the page, and the address."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import dkim
import pytest
from django.test import Client
from django.utils import timezone

from accounts import directory, unsubscribing
from accounts.models import Alias, AliasTarget, Domain, ListMember, MailingList, User
from accounts.models.lists import FromRewriting, Unsubscribing
from base.audit.models import AuditEvent
from quarantine.models.antispam import AntispamSettings
from spool.flow import intake
from spool.message.header import Header
from spool.models import DkimKey, Entry, KeyState
from spool.models.recipient import Kind
from spool.models.trace import Trace
from spool.signing import lifecycle, ring
from tests.spool.passing import ANN, FAR, HERE, Spool, spool
from tests.support.messages import a_recipient, a_submission

__all__ = ["spool"]
NEWS, BOB, CARL = f"news@{HERE}", f"bob@{FAR}", f"carl@{FAR}"
CONSOLE = "https://mail.here.test"
ONE_CLICK = {"List-Unsubscribe": "One-Click"}


@pytest.fixture(autouse=True)
def _nothing_is_kept() -> Iterator[None]:
    unsubscribing._secret.cache_clear()
    ring.forget()
    yield
    unsubscribing._secret.cache_clear()
    ring.forget()


def the_list(*members: str, console: str = CONSOLE, **fields: Any) -> MailingList:
    domain, _ = Domain.objects.get_or_create(name=HERE)
    row = MailingList.objects.create(
        address=NEWS,
        domain=domain,
        rewrite_from=FromRewriting.NEVER,
        **{"unsubscribe": Unsubscribing.ONE_CLICK, **fields},
    )
    ListMember.objects.bulk_create([ListMember(mailing_list=row, address=member) for member in members])
    settings = AntispamSettings.load()
    settings.console_url = console
    settings.save()
    directory.forget()
    return row


def a_key() -> DkimKey:
    key = lifecycle.make(HERE, "rsa", timezone.now())
    key.state, key.active = KeyState.ACTIVE, timezone.now()
    key.save()
    ring.forget()
    return key


def content(body: bytes = b"Hello\r\n") -> bytes:
    return f"From: eve@strict.test\r\nTo: {NEWS}\r\nSubject: News\r\nList-Unsubscribe: <x>\r\n\r\n".encode() + body


def token(member: str) -> str:
    row = ListMember.objects.get(address=member)
    return unsubscribing.tokens_of(row.mailing_list_id, [member])[member]


@pytest.mark.parametrize(
    "body", [b"Hello\r\n", b"x" * 70 + b"\r\n" + b"y" * 2_000_000 + b"\r\n"], ids=["small", "2 MB"]
)
def test_each_member_gets_a_signed_link_and_address_of_its_own(body: bytes, spool: Spool) -> None:
    the_list(BOB, CARL)
    key = a_key()
    tokens = {member: token(member) for member in (BOB, CARL)}
    spool.take_for_us(content(body), NEWS, "eve@strict.test")
    spool.work()
    assert sorted(one.recipients for one in spool.peer.taken) == [(BOB,), (CARL,)]
    for taken in spool.peer.taken:
        own = tokens[taken.recipients[0]]
        header = Header.of(taken.content)
        assert header.all("list-unsubscribe") == [
            f"<{CONSOLE}/unsubscribe/{own}>,\t<mailto:news+leave-{own}@{HERE}?subject=unsubscribe>".encode()
        ]
        assert header.all("list-unsubscribe-post") == [b"List-Unsubscribe=One-Click"]
        assert header.first("list-id") == b"<news.here.test>"
        signed = re.sub(rb"\s", b"", taken.content.partition(b" h=")[2].partition(b";")[0]).split(b":")
        assert signed.count(b"list-unsubscribe") == signed.count(b"list-unsubscribe-post") == 2
        assert dkim.verify(taken.content, dnsfunc=lambda name, timeout=5: key.record.encode())
        assert taken.content.endswith(b"\r\n\r\n" + body)
    # One message in the spool for both.
    assert set(Trace.objects.filter(sender=f"news-bounces@{HERE}").values_list("recipient", flat=True)) == {BOB, CARL}
    assert Trace.objects.filter(sender=f"news-bounces@{HERE}").values("file_name").distinct().count() == 1


def test_a_mailbox_here_has_its_own_too_and_nobody_behind_an_alias_takes_the_others_off(spool: Spool) -> None:
    the_list(ANN, f"team@{HERE}")
    alias = Alias.objects.create(address=f"team@{HERE}", domain=Domain.objects.get(name=HERE))
    AliasTarget.objects.bulk_create([AliasTarget(alias=alias, address=name) for name in (BOB, CARL)])
    directory.forget()
    spool.take_for_us(content(), NEWS, "eve@strict.test")
    spool.work()
    [message] = spool.mailbox()
    assert token(ANN) in message["List-Unsubscribe"]
    [shared] = spool.peer.taken
    assert Header.of(shared.content).all("list-unsubscribe") == [
        b"<mailto:postmaster@here.test?subject=unsubscribe%20news%40here.test>"
    ]


@pytest.mark.parametrize(
    ("fields", "console", "wanted"),
    [
        ({"unsubscribe": Unsubscribing.NONE}, CONSOLE, []),
        (
            {"unsubscribe": Unsubscribing.OWNER},
            CONSOLE,
            ["<mailto:postmaster@here.test?subject=unsubscribe%20news%40here.test>"],
        ),
        ({}, "http://mail.here.test", ["<mailto:news+leave-TOKEN@here.test?subject=unsubscribe>"]),
    ],
    ids=["none", "the owner", "no HTTPS"],
)
def test_what_other_lists_say(fields: dict[str, Any], console: str, wanted: list[str], spool: Spool) -> None:
    the_list(BOB, CARL, console=console, **fields)
    own = token(BOB)
    spool.take_for_us(content(), NEWS, "eve@strict.test")
    spool.work()
    taken = next(one for one in spool.peer.taken if BOB in one.recipients)
    header = Header.of(taken.content)
    assert [one.decode().replace(own, "TOKEN") for one in header.all("list-unsubscribe")] == wanted
    assert "list-unsubscribe-post" not in header
    assert header.first("list-id")


def test_looking_changes_nothing_and_one_click_takes_the_member_off(client: Client, home: object, db: None) -> None:
    the_list(BOB, CARL)
    where = f"/unsubscribe/{token(BOB)}"
    page = client.get(where)
    assert page.status_code == 200
    assert BOB in page.content.decode()
    assert client.head(where).status_code == 200
    assert client.post(where).status_code == 400
    assert client.post(where, {"List-Unsubscribe": "Please"}).status_code == 400
    assert ListMember.objects.count() == 2
    # As mail programs send it, with no cookie, no token of a form and no language.
    strict = Client(enforce_csrf_checks=True)
    answer = strict.post(where, "List-Unsubscribe=One-Click", content_type="application/x-www-form-urlencoded")
    assert answer.status_code == 200
    assert list(ListMember.objects.values_list("address", flat=True)) == [CARL]
    assert strict.post(where, ONE_CLICK).status_code == 200
    assert "You are not on this list" in client.get(where).content.decode()
    event = AuditEvent.objects.get(actor="unsubscribe link")
    assert BOB in str(event.parameters)


@pytest.mark.parametrize(
    "change", [lambda text: text[:-1], lambda text: text[:-1] + "!", lambda text: "0" + text, lambda text: "x"]
)
def test_no_other_link_does_anything(change: Any, client: Client, home: object, db: None) -> None:
    the_list(BOB)
    for method in (client.get, client.post):
        assert method(f"/unsubscribe/{change(token(BOB))}", ONE_CLICK).status_code == 404
    assert ListMember.objects.count() == 1


def test_mail_to_the_members_address_takes_it_off_and_reaches_nobody(spool: Spool) -> None:
    the_list(BOB, CARL)
    for address in (f"NEWS+leave-{token(BOB).upper()}@{HERE}", f"news+leave-1-2-aaaaaaaaaaaaaaaa@{HERE}"):
        submission = a_submission("who@ever.test", NEWS, Kind.LOCAL, content=content())
        submission.envelope.recipients = [a_recipient(NEWS, Kind.LOCAL)]
        submission.envelope.recipients[0].original = address
        intake.accept([submission])
    spool.work()
    assert list(ListMember.objects.values_list("address", flat=True)) == [CARL]
    assert {(one.outcome, one.reply[:9]) for one in Trace.objects.filter(recipient=NEWS)} == {
        ("delivered", "250 2.0.0"),
        ("bounced", "550 5.1.1"),
    }
    assert not [one for one in spool.peer.taken if {BOB, CARL} & set(one.recipients)]
    assert not Entry.objects.filter(sender=f"news-bounces@{HERE}").exists()
    assert not User.objects.filter(email=BOB).exists()


def test_an_address_that_leads_away_leads_to_the_list(home: object, db: None) -> None:
    the_list(BOB)
    address = unsubscribing.leaving_address(NEWS, token(BOB))
    assert unsubscribing.token_in(address.upper()) == token(BOB)
    found = directory.resolve(address)
    assert isinstance(found, directory.LocalList)
    assert found.address == NEWS
    assert not unsubscribing.leaving_address(f"{'n' * 40}@{HERE}", token(BOB))
    assert not unsubscribing.token_in(f"news+else@{HERE}")
