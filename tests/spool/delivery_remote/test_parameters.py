"""What goes along with MAIL and RCPT: sizes, 8 bits, internationalised addresses, and wishes for notices."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from spool.message.envelope import LeasedEntry
from spool.models.recipient import Outcome
from tests.spool.delivery_remote.conftest import BOB, CARL, DOMAIN, Deliver
from tests.support.dns import DNSServer
from tests.support.messages import a_leased_entry
from tests.support.smtp_peer import SmtpPeer

DELIVERED, BOUNCED = Outcome.DELIVERED, Outcome.BOUNCED
JOSE = f"josé@{DOMAIN}"


def rcpt_of(peer: SmtpPeer) -> str:
    [command] = [command for command in peer.commands if command.startswith("RCPT")]
    return command


def test_wishes_for_notices_are_passed_on_as_they_came(peer: SmtpPeer, spooled: Path, deliver: Deliver) -> None:
    entry = a_leased_entry(
        spooled, to=BOB, ret="HDRS", envid="QQ+2B1", notify="SUCCESS,FAILURE", orcpt="rfc822;Bob+2Bx@old.test"
    )
    [told] = deliver(entry)
    assert peer.taken[0].mail.endswith("RET=HDRS ENVID=QQ+2B1")
    assert rcpt_of(peer) == f"RCPT TO:<{BOB}> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;Bob+2Bx@old.test"
    assert told.only.relayed, "the next host reports the success"


def test_without_dsn_at_the_host_nothing_is_passed_on_and_success_is_ours_to_report(
    peer: SmtpPeer, spooled: Path, deliver: Deliver
) -> None:
    peer.features.remove("DSN")
    [told] = deliver(a_leased_entry(spooled, to=BOB, ret="FULL", envid="1", notify="SUCCESS", orcpt=f"rfc822;{BOB}"))
    assert rcpt_of(peer) == f"RCPT TO:<{BOB}>"
    assert "ENVID" not in peer.taken[0].mail
    assert not told.only.relayed


@pytest.mark.parametrize(
    ("original", "expected"),
    [("all+x@old.test", "rfc822;all+2Bx@old.test"), ("jo\u00e9=1@old.test", r"utf-8;jo\x{E9}\x{3D}1@old.test")],
)
def test_an_address_that_an_alias_replaced_goes_along(
    peer: SmtpPeer, spooled: Path, deliver: Deliver, original: str, expected: str
) -> None:
    entry = a_leased_entry(spooled, to=BOB)
    entry.recipients = [replace(entry.recipients[0], original=original)]
    deliver(entry)
    assert rcpt_of(peer) == f"RCPT TO:<{BOB}> ORCPT={expected}"


@pytest.mark.parametrize(
    ("orcpt", "utf8", "expected"),
    [
        ("utf-8;josé@old.test", True, "utf-8;josé@old.test"),
        ("utf-8;josé@old.test", False, r"utf-8;jos\x{E9}@old.test"),
        (r"utf-8;jos\x{E9}@old.test", False, r"utf-8;jos\x{E9}@old.test"),
        ("utf-8;" + "é" * 200 + "@old.test", False, None),
    ],
)
def test_an_original_recipient_beyond_ascii_is_spelled_for_the_host(
    peer: SmtpPeer, spooled: Path, deliver: Deliver, orcpt: str, utf8: bool, expected: str | None
) -> None:
    if not utf8:
        peer.features.remove("SMTPUTF8")
    [told] = deliver(a_leased_entry(spooled, to=BOB, orcpt=orcpt))
    assert told.only.outcome is DELIVERED
    assert rcpt_of(peer) == f"RCPT TO:<{BOB}>" + (f" ORCPT={expected}" if expected else "")


@pytest.mark.parametrize(
    ("fields", "needs"),
    [
        ({"to": JOSE}, True),
        ({"to": BOB, "sender": "zoé@example.org"}, True),
        ({"to": BOB, "content": "Subject: Grüße\r\n\r\nx\r\n".encode()}, True),
        ({"to": BOB, "content": "Subject: x\r\n\r\nGrüße\r\n".encode()}, False),
        ({"to": BOB}, False),
    ],
)
def test_internationalised_mail_is_refused_for_a_host_that_lacks_it_and_only_then(
    peer: SmtpPeer, spooled: Path, deliver: Deliver, fields: dict[str, object], needs: bool
) -> None:
    entries = [a_leased_entry(spooled, smtputf8=True, **fields) for _ in range(2)]  # type: ignore[arg-type]
    [told] = deliver(entries[0])
    assert told.only.outcome is DELIVERED
    assert "SMTPUTF8" in peer.taken[0].mail
    peer.features.remove("SMTPUTF8")
    [told] = deliver(entries[1])
    assert told.only.outcome is (BOUNCED if needs else DELIVERED)
    if needs:
        assert told.only.status_code == "5.6.7"
        assert not told.only.answered and told.attempts[0].code == 0, "no host said so"
        assert told.only.reply.startswith(f"mx.{DOMAIN} does not take")


def test_addresses_for_another_host_do_not_count_for_this_one(
    peer: SmtpPeer, dns: DNSServer, spooled: Path, deliver: Deliver
) -> None:
    dns.add("able.test", "A", "127.0.0.70")
    peer.features.remove("SMTPUTF8")
    with SmtpPeer("127.0.0.70", peer.port) as able:
        [told] = deliver(
            a_leased_entry(spooled, to=[BOB, CARL, "josé@able.test"], content=b"Subject: x\r\n\r\n", smtputf8=True)
        )
        assert able.taken[0].recipients == ("josé@able.test",)
    assert set(told.outcomes.values()) == {DELIVERED}


def test_a_member_beyond_ascii_is_announced_although_the_message_was_not(
    peer: SmtpPeer, spooled: Path, deliver: Deliver
) -> None:
    """An alias or a list may lead to an address that the sender never wrote."""
    [told] = deliver(a_leased_entry(spooled, to=JOSE))
    assert told.only.outcome is DELIVERED
    assert "SMTPUTF8" in peer.taken[0].mail


def _bytes_of(entry: LeasedEntry) -> int:
    return len(entry.read())


def test_size_and_eight_bits_are_announced_to_hosts_that_know_them(
    peer: SmtpPeer, spooled: Path, deliver: Deliver
) -> None:
    entry = a_leased_entry(spooled, to=BOB, eight_bit=True)
    deliver(entry)
    assert peer.taken[0].mail == f"MAIL FROM:<ann@example.org> SIZE={_bytes_of(entry)} BODY=8BITMIME"


def test_the_null_sender_stays_null(peer: SmtpPeer, spooled: Path, deliver: Deliver) -> None:
    deliver(a_leased_entry(spooled, sender="", to=BOB))
    assert peer.taken[0].mail.startswith("MAIL FROM:<> ")
