"""Mail of our own people is not judged by where they sit: not as a stranger's, and not in what becomes of it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from accounts import directory
from accounts.models import ListMember, MailingList, User
from quarantine.engines.checks import run_all
from quarantine.engines.examined import Examined
from quarantine.engines.rspamd import score
from quarantine.models import CheckKind
from quarantine.models.addresses import parse_server
from security import lists
from security.models import WhitelistEntry
from spool.dropfolder import dropped
from spool.flow import intake
from spool.models.entry import Origin
from spool.models.recipient import Kind
from spool.smtpd.received import Way, trace_header
from tests.quarantine.spamming import CLIENT, a_check, a_mail, from_outside, junk
from tests.spool.passing import ANN, HERE, Spool
from tests.support.messages import a_submission
from tests.support.rspamd import Rspamd
from tests.support.spamd import Spamd

pytestmark = pytest.mark.django_db(transaction=True)
CY = f"cy@{HERE}"


@pytest.fixture(autouse=True)
def _strict(spool: Spool) -> None:
    """Our domain lets nobody but our server send, and everything about the client speaks against it."""
    spool.dns.add(HERE, "TXT", '"v=spf1 ip4:203.0.113.1 -all"')
    spool.dns.add(f"_dmarc.{HERE}", "TXT", '"v=DMARC1; p=reject"')
    spool.dns.add("7.2.0.192.bl.test", "A", "127.0.0.2")
    for kind in (CheckKind.SPF, CheckKind.DMARC, CheckKind.REVERSE_DNS):
        a_check(kind, 20)
    a_check(CheckKind.IP_LIST, 20, where="bl.test")
    user = User.objects.get(email=ANN)
    User.objects.create(email=CY, domain=user.domain, password="!")
    directory.forget()


def _own(to: str = ANN, *, auth_user: str = "", ip: str = CLIENT, origin: Origin = Origin.SMTP) -> None:
    submission = a_submission(CY, to, Kind.LOCAL, content=a_mail(sender=CY), origin=origin)
    submission.envelope.auth_user, submission.envelope.client_ip = auth_user, ip
    intake.accept([submission])


def _is_as_it_was(spool: Spool, address: str = ANN) -> None:
    assert not junk(address)
    [message] = spool.mailbox(address)
    assert message["X-Spam-Score"] == "0" and message["Subject"].endswith("Lunch")
    assert "spf=" not in str(message) and "dmarc=" not in str(message)


def test_a_strangers_is(spool: Spool) -> None:
    from_outside(spool, a_mail(sender=CY), sender=CY)
    spool.work()
    assert len(junk()) == 1 and b"spf=fail" in junk()[0] and b"dmarc=fail" in junk()[0]


def test_who_has_logged_in_is_no_stranger_to_a_colleague(spool: Spool) -> None:
    _own(auth_user=CY)
    spool.work()
    _is_as_it_was(spool)


def test_nor_is_a_client_that_may_send_anywhere(spool: Spool) -> None:
    WhitelistEntry.objects.create(network="192.0.2.0/24", auth_bypass=True)
    lists.forget()
    _own()
    spool.work()
    _is_as_it_was(spool)


def test_nor_is_the_drop_folder(spool: Spool) -> None:
    intake.accept([dropped.read_message(a_mail(sender=CY)).submission])
    spool.work()
    _is_as_it_was(spool)


def test_nor_is_a_command(spool: Spool) -> None:
    _own(ip="", origin=Origin.COMMAND)
    spool.work()
    _is_as_it_was(spool)


def test_nor_is_what_a_mailbox_forwards_of_such_mail(spool: Spool) -> None:
    User.objects.filter(email=ANN).update(forward_to=f"bob@{HERE}", forward_keeps_copy=True)
    User.objects.create(email=f"bob@{HERE}", domain=User.objects.get(email=ANN).domain, password="!")
    directory.forget()
    _own(auth_user=CY)
    spool.work()
    _is_as_it_was(spool)
    _is_as_it_was(spool, f"bob@{HERE}")


def test_what_this_machine_writes_to_an_administrator_needs_no_sender(spool: Spool) -> None:
    a_check(CheckKind.NULL_SENDER, 12)
    submission = a_submission("", ANN, Kind.LOCAL, content=a_mail(sender=CY), origin=Origin.COMMAND)
    submission.envelope.client_ip = ""
    intake.accept([submission])
    spool.work()
    _is_as_it_was(spool)


@pytest.mark.parametrize("ours", [True, False])
def test_spamassassin_hears_of_it_by_our_own_trace_of_the_client(spamd: Spamd, ours: bool) -> None:
    way = Way("branch.test", "203.0.113.9", "mail.test", "ESMTPS")
    content = a_mail()
    content = trace_header(way, content, complete=False) + content
    examined = Examined(Path("none"), len(content), CY, client_ip="203.0.113.9", ours=ours, held=content)
    check = a_check(CheckKind.SPAMD, where=spamd.address, timeout_seconds=30)
    [result] = asyncio.run(run_all([check], examined))
    assert ("ALL_TRUSTED" in result.text) is ours


@pytest.mark.parametrize(("ours", "user"), [(False, ""), (True, ""), (True, CY)])
def test_rspamd_judges_the_client_of_strangers_alone(rspamd: Rspamd, ours: bool, user: str) -> None:
    examined = Examined(
        Path("none"), 0, CY, (ANN,), "203.0.113.9", "client.test", user, ours=ours, held=a_mail(sender=CY)
    )
    _, symbols = asyncio.run(score(parse_server(rspamd.address), examined, a_mail(sender=CY)))
    assert any(name in symbols for name in ("RDNS_NONE", "HFILTER")) is not ours


def test_a_list_copy_is_not_judged_by_the_lists_own_address(spool: Spool) -> None:
    domain = User.objects.get(email=ANN).domain
    news = MailingList.objects.create(address=f"news@{HERE}", domain=domain, subject_prefix="[news]")
    ListMember.objects.create(mailing_list=news, address=ANN)
    directory.forget()
    _own(f"news@{HERE}", auth_user=CY)
    spool.work()
    _is_as_it_was(spool)
    from_outside(spool, a_mail(), to=f"news@{HERE}", ip="198.51.100.9")
    spool.work()
    # A stranger's copy is one all the same: its client has no name.
    [stranger] = junk()
    assert b"tests=rdns=20" in stranger and b"spf=none smtp.mailfrom=far.test" in stranger
