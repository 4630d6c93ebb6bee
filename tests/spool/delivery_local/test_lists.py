"""Mailing lists: who gets a message, who may post one, and what its header says."""

from __future__ import annotations

import re
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounts.directory import LocalList
from accounts.models import Domain
from accounts.models.lists import PostingPolicy
from mailspool.home import Home
from security.models import WhitelistEntry
from spool.delivery.local import lists
from spool.delivery.local.plans import LocalPlan, plan_batch
from spool.message.envelope import LeasedEntry
from spool.models.entry import Origin
from spool.models.recipient import Outcome
from spool.models.settings import Settings
from tests.spool.delivery_local.conftest import NOW, a_list, a_user, an_entry
from tests.support.messages import a_message

pytestmark = pytest.mark.django_db
ANN, NEWS, ELSE = "ann@example.org", "news@example.org", "bob@example.net"


@pytest.fixture(autouse=True)
def _places(home: Home, domain: Domain, settings_row: Settings) -> None:
    """Every test here has the domain example.org and the settings' row."""


def plan(entry: LeasedEntry) -> LocalPlan:
    [made] = plan_batch([(entry, entry.recipients)], Settings.load(), NOW)
    return made


def message_of(made: LocalPlan) -> Any:
    [submission] = made.spawned
    assert submission.content is not None
    return message_from_bytes(submission.content, policy=policy.SMTP)


def test_members_get_the_message_from_the_lists_bounce_address(domain: Domain, spooled: Path) -> None:
    a_user(domain)
    a_list(domain, ANN, ELSE)
    made = plan(an_entry(spooled, NEWS, sender="eve@example.com"))
    [submission] = made.spawned
    assert (submission.envelope.sender, submission.envelope.origin) == ("news-bounces@example.org", Origin.LIST)
    assert [r.address for r in submission.envelope.recipients] == [ANN, ELSE]
    assert {r.notify for r in submission.envelope.recipients} == {"FAILURE"}
    [result] = made.results
    assert (result.outcome, result.reply) == (Outcome.DELIVERED, "250 2.0.0 news@example.org: sent to 2 members")


def test_the_header_names_the_list_and_all_else_stays(domain: Domain, spooled: Path) -> None:
    owner = a_user(domain)
    a_list(domain, ELSE, owner=owner)
    headers = [("Sender", "bob@example.net"), ("DKIM-Signature", "v=1; b=\r\n\tabc")]
    entry = an_entry(spooled, NEWS, content=a_message(NEWS, ELSE, headers=headers))
    made = plan(entry)
    message = message_of(made)
    assert message["List-Id"] == "<news.example.org>"
    assert message["List-Post"] == "<mailto:news@example.org>"
    assert message["List-Unsubscribe"] == "<mailto:ann@example.org?subject=unsubscribe%20news%40example.org>"
    assert message["Precedence"] == "list"
    assert message["Delivered-To"] == NEWS
    assert made.spawned[0].content is not None
    assert made.spawned[0].content.endswith(entry.read())


def test_the_fields_of_a_list_further_up_are_replaced(domain: Domain, spooled: Path) -> None:
    a_list(domain, ELSE)
    upper = [
        ("List-Id", "Upper\r\n <upper.example.com>"),
        ("list-post", "<mailto:u@example.com>"),
        ("Precedence", "bulk"),
        ("List-Archive", "<https://example.com/>"),
    ]
    message = message_of(plan(an_entry(spooled, NEWS, content=a_message(NEWS, ELSE, headers=upper))))
    assert message.get_all("List-Id") == ["<news.example.org>"]
    assert message.get_all("List-Post") == ["<mailto:news@example.org>"]
    assert message.get_all("Precedence") == ["list"]
    assert message["List-Archive"] is None


@pytest.mark.parametrize(
    ("prefix", "subject", "wanted"),
    [
        ("[News]", "Lunch", "[News] Lunch"),
        ("[News]", "Re: [news] Lunch", "Re: [news] Lunch"),
        ("[News]", "=?utf-8?b?R3LDvMOfZQ==?=", "[News] Grüße"),
        ("[Größe]", "=?utf-8?b?R3LDvMOfZQ==?=", "[Größe] Grüße"),
        ("[Größe]", "Lunch", "[Größe] Lunch"),
        ("[News]", "\r\n folded\r\n away", "[News] folded away"),
        ("[News]", "Lunch\r\n and dinner", "[News] Lunch and dinner"),
        ("a\r\nBcc: x@y", "Lunch", "a Bcc: x@y Lunch"),
        ("", "Lunch", "Lunch"),
    ],
)
def test_the_subject_gets_its_prefix_once(
    domain: Domain, spooled: Path, prefix: str, subject: str, wanted: str
) -> None:
    a_list(domain, ELSE, subject_prefix=prefix)
    message = message_of(plan(an_entry(spooled, NEWS, content=a_message(NEWS, ELSE, subject))))
    assert " ".join(str(message["Subject"]).split()) == wanted
    assert message["Bcc"] is None


def test_a_message_without_a_subject_gets_the_prefix_as_one(domain: Domain, spooled: Path) -> None:
    a_list(domain, ELSE, subject_prefix="[News]")
    message = message_of(plan(an_entry(spooled, NEWS, content=b"From: x@y.example\r\n\r\nSubject: body\r\n")))
    assert message.get_all("Subject") == ["[News]"]


def test_a_long_subject_line_stays_within_what_smtp_allows(domain: Domain, spooled: Path) -> None:
    a_list(domain, ELSE, subject_prefix="[News]")
    made = plan(an_entry(spooled, NEWS, content=a_message(NEWS, ELSE, "x" * 988)))
    assert made.spawned[0].content is not None
    assert max(map(len, made.spawned[0].content.split(b"\r\n"))) <= 998


def test_a_list_of_2500_is_sent_in_messages_of_1000_that_share_their_bytes(domain: Domain, spooled: Path) -> None:
    a_list(domain, *(f"member{number}@example.net" for number in range(2500)))
    made = plan(an_entry(spooled, NEWS))
    assert [len(s.envelope.recipients) for s in made.spawned] == [1000, 1000, 500]
    assert len({r.address for s in made.spawned for r in s.envelope.recipients}) == 2500
    assert len({id(s.content) for s in made.spawned}) == 1


def test_a_batch_for_a_list_of_many_local_members_takes_few_queries(
    domain: Domain, spooled: Path, django_assert_max_num_queries: Any
) -> None:
    for number in range(150):
        a_user(domain, f"member{number}")
    a_list(domain, *(f"member{number}@example.org" for number in range(150)))
    entries = [an_entry(spooled, NEWS) for _ in range(5)]
    settings = Settings.load()
    with django_assert_max_num_queries(15):
        plans = plan_batch([(entry, entry.recipients) for entry in entries], settings, NOW)
    assert all(len(made.spawned[0].envelope.recipients) == 150 for made in plans)


def test_a_batch_for_many_users_takes_few_queries(
    domain: Domain, spooled: Path, django_assert_max_num_queries: Any
) -> None:
    for number in range(100):
        a_user(domain, f"user{number}")
    entries = [an_entry(spooled, f"user{number}@example.org") for number in range(100)]
    settings = Settings.load()
    with django_assert_max_num_queries(6):
        plans = plan_batch([(entry, entry.recipients) for entry in entries], settings, NOW)
    assert all(len(made.mailboxes) == 1 for made in plans)


def test_members_that_take_no_mail_and_doubles_are_left_out(domain: Domain, spooled: Path) -> None:
    a_user(domain)
    a_list(domain, ANN, "ann+news@example.org", "gone@example.org", NEWS, ELSE)
    [submission] = plan(an_entry(spooled, NEWS)).spawned
    assert [r.address for r in submission.envelope.recipients] == [ANN, ELSE]


def test_a_list_without_members_discards_and_says_so(domain: Domain, spooled: Path) -> None:
    a_list(domain)
    made = plan(an_entry(spooled, NEWS))
    assert made.spawned == []
    assert made.results[0].outcome is Outcome.DELIVERED
    assert "discarded" in made.results[0].reply


def test_a_message_that_was_on_the_list_before_bounces(domain: Domain, spooled: Path) -> None:
    a_list(domain, ELSE)
    [submission] = plan(an_entry(spooled, NEWS)).spawned
    again = an_entry(spooled, NEWS, "news-bounces@example.org", submission.content)
    assert plan(again).results[0].status_code == "5.4.6"
    resent = a_message(NEWS, ELSE, headers=[("List-Id", "The news\r\n\t<NEWS.example.org>")])
    assert plan(an_entry(spooled, NEWS, content=resent)).results[0].status_code == "5.4.6"


def test_lists_that_are_members_of_each_other_end(domain: Domain, spooled: Path) -> None:
    a_list(domain, "talk@example.org")
    a_list(domain, NEWS, local_part="talk")
    [to_talk] = plan(an_entry(spooled, NEWS)).spawned
    [to_news] = plan(an_entry(spooled, "talk@example.org", to_talk.envelope.sender, to_talk.content)).spawned
    made = plan(an_entry(spooled, NEWS, to_news.envelope.sender, to_news.content))
    assert (made.spawned, made.results[0].status_code) == ([], "5.4.6")


def test_a_bounce_is_never_sent_to_members(domain: Domain, spooled: Path) -> None:
    a_list(domain, ELSE)
    made = plan(an_entry(spooled, NEWS, sender=""))
    assert (made.spawned, made.results[0].status_code) == ([], "5.7.1")


@pytest.mark.parametrize(
    ("posting", "sender", "fields", "may"),
    [
        (PostingPolicy.MEMBERS, ELSE, {}, True),
        (PostingPolicy.MEMBERS, "BOB@Example.NET", {}, True),
        (PostingPolicy.MEMBERS, "eve@example.com", {}, False),
        # Somebody elsewhere who writes one of our addresses has proved nothing.
        (PostingPolicy.MEMBERS, "carl@example.org", {}, False),
        (PostingPolicy.MEMBERS, "carl@example.org", {"auth_user": "carl@example.org"}, True),
        (PostingPolicy.MEMBERS, "carl@example.org", {"auth_user": "eve@example.org"}, False),
        (PostingPolicy.MEMBERS, "carl+x@example.org", {"auth_user": "carl@example.org"}, True),
        (PostingPolicy.MEMBERS, "carl@example.org", {"client_ip": "198.51.100.4"}, True),
        (PostingPolicy.MEMBERS, "carl@example.org", {"origin": Origin.DROP.value, "client_ip": ""}, True),
        (PostingPolicy.MEMBERS, ANN, {"auth_user": ANN}, True),
        (PostingPolicy.MEMBERS, "upper-bounces@example.org", {"origin": Origin.LIST.value}, True),
        (PostingPolicy.MEMBERS, "upper-bounces@example.org", {}, False),
        (PostingPolicy.OWNER, ELSE, {}, False),
        (PostingPolicy.OWNER, ANN, {}, False),
        (PostingPolicy.OWNER, ANN, {"auth_user": ANN}, True),
        (PostingPolicy.ANYONE, "eve@example.com", {}, True),
    ],
)
def test_who_may_post(
    domain: Domain, spooled: Path, posting: PostingPolicy, sender: str, fields: dict[str, object], may: bool
) -> None:
    WhitelistEntry.objects.create(network="198.51.100.0/24", auth_bypass=True)
    owner = a_user(domain)
    for name in ("carl", "eve"):
        a_user(domain, name)
    a_list(domain, "x@example.net", local_part="upper")
    a_list(domain, ELSE, "carl@example.org", "upper@example.org", owner=owner, posting=posting)
    made = plan(an_entry(spooled, NEWS, sender, **fields))  # type: ignore[arg-type]
    assert bool(made.spawned) is may
    if not may:
        assert (made.results[0].outcome, made.results[0].status_code) == (Outcome.BOUNCED, "5.7.1")


field_lines = st.from_regex(rb"[A-Za-z-]{1,20}:[ -~]{0,40}\r\n([ \t][ -~]{0,20}\r\n){0,2}", fullmatch=True)


@given(st.lists(field_lines, max_size=8), st.binary(max_size=200), st.sampled_from(["", "[N]", "[ü]"]))
def test_the_body_and_foreign_fields_always_stay(fields: list[bytes], body: bytes, prefix: str) -> None:
    here = LocalList(1, NEWS, "example.org", (), "news-bounces@example.org", "", PostingPolicy.ANYONE, prefix)
    content = b"".join(fields) + b"\r\n" + body
    sent = lists.for_members(here, content, b"")
    assert sent.endswith(b"\r\n\r\n" + body)
    for field in fields:
        name = field.partition(b":")[0].strip().lower()
        if name != b"subject" and name not in lists._REPLACED:
            assert field in sent


@given(st.text(st.characters(codec="utf-8", exclude_characters="@"), min_size=1, max_size=40))
def test_a_list_id_is_always_a_dot_atom(local_part: str) -> None:
    here = LocalList(1, f"{local_part}@example.org", "example.org", (), "", "", PostingPolicy.ANYONE, "")
    assert re.fullmatch(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]+\.example\.org", lists.list_id(here))
    assert ".." not in lists.list_id(here)
