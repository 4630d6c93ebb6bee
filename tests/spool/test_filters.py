"""The filter language: what it understands, how it is written, what it finds, page by page."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import fields
from datetime import timedelta

import pytest
from django.db import connection
from django.http import QueryDict
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from quarantine.filters import ItemFilter
from spool.delivery.replies import error_group
from spool.files import store
from spool.filters import FIELDS, SORTS, BadFilter, Count, SpoolFilter, count, from_text, page, pages, understand
from spool.flow import intake
from spool.models import Entry, Kind, Recipient, Status
from tests.support.messages import a_submission

Spooled = Callable[..., Entry]
in_the_spool = pytest.mark.usefixtures("redis", "home")
with_database = pytest.mark.django_db(transaction=True)

VALUES = {
    "sender": "ann@example.org",
    "sender-domain": "example.org",
    "recipient": "b*@example.net",
    "mailbox": "bob@example.net",
    "domain": "example.net",
    "ip": "2001:db8::1",
    "auth-user": "ann@example.org",
    "id": f"{'0' * 26}.eml",
    "message-id": "<1@example.org>",
    "subject": "lunch & dinner",
    "exact-subject": " Re: lunch ",
    "status": "waiting",
    "direction": "inbound",
    "priority": "high",
    "older": "2h",
    "younger": "3d",
    "larger": "10MB",
    "smaller": "20KB",
    "min-attempts": "3",
    "max-attempts": "9",
    "error": "quota",
    "error-group": "452 4.2.2 … over quota",
    "hold": "no",
    "next-within": "10m",
    "machine": "mx1",
}


def test_every_condition_has_a_value_here_and_a_place_in_the_filter() -> None:
    assert VALUES.keys() == FIELDS.keys()
    assert {field.attribute for field in FIELDS.values()} | {"only_sender_domain"} == {
        f.name for f in fields(SpoolFilter)
    }


@pytest.mark.parametrize("name", VALUES)
def test_each_condition_survives_url_json_and_options(name: str) -> None:
    chosen = SpoolFilter.parse({name: VALUES[name]})
    assert SpoolFilter.from_query(QueryDict(chosen.to_query())) == chosen
    assert SpoolFilter.from_json(chosen.to_json()) == chosen
    assert SpoolFilter.from_options({name.replace("-", "_"): VALUES[name]}) == chosen
    assert chosen.texts() == {name: VALUES[name]}
    assert VALUES[name] in chosen.sentence()
    assert not chosen.is_empty


def test_a_domain_administrators_reach_is_no_condition_of_a_url_but_of_a_job() -> None:
    chosen = SpoolFilter(sender="ann@example.org").limited_to("Example.org")
    assert SpoolFilter.from_json(chosen.to_json()) == chosen
    assert "only" not in chosen.to_query()
    with pytest.raises(BadFilter, match="no condition only-sender-domain"):
        SpoolFilter.from_query(QueryDict("only-sender-domain=example.org"))


@given(st.dictionaries(st.sampled_from(sorted(FIELDS)), st.text(max_size=40)))
def test_any_text_is_a_filter_or_a_clear_error(values: dict[str, str]) -> None:
    try:
        chosen = SpoolFilter.parse(values)
    except BadFilter as error:
        assert str(error)
        return
    assert SpoolFilter.parse(chosen.texts()) == chosen
    assert SpoolFilter.from_query(QueryDict(chosen.to_query())) == chosen


@with_database
@pytest.mark.parametrize(
    ("text", "field", "value"),
    [
        ("ann@example.org", "sender", "ann@example.org"),
        ("to:bob@example.net", "recipient", "bob@example.net"),
        ("*@example.org", "sender", "*@example.org"),
        ("<>", "sender", "<>"),
        ("@example.org", "sender-domain", "example.org"),
        ("example.net", "domain", "example.net"),
        ("192.0.2.7", "ip", "192.0.2.7"),
        ("[2001:db8::1]", "ip", "2001:db8::1"),
        ("01m87rednn15wy0ph4vnd0q19n.eml", "id", "01m87rednn15wy0ph4vnd0q19n.eml"),
        ("<a.b@example.org>", "message-id", "<a.b@example.org>"),
        ("lunch friday", "subject", "lunch friday"),
        ('subject:"on friday"', "subject", "on friday"),
        ("older:2h", "older", "2h"),
        ("error:quota", "error", "quota"),
    ],
)
def test_the_search_box_says_what_it_understood(text: str, field: str, value: str) -> None:
    [term] = understand(text)
    assert (term.field, term.value) == (field, value)
    assert value.lower() in term.sentence.lower()
    assert from_text(text) == SpoolFilter.parse({field: value})


@with_database
def test_several_words_are_several_conditions() -> None:
    assert from_text("ann@example.org example.net lunch 192.0.2.7 today") == SpoolFilter(
        sender="ann@example.org", domain="example.net", ip="192.0.2.7", subject="lunch today"
    )
    with pytest.raises(BadFilter, match="not an age"):
        from_text("older:yesterday")


@with_database
@in_the_spool
def test_an_address_that_only_gets_mail_is_taken_for_a_recipient(spooled: Spooled) -> None:
    spooled(sender="ann@example.org", to="bob@example.net")
    assert [term.field for term in understand("bob@example.net ann@example.org")] == ["recipient", "sender"]


@with_database
@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("foo:bar", "There is no operator foo:."),
        ("foo:bar", 'put it in quotation marks: "foo:bar"'),
        ("sendr:ann@example.org", "Did you mean sender:?"),
        ("form:ann@example.org", "Did you mean from:?"),
        ("lunch stauts:waiting", "Did you mean status:? Available: auth-user:, direction:, domain:,"),
        ("lunch to:", "to: has nothing behind it"),
        ("ann@example.org ben@example.org", "ann@example.org and ben@example.org are the same condition"),
        ("status:waiting status:virus", "search for one of them"),
        (" ".join("word" for _ in range(41)), "at most 40 words"),
    ],
)
def test_what_a_search_can_not_mean_is_refused_and_not_looked_for_in_the_subject(text: str, sentence: str) -> None:
    with pytest.raises(BadFilter, match=re.escape(sentence)):
        from_text(text)


@with_database
@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("to: bob@example.net", SpoolFilter(recipient="bob@example.net")),
        ("Sender:ann@example.org", SpoolFilter(sender="ann@example.org")),
        ("min-attempts:3", SpoolFilter(min_attempts=3)),
        ("Re: lunch", SpoolFilter(subject="Re: lunch")),
        ('"foo:bar"', SpoolFilter(subject="foo:bar")),
        ('"from:ann"', SpoolFilter(subject="from:ann")),
        ("subject:foo:bar", SpoolFilter(subject="foo:bar")),
        ("https://example.org/ 12:30", SpoolFilter(subject="https://example.org/ 12:30")),
        ("beef::1", SpoolFilter(ip="beef::1")),
    ],
)
def test_a_colon_is_an_operators_only_where_one_is_meant(text: str, found: SpoolFilter) -> None:
    assert from_text(text) == found


def test_a_condition_that_does_not_exist_is_refused_wherever_it_stands() -> None:
    for ask in (
        lambda: SpoolFilter.parse({"sendr": "ann@example.org"}),
        lambda: SpoolFilter.from_json({"sendr": "ann@example.org"}),
        lambda: SpoolFilter.from_query(QueryDict("sendr=ann@example.org&sort=-id")),
        lambda: ItemFilter.from_json({"kind": "spam", "sendr": "ann@example.org"}),
    ):
        with pytest.raises(BadFilter, match=r"There is no condition sendr\. Did you mean sender\? Available: "):
            ask()
    assert SpoolFilter.from_query(QueryDict("sort=-id&after=7&message=a&q=&_changelist_filters=x")) == SpoolFilter()


@with_database
@given(st.text(max_size=60))
def test_any_search_is_understood_or_refused(text: str) -> None:
    try:
        from_text(text)
    except BadFilter as error:
        assert str(error)


@with_database
@in_the_spool
@pytest.mark.parametrize("few", [10_000, 0])
@pytest.mark.parametrize("name", VALUES)
def test_each_condition_finds_what_meets_it_and_nothing_else(
    spooled: Spooled, name: str, few: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "FEW", few)
    now = timezone.now()

    def other() -> None:
        age = timedelta(days=5) if name == "younger" else timedelta(hours=1)
        spooled(
            sender="zoe@example.com",
            to=["zed@example.edu"],
            subject="other",
            status="delay",
            direction=2,
            priority=2,
            created=now - age,
            attempts=20 if name == "max-attempts" else 1,
            size_bytes=100_000,
            hold=True,
            next_attempt=now + timedelta(hours=9),
            message_id="<2@x>",
        )

    # Ids grow with time.
    if name != "older":
        other()
    wanted = spooled(
        sender="ann@example.org",
        to=["bob@example.net", "eve@example.net"],
        subject="Lunch & DINNER",
        status="waiting",
        direction=1,
        priority=3,
        created=now - timedelta(hours=3),
        attempts=5,
        size_bytes=11_000_000,
        hold=False,
        client_ip="2001:db8::1",
        auth_user="ann@example.org",
        message_id="<1@example.org>",
        last_error="452 4.2.2 Over QUOTA",
        error_group="452 4.2.2 … over quota",
        next_attempt=now,
        machine="mx1",
    )
    if name == "older":
        other()
    value = {"id": wanted.file_name, "exact-subject": wanted.subject}.get(name, VALUES[name])
    if name == "smaller":
        Entry.objects.filter(id=wanted.id).update(size_bytes=10)
    chosen = SpoolFilter.parse({name: value})
    assert [entry.id for entry in page(chosen).entries] == [wanted.id]
    assert (count(chosen).number, count(chosen).more) == (1, False)


@with_database
@in_the_spool
@pytest.mark.parametrize("few", [10_000, 0])
@pytest.mark.parametrize("sort", SORTS)
@pytest.mark.parametrize("text", ["status=waiting", "status=waiting&domain=example.net", "subject=Lunch", "younger=2h"])
def test_pages_have_each_match_once_and_in_order(
    sort: str, text: str, few: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "FEW", few)
    monkeypatch.setattr(pages, "WINDOW", 5)
    intake.accept([a_submission(to=["bob@example.net", "eve@example.net"]) for _ in range(23)])
    now = timezone.now()
    for number, entry in enumerate(Entry.objects.order_by("id")):
        entry.status, entry.size_bytes, entry.attempts = "waiting", number * 7 % 5, number * 3 % 4
        entry.next_attempt = now + timedelta(seconds=number * 11 % 6)
        entry.save()
    chosen = SpoolFilter.from_query(QueryDict(text))
    seen: list[Entry] = []
    after = ""
    for _ in range(20):
        found = page(chosen, sort=sort, after=after, size=4)
        seen += found.entries
        after = found.next
        if not after:
            break
    assert len(seen) == len({entry.id for entry in seen}) == 23
    column = sort.lstrip("-")
    if not found.note:
        assert seen == sorted(seen, key=lambda e: (getattr(e, column), e.id), reverse=sort.startswith("-"))


@with_database
@in_the_spool
@pytest.mark.parametrize("text", ["", "domain=example.net", "subject=Lunch", "hold=yes"])
@pytest.mark.parametrize("few", [10_000, 0])
@pytest.mark.parametrize("sort", ["priority", "-priority", "status", "-status", "sender", "-sender", "-file_name"])
def test_any_list_can_be_sorted_by_what_has_few_values_and_the_whole_spool_by_sender_and_file_name(
    sort: str, few: int, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "FEW", few)
    monkeypatch.setattr(pages, "WINDOW", 5)
    intake.accept([a_submission(f"user{n % 5}@{'zab'[n % 3]}.example.org") for n in range(23)])
    for number, entry in enumerate(Entry.objects.order_by("id")):
        entry.status, entry.priority, entry.hold = ("delay", "waiting", "remote")[number % 3], number * 7 % 3 + 1, True
        entry.save()
    chosen = SpoolFilter.from_query(QueryDict(text))
    seen, notes = [], set()
    after, places = "", 0
    while places == 0 or (after and places < 30):
        found = page(chosen, sort=sort, after=after, size=4)
        assert len(found.entries) == 4 or not found.next or not found.complete
        seen += found.entries
        notes |= {note for note in (found.note,) if "Too many match" in note}
        after, places = found.next, places + 1
    statuses = list(Status.values)
    keys: dict[str, Callable[[Entry], tuple[object, ...]]] = {
        "priority": lambda e: (e.priority, e.id),
        "status": lambda e: (statuses.index(e.status), e.id),
        "sender": lambda e: (e.sender_domain, e.sender, e.id),
        "file_name": lambda e: (e.file_name,),
        "id": lambda e: (e.id,),
    }
    assert len({entry.id for entry in seen}) == 23
    assert seen == sorted(seen, key=keys[found.sort.lstrip("-")], reverse=found.sort.startswith("-"))
    in_order = sort.lstrip("-") in ("priority", "status") or not text or (few and "subject" not in text)
    assert found.sort == (sort if in_order else f"{'-' if sort.startswith('-') else ''}id")
    assert bool(notes) is not bool(in_order)


@with_database
@in_the_spool
@pytest.mark.parametrize("sort", ["status", "priority", "sender", "file_name", "size_bytes"])
@pytest.mark.parametrize("after", ["nonsense", "waiting", "waiting.x", "a@b.c.d", "\x00.1", ".", "9.9.9"])
def test_a_place_in_an_order_that_makes_no_sense_is_refused_or_ends_the_list(sort: str, after: str) -> None:
    intake.accept([a_submission()])
    try:
        page(SpoolFilter(), sort=sort, after=after)
    except BadFilter as error:
        assert "begin at its first page" in str(error)


@with_database
@in_the_spool
def test_a_search_that_takes_too_long_says_how_far_it_looked_and_goes_on_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "WINDOW", 5)
    monkeypatch.setattr(pages, "LOOK_SECONDS", 0.0)
    monkeypatch.setattr(pages, "COUNT_SECONDS", 0.0)
    intake.accept([a_submission(subject="needle"), *(a_submission() for _ in range(11))])
    chosen = SpoolFilter(subject="needle")
    first = page(chosen)
    assert (first.entries, first.complete) == ([], False)
    assert first.extent is not None
    assert first.extent.sentence(0).startswith("Looked through 5 of about 12 messages, back to ")
    assert first.extent.sentence(0).endswith("; 0 found so far.")
    second = page(chosen, after=first.next)
    assert second.extent is not None and "Looked through 10 of about 12 messages" in second.extent.sentence(0)
    third = page(chosen, after=second.next)
    assert [entry.subject for entry in third.entries] == ["needle"]
    assert third.complete
    assert (str(count(chosen)), count(chosen).short) == ("an unknown number of", "0+")
    assert [entry.subject for entry in page(chosen, patient=True).entries] == ["needle"]


@with_database
@in_the_spool
def test_a_count_stops_at_its_limit() -> None:
    intake.accept([a_submission() for _ in range(12)])
    assert str(count(SpoolFilter(), limit=10)) == "more than 10"
    assert str(count(SpoolFilter(domain="example.net"), limit=10)) == "more than 10"
    assert str(count(SpoolFilter(subject="Lunch"), limit=10)) == "more than 10"
    assert (str(Count(8_914, True)), Count(8_914, True).short, str(Count(8_914))) == (
        "more than 8,900",
        "8.9k+",
        "8,914",
    )
    assert str(count(SpoolFilter())) == "12"


@with_database
@in_the_spool
@pytest.mark.parametrize("after", ["x", "-1", "1" * 30, "٣", "1.x", "999999999999999999.1"])
def test_a_place_that_does_not_exist_is_refused(after: str) -> None:
    with pytest.raises(BadFilter, match="begin at its first page"):
        page(SpoolFilter(status="waiting"), sort="next_attempt", after=after)


@with_database
@in_the_spool
def test_a_page_is_a_few_queries_whatever_its_size(spooled: Spooled) -> None:
    for _ in range(30):
        spooled(to=["bob@example.net", "eve@example.net"])
    for chosen in (
        SpoolFilter(),
        SpoolFilter(sender="ann@example.org"),
        SpoolFilter(domain="example.net"),
        SpoolFilter(status="waiting"),
    ):
        with CaptureQueriesContext(connection) as queries:
            page(chosen)
        assert len(queries) <= 3


@with_database
@in_the_spool
def test_another_domains_mail_is_out_of_a_domain_administrators_reach(spooled: Spooled) -> None:
    spooled(sender="ann@example.org")
    spooled(sender="zoe@example.com")
    for chosen in (
        SpoolFilter(),
        SpoolFilter(sender="zoe@example.com"),
        SpoolFilter(sender="*"),
        SpoolFilter(older_than=timedelta(0)),
    ):
        found = page(chosen.limited_to("example.org")).entries
        assert {entry.sender_domain for entry in found} <= {"example.org"}
    assert count(SpoolFilter().limited_to("example.org")).number == 1


@with_database
@in_the_spool
def test_the_case_of_an_address_does_not_hide_its_mail(spooled: Spooled) -> None:
    spooled(sender="ann@example.org", to="bob@example.net")
    assert count(SpoolFilter(sender="Ann@Example.ORG")).number == 1
    assert count(SpoolFilter(recipient="BOB@example.net")).number == 1
    assert Recipient.objects.get().kind == Kind.REMOTE
    assert store.subspools()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (
            "450 4.2.0 <bob@example.net>: greylisted, try in 300 s",
            "450 4.2.0 <eve@example.net>: greylisted, try in 300 s",
        ),
        (
            "421 Too many connections from 192.0.2.7 (id 4D2f9aB1c3)",
            "421 Too many connections from 192.0.2.99 (id 9Xz81Qwe44)",
        ),
        (
            "451 see https://example.net/a?b=1 for bob@example.net",
            "451 see https://example.net/c?d=2 for eve@example.net",
        ),
        (
            "no host answers; not tried again before 12:30:01 UTC",
            "no host answers; not tried again before 13:00:59 UTC",
        ),
    ],
)
def test_replies_that_differ_in_particulars_are_one_group(one: str, other: str) -> None:
    assert error_group(one) == error_group(other)
    assert error_group(one)[:4] == one[:4]


def test_replies_that_say_different_things_are_different_groups() -> None:
    assert error_group("452 4.2.2 Mailbox full") != error_group("452 4.3.1 Disk full")


@given(st.text(max_size=600))
def test_a_group_is_short_and_stays_as_it_is(reply: str) -> None:
    group = error_group(reply)
    assert len(group) <= 120
    assert "\n" not in group
