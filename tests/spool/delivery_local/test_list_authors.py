"""In whose name a list writes: what the author's domain asks for, and what becomes of From."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from django.utils import timezone

from accounts import directory
from accounts.models import Domain, ListMember, MailingList
from accounts.models.lists import FromRewriting
from spool.delivery import author_policies
from spool.delivery.local import list_authors
from spool.flow import intake
from spool.message.header import Header
from spool.models import KeyState
from spool.models.recipient import Kind
from spool.signing import lifecycle, ring
from tests.spool.delivery_local.conftest import a_list, an_entry
from tests.spool.passing import FAR, HERE, Spool, spool
from tests.support.messages import a_recipient, a_submission

__all__ = ["spool"]
NEWS, BOB = f"news@{HERE}", f"bob@{FAR}"
STRICT, ASKS_NOTHING = "v=DMARC1; p=reject", "v=DMARC1; p=none; sp=reject"


@pytest.fixture(autouse=True)
def _nothing_is_kept() -> Iterator[None]:
    author_policies.forget()
    ring.forget()
    yield
    author_policies.forget()
    ring.forget()


def the_list(**fields: object) -> MailingList:
    row = MailingList.objects.create(address=NEWS, domain=Domain.objects.get(name=HERE), **fields)
    ListMember.objects.create(mailing_list=row, address=BOB)
    return row


def content(author: str = "Eve <eve@strict.test>", more: str = "") -> bytes:
    return f"From: {author}\r\nTo: {NEWS}\r\nSubject: News\r\n{more}\r\nHello\r\n".encode()


def arrived(spool: Spool) -> Header:
    spool.work()
    [taken] = spool.peer.taken
    assert taken.content.endswith(b"\r\n\r\nHello\r\n")
    return Header.of(taken.content)


@pytest.mark.parametrize(
    ("name", "record", "is_rewritten"),
    [
        ("strict.test", STRICT, True),
        ("strict.test", "v=DMARC1;p=Quarantine; pct=10", True),
        ("strict.test", ASKS_NOTHING, False),
        ("strict.test", "v=spf1 -all", False),
        ("test", "v=DMARC1; p=none; sp=quarantine; psd=y", True),
        ("", "", False),
    ],
    ids=["reject", "quarantine", "none", "no policy", "by the domain above", "nothing"],
)
def test_a_list_writes_in_its_own_name_where_the_authors_domain_asks_for_it(
    name: str, record: str, is_rewritten: bool, spool: Spool
) -> None:
    the_list()
    if name:
        spool.dns.add(f"_dmarc.{name}", "TXT", f'"{record}"')
    spool.take_for_us(content(), NEWS, "eve@strict.test")
    header = arrived(spool)
    if is_rewritten:
        assert header.first("from") == b'"Eve via news" <news@here.test>'
        assert header.first("reply-to") == header.first("author") == b"Eve <eve@strict.test>"
    else:
        assert header.first("from") == b"Eve <eve@strict.test>"
        assert "reply-to" not in header
        assert "author" not in header


def test_a_dns_that_does_not_answer_holds_nobody_up_and_counts_as_strict(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(author_policies, "QUESTION_SECONDS", 0.2)
    the_list()
    spool.dns.fail("_dmarc.strict.test", "DROP")
    spool.take_for_us(content(), NEWS, "eve@strict.test")
    assert arrived(spool).first("from") == b'"Eve via news" <news@here.test>'
    asked = len(spool.dns.questions)
    spool.take_for_us(content(), NEWS, "eve@strict.test")
    spool.work()
    assert len(spool.peer.taken) == 2
    assert not [name for name, _ in spool.dns.questions[asked:] if name.startswith("_dmarc")]


def test_other_recipients_of_the_message_get_it_once_whoever_is_asked(spool: Spool) -> None:
    row = the_list()
    ListMember.objects.create(mailing_list=row, address=f"ann@{HERE}")
    a_list(row.domain, f"carl@{FAR}", local_part="talk", rewrite_from=FromRewriting.NEVER)
    spool.dns.add("_dmarc.strict.test", "TXT", f'"{STRICT}"')
    submission = a_submission("eve@strict.test", f"dora@{FAR}", content=content())
    submission.envelope.recipients += [a_recipient(name, Kind.LOCAL) for name in (NEWS, f"talk@{HERE}", f"ann@{HERE}")]
    intake.accept([submission])
    spool.work()
    taken = {to: Header.of(one.content).first("from") for one in spool.peer.taken for to in one.recipients}
    assert taken == {
        BOB: b'"Eve via news" <news@here.test>',
        f"carl@{FAR}": b"Eve <eve@strict.test>",
        f"dora@{FAR}": b"Eve <eve@strict.test>",
    }
    assert len(spool.peer.taken) == 3
    assert len(spool.mailbox()) == 2


def test_who_signs_for_the_author_need_not_ask(spool: Spool, tmp_path: Path) -> None:
    row = the_list()
    Domain.objects.create(name="ours.test")
    key = lifecycle.make("ours.test", "rsa", timezone.now())
    key.state, key.active = KeyState.ACTIVE, timezone.now()
    key.save()
    ring.forget()
    directory.forget()
    here = directory.lookup(row.address)
    assert isinstance(here, directory.LocalList)
    header = b"From: Carl <carl@ours.test>\r\n"
    ours = an_entry(tmp_path, NEWS, "carl@ours.test", auth_user="carl@ours.test")
    assert not list_authors.is_rewritten(here, ours, header)
    with pytest.raises(list_authors.UnknownPolicies):
        list_authors.is_rewritten(here, an_entry(tmp_path, NEWS, "carl@ours.test", client_ip="192.0.2.1"), header)
    assert not list_authors.is_rewritten(here, ours, f"From: ann@{HERE}\r\n".encode())
    assert list_authors.is_rewritten(here, ours, b"From: a@ours.test\r\nFrom: b@ours.test\r\n")


@pytest.mark.parametrize(
    ("author", "wanted"),
    [
        ("eve@strict.test", b'"eve via news"'),
        ('"Eve \\"E\\" Doe, PhD" <eve@strict.test>', b'"Eve \\"E\\" Doe, PhD via news"'),
        ('"eve@bank.test" <eve@strict.test>', b'"eve via news"'),
        ("=?utf-8?q?Bj=C3=B6rn?= <eve@strict.test>", b"=?utf-8?q?Bj=C3=B6rn_via_news?="),
        ("Björn <eve@strict.test>", b"=?utf-8?q?Bj=C3=B6rn_via_news?="),
        ("(" * 5000 + ")" * 5000 + "eve@strict.test", b'"eve via news"'),
        ('"never closed <eve@strict.test>', b'"never closed via news"'),
        ("", b'"news"'),
    ],
)
def test_the_author_is_named_in_from(author: str, wanted: bytes) -> None:
    added, kept = list_authors.rewritten(f"From: {author}\r\nSender: x@y.test\r\nTo: z\r\n".encode(), NEWS)
    assert Header(added).first("from").replace(b"\r\n ", b"").lower() == wanted.lower() + b" <news@here.test>"
    assert kept == b"To: z\r\n"


def test_answers_go_where_the_author_wants_them() -> None:
    added, kept = list_authors.rewritten(b"From: Eve\r\n <eve@x.test>\r\nreply-to: else@x.test\r\n", NEWS)
    assert kept == b"reply-to: else@x.test\r\n"
    assert b"Reply-To" not in added
    assert Header(added).first("author") == b"Eve <eve@x.test>"
