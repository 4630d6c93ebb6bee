"""Local mail to the mailbox by real passes: full mailboxes, large lists, loops, large messages."""

from __future__ import annotations

import time
import tracemalloc
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from accounts import directory
from accounts.models import Alias, AliasTarget, Domain, ListMember, MailingList, User
from spool.delivery.local.plans import plan_batch
from spool.files import store
from spool.models import Entry, Settings, Trace
from spool.models.recipient import Kind
from tests.interop.world import Report
from tests.spool.passing import ANN, FAR, HERE, START, Spool
from tests.support.messages import a_leased_entry, a_message

NEWS = f"news@{HERE}"


def _here() -> Domain:
    return Domain.objects.get(name=HERE)


def _user(local_part: str, **fields: object) -> str:
    user = User(email=f"{local_part}@{HERE}", domain=_here(), **fields)
    user.set_unusable_password()
    user.save()
    directory.forget()
    return user.email


def _list(*members: str) -> None:
    row = MailingList.objects.create(address=NEWS, domain=_here())
    ListMember.objects.bulk_create([ListMember(mailing_list=row, address=member) for member in members])
    directory.forget()


def test_mail_for_a_full_mailbox_waits_until_there_is_room(spool: Spool) -> None:
    full = _user("full", mailbox_mb=1)
    name = spool.take_for_us(a_message(full, size=2_000_000), full, f"eve@{FAR}")
    spool.work()
    assert spool.entry(name).last_error == f"452 4.2.2 <{full}>: the mailbox is full (limit 1 MB)"
    assert spool.minutes_to_go(name) == pytest.approx(15, abs=0.2)
    User.objects.filter(email=full).update(mailbox_mb=10)
    directory.forget()
    spool.later(minutes=16)
    spool.work()
    assert len(spool.mailbox(full)) == 1


def test_mail_for_a_mailbox_that_stays_full_comes_back(spool: Spool) -> None:
    full = _user("full", mailbox_mb=1)
    spool.take_for_us(a_message(full, ANN, size=2_000_000), full, ANN)
    spool.work()
    spool.later(hours=97)
    spool.work()
    report = Report.of(spool.mailbox()[-1])
    assert (report.action, report.status, report.final_recipient) == ("failed", "5.4.7", full)
    assert "the mailbox is full" in report.diagnostic


def test_a_list_of_five_thousand_reaches_each_member_once(spool: Spool) -> None:
    domains = [f"d{number}.test" for number in range(20)]
    for name in domains:
        spool.dns.add(name, "MX", f"10 mx.{FAR}.")
    local_members = [_user(f"member{number}") for number in range(20)]
    far = [f"member{number}@{domains[number % 20]}" for number in range(4980)]
    _list(*local_members, *far)
    started = time.monotonic()
    spool.take_for_us(a_message(NEWS, ANN), NEWS, ANN)
    spool.work()
    assert time.monotonic() - started < 60
    reached = Counter(address for taken in spool.peer.taken for address in taken.recipients)
    assert reached == Counter(far)
    assert {taken.mail.partition(" SIZE")[0] for taken in spool.peer.taken} == {
        f"MAIL FROM:<{directory.bounces_address(NEWS)}>"
    }
    assert max(len(taken.recipients) for taken in spool.peer.taken) <= 100
    assert [len(spool.mailbox(member)) for member in local_members] == [1] * 20
    assert Entry.objects.count() == 0
    assert Trace.objects.filter(outcome="delivered").count() == 5001


def test_a_list_of_five_thousand_in_many_domains_is_planned_with_few_queries(
    spool: Spool, tmp_path: Path, django_assert_max_num_queries: Any
) -> None:
    members = [f"x{number}@far{number % 100}.test" for number in range(4700)]
    for number in range(6):
        domain = Domain.objects.create(name=f"here{number}.test")
        addresses = [f"m{n}@{domain.name}" for n in range(50)]
        User.objects.bulk_create([User(email=address, domain=domain, password="!") for address in addresses])
        members += addresses
    _list(*members)
    entry = a_leased_entry(tmp_path, ANN, NEWS, Kind.LOCAL)
    settings = Settings.load()
    with django_assert_max_num_queries(20):
        [plan] = plan_batch([(entry, entry.recipients)], settings, START)
    assert sum(len(made.envelope.recipients) for made in plan.spawned) == 5000


def test_aliases_that_lead_to_each_other_come_back_and_end(spool: Spool) -> None:
    for name, target in (("a", "b"), ("b", "c"), ("c", "a")):
        alias = Alias.objects.create(address=f"{name}@{HERE}", domain=_here())
        AliasTarget.objects.create(alias=alias, address=f"{target}@{HERE}")
    directory.forget()
    spool.take_for_us(a_message(f"a@{HERE}", ANN), f"a@{HERE}", ANN)
    spool.work()
    assert Entry.objects.count() == 0
    report = Report.of(spool.mailbox()[0])
    assert (report.action, report.final_recipient) == ("failed", f"a@{HERE}")


@pytest.mark.parametrize("size", [50_000, 3_000_000])
def test_a_message_that_is_sent_on_keeps_its_body_however_large(spool: Spool, size: int) -> None:
    """Large ones are copied from file to file, small ones through memory."""
    _user("mover", forward_to=f"new@{FAR}", forward_keeps_copy=False)
    _list(f"member@{FAR}")
    content = a_message([f"mover@{HERE}", NEWS], ANN, size=size)
    for to in (f"mover@{HERE}", NEWS):
        spool.take_for_us(content, to, ANN)
    spool.work()
    header, _, body = content.partition(b"\r\n\r\n")
    received = {taken.recipients[0]: taken.content for taken in spool.peer.taken}
    assert set(received) == {f"new@{FAR}", f"member@{FAR}"}
    for arrived in received.values():
        assert arrived.partition(b"\r\n\r\n")[2] == body
    assert received[f"new@{FAR}"].partition(b"\r\n\r\n")[0].endswith(header)
    assert b"List-Id: " in received[f"member@{FAR}"]
    sizes = Trace.objects.filter(recipient__endswith=FAR).values_list("recipient", "size_bytes")
    assert dict(sizes) == {to: len(arrived) for to, arrived in received.items()}


def test_many_large_messages_that_are_sent_on_take_little_memory(spool: Spool) -> None:
    _user("mover", forward_to=ANN, forward_keeps_copy=False)
    for _ in range(10):
        spool.take_for_us(a_message(f"mover@{HERE}", ANN, size=10_000_000), f"mover@{HERE}", f"eve@{FAR}")
    tracemalloc.start()
    spool.work()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(spool.mailbox()) == 10
    assert peak < 40_000_000, f"{peak / 1e6:.1f} MB"


def test_a_message_that_is_gone_before_it_could_be_sent_on_waits(spool: Spool) -> None:
    _user("mover", forward_to=f"new@{FAR}", forward_keeps_copy=False)
    name = spool.take_for_us(a_message(f"mover@{HERE}", ANN, size=3_000_000), f"mover@{HERE}", ANN)
    entry = spool.entry(name)
    store.path_of(entry.subspool, name).unlink()
    spool.work()
    entry = spool.entry(name)
    assert (entry.status, entry.attempts) == ("waiting", 1)
    assert "missing" in entry.last_error
