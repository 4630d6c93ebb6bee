"""The spam check with real engines and a real DNS server: points, levels, and what becomes of mail."""

from __future__ import annotations

import time
from collections.abc import Callable
from email import message_from_bytes

import pytest
from django.core.exceptions import ValidationError

from quarantine.models import AntispamSettings, Check, CheckCount, CheckKind, Item, SpamAction
from security import lists
from security.models import WhitelistEntry
from spool.actions import Actor, perform, undo
from spool.console.message import traces_of
from spool.delivery.local.maildir import folder_of
from spool.models import AuditEvent, Entry
from tests.quarantine.spamming import a_check, a_mail, from_outside, junk, signed
from tests.spool.passing import ANN, FAR, Spool
from tests.support.broken_server import BrokenServer
from tests.support.rspamd import Rspamd
from tests.support.smtp_peer import SmtpPeer
from tests.support.spamd import GTUBE, Spamd

pytestmark = pytest.mark.django_db(transaction=True)
Setting = Callable[..., None]


def test_without_a_check_nothing_is_added_and_nothing_is_asked(spool: Spool) -> None:
    from_outside(spool, a_mail(GTUBE))
    spool.work()
    [message] = spool.mailbox()
    assert "X-Spam-Score" not in message and not CheckCount.objects.exists()


def test_spamassassin_finds_gtube_and_the_message_goes_to_junk_with_its_score(spool: Spool, spamd: Spamd) -> None:
    a_check(CheckKind.SPAMD, 2, where=spamd.address, timeout_seconds=30, name="SpamAssassin")
    from_outside(spool, a_mail(GTUBE))
    from_outside(spool, a_mail("Shall we meet?"))
    spool.work()
    [good] = spool.mailbox()
    assert good["X-Spam-Status"].startswith("No, score=") and good["Subject"] == "Lunch"
    [bad] = [message_from_bytes(raw) for raw in junk()]
    assert bad["X-Spam-Flag"] == "YES" and bad["Subject"] == "[Spam] Lunch"
    assert bad["X-Spam-Status"].startswith("Yes, score=100 required=10 tests=SpamAssassin=100")
    assert (folder_of(ANN) / ".Junk" / "maildirfolder").exists()


def test_rspamd_finds_gtube(spool: Spool, rspamd: Rspamd) -> None:
    a_check(CheckKind.RSPAMD, 1.5, where=rspamd.address, timeout_seconds=30, name="Rspamd")
    from_outside(spool, a_mail(GTUBE))
    from_outside(spool, a_mail("Shall we meet?"))
    spool.work()
    assert len(junk()) == 1 and len(spool.mailbox()) == 1


def test_outbound_spam_is_quarantined_and_resend_sends_it(spool: Spool, spamd: Spamd, admin: Actor) -> None:
    a_check(CheckKind.SPAMD, 2, where=spamd.address, timeout_seconds=30, inbound=False, outbound=True)
    name = spool.take(content=a_mail(GTUBE, sender=ANN))
    spool.take(content=a_mail("Shall we meet?", sender=ANN))
    spool.work()
    item = Item.objects.get()
    assert (item.file_name, item.kind, item.score) == (name, "spam", 100.0)
    assert item.why == "100 points: spamd 100" and "GTUBE" in item.findings[0]["text"]
    assert len(spool.peer.taken) == 1
    perform("quarantine-resend", [item.id], admin)
    spool.work()
    assert len(spool.peer.taken) == 2 and not Item.objects.exists() and not Entry.objects.exists()
    # What is sent on is what was taken in, byte for byte.
    assert b"X-Spam" not in spool.peer.taken[1].content


def test_dns_lists_of_addresses_block_and_allow(spool: Spool) -> None:
    spool.dns.add("7.2.0.192.bl.test", "A", "127.0.0.3")
    spool.dns.add("7.2.0.192.allow.test", "A", "127.0.0.2")
    a_check(CheckKind.IP_LIST, 12, where="bl.test", pattern="127.0.0.2-4", name="bl")
    a_check(CheckKind.IP_LIST, 12, where="bl.test", pattern="127.0.0.9", name="other answers")
    a_check(CheckKind.IP_LIST, -5, where="allow.test", name="allow")
    from_outside(spool, a_mail())
    spool.work()
    assert spool.mailbox()[0]["X-Spam-Score"] == "7"


def test_a_list_that_refuses_to_be_asked_lists_nobody_and_counts_as_failed(spool: Spool) -> None:
    spool.dns.add("7.2.0.192.bl.test", "A", "127.255.255.254")
    a_check(CheckKind.IP_LIST, 12, where="bl.test", name="bl")
    from_outside(spool, a_mail())
    spool.work()
    assert spool.mailbox()[0]["X-Spam-Score"] == "0"
    row = CheckCount.objects.get()
    assert row.failures == 1 and "refuses to be asked" in row.last_error


def test_domains_in_links_are_looked_up_by_what_was_registered(spool: Spool) -> None:
    spool.dns.add("bad.co.uk.uri.test", "A", "127.0.0.2")
    a_check(CheckKind.URI_LIST, 11, where="uri.test", name="uri")
    from_outside(spool, a_mail("Look: https://www.shop.bad.co.uk/offer and http://fine.example/"))
    spool.work()
    assert spool.mailbox()[0]["X-Spam-Score"] == "11"


@pytest.mark.parametrize(
    ("record", "result", "points"),
    [
        ("v=spf1 ip4:192.0.2.0/24 -all", "pass", "0"),
        ("v=spf1 ip4:198.51.100.1 -all", "fail", "8"),
        ("v=spf1 ~all", "softfail", "4"),
        ("v=spf1 ?all", "neutral", "0"),
        ("", "none", "0"),
        ("v=spf1 include:nowhere.test -all", "permerror", "2"),
    ],
)
def test_spf_weighs_what_the_domain_says(spool: Spool, record: str, result: str, points: str) -> None:
    if record:
        spool.dns.add(FAR, "TXT", f'"{record}"')
    a_check(CheckKind.SPF, 8)
    from_outside(spool, a_mail())
    spool.work()
    [message] = spool.mailbox()
    assert message["Authentication-Results"] == f"mail.test; spf={result} smtp.mailfrom={FAR}"
    assert message["X-Spam-Score"] == points


def test_dkim_and_dmarc_pass_for_what_the_domainsigned(spool: Spool) -> None:
    spool.dns.add(f"_dmarc.{FAR}", "TXT", '"v=DMARC1; p=reject"')
    for kind in (CheckKind.SPF, CheckKind.DKIM, CheckKind.DMARC):
        a_check(kind, 10)
    from_outside(spool, signed(a_mail(), spool), sender="eve@elsewhere.test")
    spool.work()
    [message] = spool.mailbox()
    assert message["Authentication-Results"] == (
        f"mail.test; spf=none smtp.mailfrom=elsewhere.test; dkim=pass header.d={FAR}; dmarc=pass header.from={FAR}"
    )
    assert message["X-Spam-Score"] == "0"


def test_a_message_that_was_changed_fails_dkim_and_so_dmarc(spool: Spool) -> None:
    spool.dns.add(f"_dmarc.{FAR}", "TXT", '"v=DMARC1; p=quarantine"')
    a_check(CheckKind.DKIM, 6)
    a_check(CheckKind.DMARC, 10)
    from_outside(spool, signed(a_mail(), spool).replace(b"At noon?", b"At night"), sender="eve@elsewhere.test")
    spool.work()
    [message] = [*spool.mailbox(), *map(message_from_bytes, junk())]
    assert f"dkim=fail header.d={FAR}; dmarc=fail" in message["Authentication-Results"]
    assert message["X-Spam-Score"] == "11"


def test_reverse_dns_null_sender_and_own_rules_add_up(spool: Spool) -> None:
    a_check(CheckKind.REVERSE_DNS, 4)
    a_check(CheckKind.NULL_SENDER, 3)
    a_check(CheckKind.HEADER, 2, where="Subject", pattern=r"\bwin\b", name="wins")
    a_check(CheckKind.BODY, 1, pattern="lottery", name="lottery")
    from_outside(spool, a_mail("The LOTTERY", subject="You WIN"), sender="")
    spool.work()
    [message] = spool.mailbox()
    assert message["X-Spam-Status"].endswith("tests=rdns=4,null_sender=3,wins=2,lottery=1") or sorted(
        message["X-Spam-Status"].partition("tests=")[2].split(",")
    ) == ["lottery=1", "null_sender=3", "rdns=4", "wins=2"]
    assert message["X-Spam-Score"] == "10" and message["Subject"] == "[Spam] You WIN"


def test_a_name_that_leads_back_weighs_nothing_and_one_that_does_not_half(spool: Spool) -> None:
    a_check(CheckKind.REVERSE_DNS, 4)
    spool.dns.add("7.2.0.192.in-addr.arpa", "PTR", f"mx.{FAR}.")
    from_outside(spool, a_mail())
    spool.work()
    assert spool.mailbox()[0]["X-Spam-Score"] == "2"


def test_an_expression_without_end_is_stopped_and_counts_nothing(spool: Spool) -> None:
    a_check(CheckKind.BODY, 50, pattern=r"(a|aa)+$(b)", name="evil")
    from_outside(spool, a_mail("a" * 60 + "!"))
    started = time.monotonic()
    spool.work()
    assert time.monotonic() - started < 10
    assert spool.mailbox()[0]["X-Spam-Score"] == "0"


_NONSENSE = (None, b"", b"HTTP/1.0 200 OK\r\n\r\nnot json", b"SPAMD/1.1 76 Bad header line\r\n\r\n")


@pytest.mark.parametrize("answer", _NONSENSE)
@pytest.mark.parametrize("kind", [CheckKind.SPAMD, CheckKind.RSPAMD])
def test_an_engine_that_fails_counts_nothing_and_the_others_go_on(
    spool: Spool, kind: CheckKind, answer: bytes | None
) -> None:
    with BrokenServer(answer) as server:
        a_check(kind, 50, where=server.address, timeout_seconds=1)
        a_check(CheckKind.HEADER, 3, where="Subject", pattern="Lunch", name="rule")
        from_outside(spool, a_mail())
        started = time.monotonic()
        spool.work()
        assert time.monotonic() - started < 15
    assert spool.mailbox()[0]["X-Spam-Score"] == "3"
    assert dict(CheckCount.objects.values_list("name", "failures")) == {kind.value: 1, "rule": 0}


def test_a_check_pauses_after_failing_again_and_again(spool: Spool) -> None:
    with BrokenServer(b"") as server:
        a_check(CheckKind.SPAMD, 1, where=server.address, timeout_seconds=1)
        for _ in range(8):
            from_outside(spool, a_mail())
            spool.work()
        assert server.connections == 5
    assert len(spool.mailbox()) == 8


@pytest.mark.parametrize("action", [SpamAction.NONE, SpamAction.HEADERS, SpamAction.JUNK, SpamAction.DELETE])
def test_each_level_has_its_action(spool: Spool, setting: Setting, admin: Actor, action: SpamAction) -> None:
    setting(AntispamSettings, medium_action=action)
    a_check(CheckKind.HEADER, 25, where="Subject", pattern="Lunch", name="rule")
    name = from_outside(spool, a_mail())
    spool.work()
    inbox, filed = spool.mailbox(), junk()
    assert (len(inbox), len(filed)) == {"none": (1, 0), "headers": (1, 0), "junk": (0, 1), "delete": (0, 0)}[action]
    if action is SpamAction.NONE:
        assert inbox[0]["Subject"] == "Lunch"
    if action is SpamAction.DELETE:
        [trace] = traces_of(name)
        assert (trace.file_name, trace.outcome) == (name, "removed")
        assert trace.reply == "Deleted as spam: 25 points: rule 25"
        assert undo(admin, event_id=AuditEvent.objects.get(action="delete").id).job.done == 1


@pytest.mark.parametrize("size", [500, 1_500_000])
def test_by_lmtp_the_header_says_that_it_is_spam(spool: Spool, size: int) -> None:
    a_check(CheckKind.HEADER, 25, where="Subject", pattern="Lunch", name="rule")
    content = a_mail("\r\n".join(["x" * 70] * (size // 72)))
    with SmtpPeer(lmtp=True) as store:
        spool.settings(local_store="lmtp", lmtp_address=f"127.0.0.1:{store.port}")
        from_outside(spool, content)
        spool.work()
        [taken] = store.taken
    assert b"\r\nX-Spam-Flag: YES\r\n" in taken.content and taken.content.endswith(content)


def test_a_whitelisted_client_passes_the_check_by(spool: Spool) -> None:
    row = WhitelistEntry(network="192.0.2.0/24", spam_bypass=True)
    row.full_clean()
    row.save()
    lists.forget()
    a_check(CheckKind.HEADER, 25, where="Subject", pattern="Lunch", name="rule")
    from_outside(spool, a_mail())
    from_outside(spool, a_mail(), ip="198.51.100.7")
    spool.work()
    assert ["X-Spam-Score" in message for message in spool.mailbox()] == [False] and len(junk()) == 1


@pytest.mark.parametrize(
    "columns",
    [
        {"kind": CheckKind.IP_LIST, "where": ""},
        {"kind": CheckKind.IP_LIST, "where": "bl.test", "pattern": "127.0.0"},
        {"kind": CheckKind.SPAMD, "where": "nowhere"},
        {"kind": CheckKind.HEADER, "where": "", "pattern": "x"},
        {"kind": CheckKind.BODY, "pattern": "("},
        {"kind": CheckKind.BODY, "pattern": ""},
    ],
)
def test_a_check_that_can_not_work_is_refused_with_a_sentence(db: None, columns: dict[str, object]) -> None:
    with pytest.raises(ValidationError) as refused:
        Check(name="x", **columns).full_clean()
    assert set(refused.value.message_dict) & {"where", "pattern"}
