"""Reverse-paths of what is sent on: written, read back, and followed home by bounces."""

from __future__ import annotations

import json
import re
import urllib.request

import pytest
import time_machine
from hypothesis import given, settings
from hypothesis import strategies as st

from accounts import directory
from accounts.models import Alias, AliasTarget, Domain, User
from spool import addressing, sender_rewriting
from spool.models import Entry, Trace
from spool.models.recipient import Kind
from spool.sender_rewriting import NotOurs, is_rewritten, rewritten, sender_of
from tests.spool.passing import ANN, FAR, HERE, Spool
from tests.support.messages import a_message
from tests.support.rspamd import Rspamd
from tests.support.smtp_peer import Taken

STRANGER = "eve@stranger.test"
NAME = "01m8p5bvs5a52x8gnn0evprr30.eml"
HERS = f"eve@{FAR}"


@pytest.mark.parametrize(
    ("sender", "form"),
    [
        (STRANGER, r"SRS0=[^=]{4}=[A-Z2-7]{2}=stranger\.test=eve@here\.test"),
        ("Eve+x=y@stranger.test", r"SRS0=[^=]{4}=[A-Z2-7]{2}=stranger\.test=Eve\+x=y@here\.test"),
        ("SRS0=abcd=EF=first.test=eve@second.test", r"SRS1=[^=]{4}=second\.test==abcd=EF=first\.test=eve@here\.test"),
        (
            "SRS1=wxyz=first.test==abcd=EF=a.test=eve@third.test",
            r"SRS1=[^=]{4}=first\.test==abcd=EF=a\.test=eve@here\.test",
        ),
    ],
)
def test_an_address_of_ours_leads_back(sender: str, form: str) -> None:
    address = rewritten(sender, "here.test", NAME)
    assert re.fullmatch(form, address) and is_rewritten(address)
    back = sender if sender.startswith("Eve") or sender == STRANGER else None
    if back is not None:
        assert sender_of(address) == back
    else:
        # To the first host, which knows the sender (the paper's shortcut).
        assert sender_of(address) in {
            "SRS0=abcd=EF=first.test=eve@second.test",
            "SRS0=abcd=EF=a.test=eve@first.test",
        }


def test_hosts_that_change_the_case_of_a_local_part_are_understood() -> None:
    address = rewritten(STRANGER, "here.test", NAME)
    assert sender_of(address.lower()) == STRANGER == sender_of(address.upper()).lower()


@pytest.mark.django_db
@pytest.mark.parametrize(
    "sender",
    [f"{'bounces+' * 6}x@a-rather-long-name.stranger.test", '"eve ning"@stranger.test', "jürgen@stranger.test"],
)
def test_what_does_not_fit_names_the_message(sender: str) -> None:
    address = rewritten(sender, "here.test", NAME)
    local_part = address.rpartition("@")[0]
    assert len(local_part) <= 64 and address.isascii() and '"' not in address
    with pytest.raises(NotOurs, match="forgotten"):
        sender_of(address)


@pytest.mark.parametrize(
    "change",
    [
        lambda address: address.replace("=eve@", "=mallory@"),
        lambda address: address.replace("stranger.test", "victim.test"),
        # The comparison takes no shorter hash than we make.
        lambda address: re.sub(r"SRS0=(.)...=", r"SRS0=\1=", address),
        lambda address: re.sub(r"SRS0=....=", "SRS0==", address),
        lambda address: address.replace("SRS0", "SRS1"),
        lambda address: address.replace("=", "-"),
        lambda address: "SRS0=@here.test",
        lambda address: "SRS0=aaaa=@here.test",
        lambda address: "SRS1=aaaa==@here.test",
    ],
)
def test_what_others_have_made_up_is_not_ours(change: object) -> None:
    forged = change(rewritten(STRANGER, "here.test", NAME))  # type: ignore[operator]
    with pytest.raises(NotOurs):
        sender_of(forged)


def test_an_address_lives_three_weeks() -> None:
    with time_machine.travel("2026-03-02T12:00Z") as clock:
        address = rewritten(STRANGER, "here.test", NAME)
        clock.move_to("2026-03-22T12:00Z")
        assert sender_of(address) == STRANGER
        clock.move_to("2026-03-24T12:00Z")
        with pytest.raises(NotOurs, match="21 days"):
            sender_of(address)


@settings(max_examples=300)
@given(st.text(min_size=1, max_size=300), st.text(max_size=80))
def test_any_sender_and_any_address_have_an_answer(local_part: str, rest: str) -> None:
    address = rewritten(f"{local_part}@stranger.test", "here.test", NAME)
    assert is_rewritten(address) and len(address.rpartition("@")[0].encode()) <= 64
    for text in (f"SRS0={rest}@here.test", f"SRS1=aaaa={rest}@here.test", f"SRS0=aaaa=AA=m={rest}@here.test"):
        with pytest.raises(NotOurs):
            sender_of(text)


def sender_in(taken: Taken) -> str:
    """The reverse-path of what a host got."""
    found = re.match(r"MAIL FROM:<([^>]*)>", taken.mail)
    assert found is not None
    return found[1]


def _forwards(spool: Spool, *, keeps_copy: bool, to: str = f"new@{FAR}") -> None:
    User.objects.filter(email=ANN).update(forward_to=to, forward_keeps_copy=keeps_copy)
    directory.forget()


@pytest.mark.both
def test_a_forward_leaves_with_a_sender_of_ours_and_the_copy_here_with_its_own(
    spool: Spool, caplog: pytest.LogCaptureFixture
) -> None:
    _forwards(spool, keeps_copy=True)
    spool.take_for_us(a_message(ANN), ANN, STRANGER)
    spool.work()
    (taken,) = spool.peer.taken
    assert taken.recipients == (f"new@{FAR}",) and sender_in(taken).endswith(f"=stranger.test=eve@{HERE}")
    (kept,) = spool.mailbox()
    assert kept["Return-Path"] == f"<{STRANGER}>"
    told = [record.getMessage() for record in caplog.records if "event=attempt" in record.getMessage()]
    assert [line.partition(" as=")[2].split(" ")[0] for line in told if " as=" in line] == [f'"{sender_in(taken)}"']
    assert set(Trace.objects.values_list("sender", flat=True)) == {STRANGER}


@pytest.mark.both
def test_an_alias_that_leads_away_does_likewise_and_other_recipients_see_the_sender(spool: Spool) -> None:
    alias = Alias.objects.create(address=f"team@{HERE}", domain=Domain.objects.get(name=HERE))
    AliasTarget.objects.create(alias=alias, address=f"one@{FAR}")
    directory.forget()
    name = spool.take([f"two@{FAR}"], STRANGER)
    entry = Entry.objects.get(file_name=name)
    entry.recipients.create(address=f"one@{FAR}", domain=FAR, kind=Kind.REMOTE, original=f"team@{HERE}")
    Entry.objects.filter(pk=entry.pk).update(recipients_total=2)
    spool.work()
    senders = {taken.recipients: sender_in(taken) for taken in spool.peer.taken}
    assert senders[(f"two@{FAR}",)] == STRANGER
    assert is_rewritten(senders[(f"one@{FAR}",)])


@pytest.mark.parametrize("sender", ["", f"bob@{HERE}"])
def test_bounces_and_our_own_senders_are_left_alone(spool: Spool, sender: str) -> None:
    _forwards(spool, keeps_copy=False)
    spool.take_for_us(a_message(ANN), ANN, sender)
    spool.work()
    assert [sender_in(taken) for taken in spool.peer.taken] == [sender]


def test_it_can_be_switched_off(spool: Spool) -> None:
    spool.settings(rewrite_forwarded_senders=False)
    _forwards(spool, keeps_copy=False)
    spool.take_for_us(a_message(ANN), ANN, STRANGER)
    spool.work()
    assert [sender_in(taken) for taken in spool.peer.taken] == [STRANGER]


def test_what_an_outside_address_was_changed_to_keeps_its_sender(spool: Spool) -> None:
    """`original` names what an administrator has replaced, too: no domain of ours answers for that."""
    name = spool.take([f"two@{FAR}"], STRANGER)
    Entry.objects.get(file_name=name).recipients.update(original=f"tow@{FAR}")
    spool.work()
    assert [sender_in(taken) for taken in spool.peer.taken] == [STRANGER]


@pytest.mark.both
def test_a_bounce_comes_home(spool: Spool) -> None:
    _forwards(spool, keeps_copy=False)
    spool.take_for_us(a_message(ANN), ANN, HERS)
    spool.work()
    (forwarded,) = spool.peer.taken
    [recipient] = addressing.accept_from_nobody(sender_in(forwarded))
    assert (recipient.address, recipient.kind, recipient.original) == (HERS, Kind.REMOTE, sender_in(forwarded))


@pytest.mark.both
def test_a_bounce_for_what_names_the_message_finds_its_sender_in_the_trace(spool: Spool) -> None:
    _forwards(spool, keeps_copy=False)
    sender = f"{'bounces+' * 6}x@{FAR}"
    spool.take_for_us(a_message(ANN), ANN, sender)
    spool.work()
    (forwarded,) = spool.peer.taken
    assert "=message=" in sender_in(forwarded)
    [recipient] = addressing.accept_from_nobody(sender_in(forwarded))
    assert recipient.address == sender


def test_a_forward_that_fails_here_tells_who_wrote(spool: Spool) -> None:
    """The entry has kept its sender: nothing goes by the rewritten one."""
    _forwards(spool, keeps_copy=False)
    spool.peer.rcpt[f"new@{FAR}"] = "550 5.1.1 no such user"
    spool.take_for_us(a_message(ANN), ANN, HERS)
    spool.work()
    (notice,) = spool.peer.taken
    assert notice.recipients == (HERS,) and sender_in(notice) == ""
    assert f"Final-Recipient: rfc822; new@{FAR}".encode() in notice.content


def test_without_its_key_mail_goes_out_as_it_came(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_key(purpose: str) -> bytes:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(sender_rewriting, "secret_for", no_key)
    sender_rewriting._scheme.cache_clear()
    _forwards(spool, keeps_copy=False)
    spool.take_for_us(a_message(ANN), ANN, STRANGER)
    spool.work()
    assert [sender_in(taken) for taken in spool.peer.taken] == [STRANGER]


def _spf(rspamd: Rspamd, sender: str, content: bytes) -> set[str]:
    """What a real Rspamd finds of SPF in mail from 198.51.100.7 under this reverse-path."""
    headers = {"IP": "198.51.100.7", "From": f"<{sender}>", "Helo": f"mail.{HERE}", "Rcpt": f"<new@{FAR}>"}
    question = urllib.request.Request(f"http://{rspamd.address}/checkv2", content, headers)
    with urllib.request.urlopen(question, timeout=20) as answer:
        return {symbol for symbol in json.load(answer)["symbols"] if symbol.startswith("R_SPF")}


def test_spf_passes_where_a_forward_arrives(spool: Spool) -> None:
    """The sender's domain says that its mail comes from elsewhere; ours, that it comes from here."""
    spool.dns.add("stranger.test", "TXT", '"v=spf1 ip4:192.0.2.0/24 -all"')
    spool.dns.add(HERE, "TXT", '"v=spf1 ip4:198.51.100.7 -all"')
    _forwards(spool, keeps_copy=False)
    spool.take_for_us(a_message(ANN, STRANGER), ANN, STRANGER)
    spool.work()
    (taken,) = spool.peer.taken
    rspamd = Rspamd(dns=spool.dns.address)
    try:
        rspamd.start()
        assert _spf(rspamd, STRANGER, taken.content) == {"R_SPF_FAIL"}
        assert _spf(rspamd, sender_in(taken), taken.content) == {"R_SPF_ALLOW"}
    finally:
        rspamd.remove()
