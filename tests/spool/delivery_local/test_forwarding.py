"""What becomes of mail to users who forward, to aliases that came up meanwhile, and to addresses that went."""

from __future__ import annotations

from email import message_from_bytes
from pathlib import Path

import pytest

from accounts import directory
from accounts.models import Alias, AliasTarget, Domain, Status
from mailspool.home import Home
from spool.delivery.local.plans import MISSING_MESSAGE, LocalPlan, plan_batch
from spool.message.envelope import LeasedEntry, Submission
from spool.models.entry import Origin, Priority
from spool.models.recipient import Kind, Outcome
from spool.models.settings import Settings
from tests.spool.delivery_local.conftest import NOW, a_user, an_entry
from tests.support.messages import a_message

pytestmark = pytest.mark.django_db
ANN, CARL, ELSE = "ann@example.org", "carl@example.org", "ann@elsewhere.example"


@pytest.fixture(autouse=True)
def _places(home: Home, domain: Domain, settings_row: Settings) -> None:
    """Every test here has the domain example.org and the settings' row."""


def plan(entry: LeasedEntry) -> LocalPlan:
    [made] = plan_batch([(entry, entry.recipients)], Settings.load(), NOW)
    assert len(made.attempts) == len(made.results)
    return made


def follow(submission: Submission, address: str, folder: Path) -> LeasedEntry:
    """The forwarded message as an entry of its own, with the recipient `address`."""
    assert submission.content is not None
    [recipient] = [r for r in submission.envelope.recipients if r.address == address]
    return an_entry(
        folder,
        address,
        submission.envelope.sender,
        submission.content,
        recipient.original,
        recipient.notify,
        origin=submission.envelope.origin.value,
    )


def test_mail_to_a_user_goes_to_the_mailbox_without_being_read(domain: Domain, spooled: Path) -> None:
    a_user(domain)
    entry = an_entry(spooled)
    entry.path.unlink()
    made = plan(entry)
    assert [(recipient.address, user.address) for recipient, user in made.mailboxes] == [(ANN, ANN)]
    assert (made.results, made.spawned) == ([], [])


def test_an_address_that_is_gone_bounces(spooled: Path) -> None:
    [result] = plan(an_entry(spooled)).results
    assert (result.outcome, result.status_code) == (Outcome.BOUNCED, "5.1.1")
    assert result.reply.startswith("550 5.1.1 <ann@example.org>")


def test_an_address_that_the_catch_all_takes_by_now_goes_there(domain: Domain, spooled: Path) -> None:
    a_user(domain, "carl")
    Domain.objects.filter(pk=domain.pk).update(catch_all=CARL)
    directory.forget()
    assert [user.address for _, user in plan(an_entry(spooled)).mailboxes] == [CARL]


def test_a_user_who_was_disabled_bounces(domain: Domain, spooled: Path) -> None:
    a_user(domain, status=Status.DISABLED)
    [result] = plan(an_entry(spooled)).results
    assert (result.outcome, result.status_code) == (Outcome.BOUNCED, "5.2.1")


def test_a_forward_keeps_the_reverse_path_and_leaves_its_marks(domain: Domain, spooled: Path) -> None:
    a_user(domain, forward_to=ELSE, forward_keeps_copy=False)
    entry = an_entry(spooled, client_ip="192.0.2.9", envid="x1", ret="HDRS", priority=3)
    made = plan(entry)
    [submission] = made.spawned
    envelope = submission.envelope
    assert (envelope.sender, envelope.origin, envelope.priority) == ("bob@example.net", Origin.FORWARD, Priority.HIGH)
    assert (envelope.client_ip, envelope.envid, envelope.ret) == ("192.0.2.9", "x1", "HDRS")
    assert [(r.address, r.kind, r.original) for r in envelope.recipients] == [(ELSE, Kind.REMOTE, ANN)]
    assert submission.content is not None
    assert submission.content.endswith(entry.read())
    message = message_from_bytes(submission.content)
    assert message.keys()[:3] == ["Delivered-To", "X-Forwarded-For", "Received"]
    assert message["Delivered-To"] == message["X-Forwarded-For"] == ANN
    assert f"id {entry.file_name[:-4]}" in message["Received"]
    [result] = made.results
    assert result.outcome is Outcome.DELIVERED
    assert result.reply == f"250 2.0.0 {ANN}: forwarded to {ELSE}"
    assert made.mailboxes == []


def test_a_forward_that_keeps_a_copy_has_the_mailbox_among_its_recipients(domain: Domain, spooled: Path) -> None:
    a_user(domain, forward_to=ELSE)
    made = plan(an_entry(spooled, original="sales@example.org"))
    [submission] = made.spawned
    assert [(r.address, r.kind, r.original) for r in submission.envelope.recipients] == [
        (ANN, Kind.LOCAL, "sales@example.org"),
        (ELSE, Kind.REMOTE, ANN),
    ]
    assert made.mailboxes == []
    assert made.results[0].reply.endswith(f"forwarded to {ELSE}, and kept")


@pytest.mark.parametrize(
    ("forward_to", "keeps_copy"), [(ELSE, True), (f"{ANN}\n{ELSE}", False), (f"sales@example.org\n{ELSE}", False)]
)
def test_the_copy_that_is_kept_is_stored_and_not_forwarded_again(
    domain: Domain, spooled: Path, forward_to: str, keeps_copy: bool
) -> None:
    AliasTarget.objects.create(alias=Alias.objects.create(address="sales@example.org", domain=domain), address=ANN)
    a_user(domain, forward_to=forward_to, forward_keeps_copy=keeps_copy)
    [submission] = plan(an_entry(spooled)).spawned
    made = plan(follow(submission, ANN, spooled))
    assert [user.address for _, user in made.mailboxes] == [ANN]
    assert (made.spawned, made.results) == ([], [])


def test_users_who_forward_to_each_other_are_a_loop_that_bounces(domain: Domain, spooled: Path) -> None:
    a_user(domain, forward_to=CARL, forward_keeps_copy=False)
    a_user(domain, "carl", forward_to=ANN, forward_keeps_copy=False)
    [to_carl] = plan(an_entry(spooled)).spawned
    [to_ann] = plan(follow(to_carl, CARL, spooled)).spawned
    made = plan(follow(to_ann, ANN, spooled))
    assert made.spawned == []
    [result] = made.results
    assert (result.outcome, result.status_code) == (Outcome.BOUNCED, "5.4.6")


def test_users_who_forward_to_each_other_and_keep_copies_end_the_loop_with_mail(domain: Domain, spooled: Path) -> None:
    a_user(domain, forward_to=CARL)
    a_user(domain, "carl", forward_to=ANN)
    waiting, kept = [an_entry(spooled)], 0
    for _ in range(20):
        if not waiting:
            break
        made = plan(waiting.pop())
        kept += len(made.mailboxes)
        assert all(result.outcome is Outcome.DELIVERED for result in made.results)
        for submission in made.spawned:
            waiting += [follow(submission, r.address, spooled) for r in submission.envelope.recipients]
    assert waiting == []
    assert 2 <= kept <= 4


def test_a_message_with_too_many_hops_is_not_forwarded(domain: Domain, spooled: Path) -> None:
    a_user(domain, forward_to=ELSE, forward_keeps_copy=False)
    content = b"Received: by somewhere\r\n" * Settings.load().max_hops + a_message()
    [result] = plan(an_entry(spooled, content=content)).results
    assert (result.outcome, result.status_code) == (Outcome.BOUNCED, "5.4.6")


def test_hops_in_the_body_do_not_count(domain: Domain, spooled: Path) -> None:
    a_user(domain, forward_to=ELSE, forward_keeps_copy=False)
    quoted = b"\r\n" + b"Delivered-To: ann@example.org\r\n" + b"Received: by somewhere\r\n" * 100
    assert len(plan(an_entry(spooled, content=a_message() + quoted)).spawned) == 1
    assert len(plan(an_entry(spooled, content=quoted)).spawned) == 1


def test_a_forward_address_that_takes_no_mail_is_left_out(domain: Domain, spooled: Path) -> None:
    a_user(domain, forward_to=f"nobody@example.org\n{ELSE}", forward_keeps_copy=False)
    [submission] = plan(an_entry(spooled)).spawned
    assert [r.address for r in submission.envelope.recipients] == [ELSE]


def test_a_forward_to_nobody_bounces_without_a_copy_and_is_kept_with_one(domain: Domain, spooled: Path) -> None:
    a_user(domain, forward_to="nobody@example.org", forward_keeps_copy=False)
    a_user(domain, "carl", forward_to="nobody@example.org")
    [result] = plan(an_entry(spooled)).results
    assert (result.outcome, result.status_code) == (Outcome.BOUNCED, "5.1.1")
    assert [user.address for _, user in plan(an_entry(spooled, CARL)).mailboxes] == [CARL]


def test_a_forward_whose_message_is_missing_waits(domain: Domain, spooled: Path) -> None:
    a_user(domain, forward_to=ELSE)
    entry = an_entry(spooled)
    entry.path.unlink()
    [result] = plan(entry).results
    assert (result.outcome, result.reply) == (Outcome.PENDING, MISSING_MESSAGE)


@pytest.mark.parametrize(
    ("forward_to", "keeps_copy", "notify", "relayed"),
    [
        (ELSE, False, {ELSE: "SUCCESS,FAILURE"}, True),
        (ELSE, True, {ANN: "SUCCESS,FAILURE", ELSE: "FAILURE"}, True),
        (f"{ELSE}\nb@else.example", False, {ELSE: "FAILURE", "b@else.example": "FAILURE"}, False),
    ],
)
def test_success_is_reported_to_the_sender_once(
    domain: Domain, spooled: Path, forward_to: str, keeps_copy: bool, notify: dict[str, str], relayed: bool
) -> None:
    a_user(domain, forward_to=forward_to, forward_keeps_copy=keeps_copy)
    made = plan(an_entry(spooled, notify="SUCCESS,FAILURE"))
    assert {r.address: r.notify for r in made.spawned[0].envelope.recipients} == notify
    assert made.results[0].relayed is relayed


def test_an_alias_that_came_up_meanwhile_sends_on(domain: Domain, spooled: Path) -> None:
    a_user(domain, "carl")
    alias = Alias.objects.create(address=ANN, domain=domain)
    for address in (CARL, ELSE):
        AliasTarget.objects.create(alias=alias, address=address)
    directory.forget()
    made = plan(an_entry(spooled))
    assert {r.address for r in made.spawned[0].envelope.recipients} == {CARL, ELSE}
    assert made.results[0].outcome is Outcome.DELIVERED


def test_mail_to_an_alias_without_targets_is_discarded_and_said_so(domain: Domain, spooled: Path) -> None:
    Alias.objects.create(address=ANN, domain=domain)
    directory.forget()
    [result] = plan(an_entry(spooled)).results
    assert result.outcome is Outcome.DELIVERED
    assert "discarded" in result.reply
