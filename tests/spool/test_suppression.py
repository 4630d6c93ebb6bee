"""Suppression lists: who gets on them, what follows for mail, and what administrators do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from accounts import directory
from accounts.models import Domain, Role
from base.actions.action import NotAllowed, Target
from base.actions.perform import perform
from spool import suppression
from spool.actions import Actor
from spool.actions.suppression import SUPPRESS, UNSUPPRESS
from spool.console.message import entry_named, recipients_of
from spool.delivery import complaints
from spool.dsn import feedback
from spool.flow import intake
from spool.flow.suppressing import refuse_suppressed
from spool.models import Suppression
from spool.models.entry import Origin
from spool.models.recipient import Kind
from spool.models.suppression import Finding, SuppressionReason
from spool.models.trace import Trace
from tests.spool.delivery_local.test_bounces import REPORT
from tests.spool.passing import ANN, FAR, HERE, Spool, spool
from tests.support.commands import Manage, manage_with
from tests.support.messages import a_leased_entry, a_submission

__all__ = ["spool"]
DEAD, BOB = f"dead@{FAR}", f"bob@{FAR}"
NO_SUCH_USER = "550 5.1.1 <dead@far.test>: no such user"
LISTED = ("domain", "address", "reason")
QMAIL = (
    b"Hi. This is the qmail-send program at far.test.\nI'm afraid I wasn't able to deliver your message.\n\n"
    b"<dead@far.test>:\n5.1.1 no such user\n\n--- Below this line is a copy of the message.\n\n"
    b"Return-Path: <ann@here.test>\nMessage-ID: %b\nSubject: Lunch\n\nHello\n"
)


@pytest.fixture(autouse=True)
def _nothing_is_kept() -> Iterator[None]:
    suppression.forget()
    directory.forget()
    yield
    suppression.forget()


def mode(value: str) -> None:
    Domain.objects.filter(name=HERE).update(suppression=value)
    directory.changed()


def send(spool: Spool, *to: str, message_id: str = "", **fields: Any) -> None:
    submission = a_submission(ANN, list(to) or [DEAD], **fields)
    submission.message_id = message_id
    submission.envelope.auth_user = "" if fields.get("origin") == Origin.COMMAND else ANN
    submission.envelope.ours = None
    intake.accept([submission])
    spool.work()


def listed() -> list[tuple[Any, ...]]:
    return list(Suppression.objects.values_list(*LISTED))


def an_address(address: str = DEAD, domain: str = HERE, reason: str = "bounce", **fields: Any) -> Suppression:
    return Suppression.objects.create(
        domain=domain, address=address, reason=reason, **{"since": timezone.now(), **fields}
    )


@pytest.mark.parametrize(
    ("answer", "chosen", "noted"),
    [
        (NO_SUCH_USER, "note", True),
        (NO_SUCH_USER, "off", False),
        ("550 5.7.1 you are on our list", "note", False),
        ("450 4.1.1 not now", "note", False),
    ],
)
def test_who_is_nobody_at_a_host_is_noted_with_what_it_said(
    answer: str, chosen: str, noted: bool, spool: Spool
) -> None:
    mode(chosen)
    spool.peer.on["RCPT"] = answer
    send(spool, DEAD.replace("d", "D", 1))
    assert listed() == ([(HERE, DEAD, "bounce")] if noted else [])
    if noted:
        row = Suppression.objects.get()
        assert "no such user" in row.evidence
        assert row.expires == row.since + timedelta(days=90)


@pytest.mark.parametrize(
    ("chosen", "origin", "is_sent"),
    [
        ("note", Origin.SMTP, True),
        ("bounce", Origin.SMTP, False),
        ("refuse", Origin.COMMAND, False),
    ],
)
def test_what_follows_is_for_the_domain_to_say(chosen: str, origin: Origin, is_sent: bool, spool: Spool) -> None:
    mode(chosen)
    an_address()
    an_address(BOB, "other.test")
    an_address(f"postmaster@{FAR}")
    an_address(f"over@{FAR}", expires=timezone.now() - timedelta(seconds=1))
    send(spool, DEAD, BOB, f"postmaster@{FAR}", f"over@{FAR}", origin=origin)
    sent = {to for taken in spool.peer.taken for to in taken.recipients}
    assert sent == {BOB, f"postmaster@{FAR}", f"over@{FAR}"} | ({DEAD} if is_sent else set())
    [line] = Trace.objects.filter(recipient=DEAD)
    assert line.outcome == ("delivered" if is_sent else "bounced")
    if not is_sent:
        assert line.reply.startswith(f"550 5.7.1 <{DEAD}>: {HERE} sends nothing to this address since 2026-03-02")
        assert [message["To"] for message in spool.mailbox()] == [ANN]


def test_a_batch_takes_one_query_and_none_where_nobody_wants_it(
    home: object, db: None, tmp_path: Path, django_assert_num_queries: Any
) -> None:
    domain = Domain.objects.create(name=HERE, suppression="note")
    many = [f"u{number}@{FAR}" for number in range(100)]
    entries = [a_leased_entry(tmp_path, ANN, many) for _ in range(4)]
    for entry in entries:
        entry.auth_user = ANN
    directory.local_domain(HERE)
    with django_assert_num_queries(0):
        refuse_suppressed(entries, timezone.now())
    domain.suppression = "bounce"
    domain.save()
    directory.local_domain(HERE)
    an_address(many[7])
    with django_assert_num_queries(1):
        refuse_suppressed(entries, timezone.now())
    assert [len(entry.refused or ()) for entry in entries] == [1] * 4


def test_a_bounce_changes_nothing_of_what_says_more(db: None, home: object) -> None:
    Domain.objects.create(name=HERE)
    an_address(DEAD, reason="manual", evidence="asked us")
    an_address(BOB, reason="bounce", evidence="old")
    now = timezone.now() + timedelta(days=3)
    found = [Finding(HERE, to, SuppressionReason.BOUNCE, "new") for to in (DEAD, BOB, f"abuse@{FAR}", f"Abuse+x@{FAR}")]
    suppression.note([*found, Finding("stranger.test", BOB, SuppressionReason.BOUNCE, "new")], now)
    assert set(Suppression.objects.values_list("address", "evidence")) == {(DEAD, "asked us"), (BOB, "new")}
    assert Suppression.objects.get(address=BOB).since == now
    suppression.note([Finding(HERE, DEAD, SuppressionReason.COMPLAINT, "abuse")], now)
    assert Suppression.objects.get(address=DEAD).reason == "complaint"
    suppression.tidy(now + timedelta(days=91))
    assert listed() == [(HERE, DEAD, "complaint")]


def a_complaint(kind: str = "abuse", to: str = f"<{DEAD}>", message_id: str = "<1@here.test>") -> bytes:
    return (
        "From: fbl@far.test\r\nSubject: Abuse report\r\nMIME-Version: 1.0\r\n"
        "Content-Type: multipart/report; report-type=feedback-report; boundary=b\r\n\r\n--b\r\n\r\nSee below.\r\n"
        f"--b\r\nContent-Type: message/feedback-report\r\n\r\nFeedback-Type: {kind}\r\nUser-Agent: Some/1\r\n"
        f"Original-Rcpt-To: {to}\r\n--b\r\nContent-Type: message/rfc822\r\n\r\n"
        f"Message-ID: {message_id}\r\n\r\nx\r\n--b--\r\n"
    ).encode()


@pytest.mark.parametrize(
    ("report", "counts"),
    [
        ({}, True),
        ({"to": "redacted"}, True),
        ({"kind": "not-spam"}, False),
        ({"message_id": "<guessed@here.test>"}, False),
        ({"to": f"<else@{FAR}>"}, False),
    ],
    ids=["abuse", "without its recipient", "the reverse", "of nothing that was sent", "for somebody else"],
)
def test_a_complaint_counts_for_what_was_sent_to_whom_it_names(
    report: dict[str, str], counts: bool, spool: Spool
) -> None:
    submission = a_submission(ANN, DEAD)
    submission.message_id, submission.envelope.auth_user = "<1@here.test>", ANN
    intake.accept([submission])
    spool.work()
    spool.take_for_us(a_complaint(**report), ANN, "fbl@far.test")
    spool.work()
    assert listed() == ([(HERE, DEAD, "complaint")] if counts else [])
    if counts:
        assert "abuse reported by Some/1" in Suppression.objects.get().evidence
    assert len(spool.mailbox()) == 1


def test_who_was_told_of_among_several_is_not_guessed(db: None) -> None:
    for to in (DEAD, BOB):
        Trace.objects.create(
            file_name="x",
            sender=ANN,
            recipient=to,
            kind=Kind.REMOTE,
            outcome="delivered",
            message_id="<1@here.test>",
            size_bytes=1,
            attempts=1,
            created=timezone.now(),
            ended=timezone.now(),
        )
    complaint = feedback.recognise(a_complaint(to="redacted"))
    assert complaint is not None
    assert complaints.findings([complaint], timezone.now()) == []


def a_bounce(*returned: str) -> bytes:
    """A report about DEAD that returns headers with these Message-IDs."""
    ends = REPORT.replace(b"dead@example.net", DEAD.encode()).removesuffix(b"--b--\r\n")
    fields = "".join(f"--b\r\nContent-Type: text/rfc822-headers\r\n\r\nMessage-ID: {one}\r\n\r\n" for one in returned)
    return ends + fields.encode() + b"--b--\r\n"


@pytest.mark.parametrize("forms", [a_bounce, lambda id: b"Subject: failure notice\r\n\r\n" + QMAIL % id.encode()])
def test_a_report_of_a_bounce_that_comes_later_is_noted(forms: Callable[[str], bytes], spool: Spool) -> None:
    for number in range(3):
        send(spool, DEAD, message_id=f"<{number}@here.test>")
    spool.take_for_us(forms("<1@here.test>"))
    spool.work()
    assert listed() == [(HERE, DEAD, "bounce")]
    assert "no such user" in Suppression.objects.get().evidence


@pytest.mark.parametrize("returned", [[], ["<guessed@here.test>"]], ids=["nothing", "another message"])
def test_a_report_that_does_not_return_what_was_sent_suppresses_nobody(returned: list[str], spool: Spool) -> None:
    """Anybody can guess that Ann has written to somebody, and write such a report."""
    send(spool, DEAD, message_id="<1@here.test>")
    spool.take_for_us(a_bounce(*returned))
    spool.work()
    assert listed() == []


@pytest.fixture
def manage(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, home: object) -> Manage:
    return manage_with(capsys, monkeypatch, "spool")


@pytest.mark.django_db(transaction=True)
def test_lists_are_written_out_and_read_again(manage: Manage, tmp_path: Path) -> None:
    Domain.objects.create(name=HERE)
    an_address(evidence='=said "no", really', expires=timezone.now() + timedelta(days=3))
    added = manage("suppression", "add", HERE, stdin=f"{BOB}, wrong\n abuse@{FAR}")
    assert "1 suppressed" in added.out
    assert "2 left out" in added.out
    before = list(Suppression.objects.order_by("address").values(*LISTED, "evidence"))
    written = tmp_path / "list.csv"
    written.write_text(manage("suppression", "export").out)
    assert manage("suppression", "remove", f"{HERE}:{DEAD}", f"{HERE}:{BOB}").status == 0
    assert listed() == []
    assert manage("suppression", "import", str(written)).status == 0
    assert list(Suppression.objects.order_by("address").values(*LISTED, "evidence")) == before
    assert [one["address"] for one in manage("suppression", "list", "--reason", "bounce", "--json").json] == [DEAD]
    assert manage("suppression", "import", str(tmp_path / "none")).status


def test_a_long_list_is_read_in_parts_of_which_each_is_found_by_the_index(
    db: None, django_assert_num_queries: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(suppression, "_QUERY_SIZE", 2)
    expected = sorted((domain, f"{name}@far.test") for domain in ("a.test", "b.test", "c.test") for name in "xyzwv")
    for domain, address in reversed(expected):
        an_address(address, domain=domain)
    # Of each domain: its name, and four parts, of which the last is empty; and that there is no other.
    with django_assert_num_queries(3 * 5 + 1):
        found = [(row.domain, row.address) for row in suppression.in_order(Suppression.objects.all())]
    assert found == expected
    assert [row.domain for row in suppression.in_order(Suppression.objects.filter(address__contains="w"))] == [
        "a.test",
        "b.test",
        "c.test",
    ]


def test_administrators_of_a_domain_change_its_list_alone(db: None, home: object) -> None:
    Domain.objects.create(name=HERE)
    Domain.objects.create(name="other.test")
    theirs = Actor("dora@here.test", Role.DOMAIN_ADMINISTRATOR, HERE)
    perform(SUPPRESS, theirs, Target.of("domain", HERE), {"addresses": DEAD})
    an_address(domain="other.test")
    with pytest.raises(NotAllowed):
        perform(SUPPRESS, theirs, Target.of("domain", "other.test"), {"addresses": BOB})
    with pytest.raises(NotAllowed):
        perform(UNSUPPRESS, theirs, Target.of("suppressed", f"{HERE}:{DEAD}", f"other.test:{DEAD}"))
    with pytest.raises(NotAllowed):
        perform(UNSUPPRESS, Actor("h@x.test", Role.HELP_DESK), Target.of("suppressed", f"{HERE}:{DEAD}"))
    done = perform(UNSUPPRESS, theirs, Target.of("suppressed", f"{HERE}:{DEAD}"))
    assert listed() == [("other.test", DEAD, "bounce")]
    assert done.undo is not None


def test_the_popup_says_who_is_on_the_list(home: object, db: None, django_assert_num_queries: Any) -> None:
    an_address(evidence="no such user")
    an_address(BOB, "other.test")
    [name] = intake.accept([a_submission(ANN, [DEAD, BOB])])
    entry = entry_named(name)
    assert entry is not None
    with django_assert_num_queries(2):
        shown = recipients_of(entry)
    assert [(one.address, row.evidence if row else "") for one, row in shown.rows] == [
        (DEAD, "no such user"),
        (BOB, ""),
    ]


def test_recipients_that_only_look_alike_are_others(db: None) -> None:
    assert not suppression.is_exempt(f"postmasters@{FAR}")
    assert suppression.is_exempt(f"Postmaster@{FAR}")
