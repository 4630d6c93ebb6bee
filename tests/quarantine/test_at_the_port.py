"""Spam refused and strangers greylisted at the SMTP port of a real listener."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from tests.quarantine.at_the_port import ANN, BOB, EVE, Port
from tests.support.broken_server import BrokenServer
from tests.support.dns import DNSServer
from tests.support.mailspool_process import MailspoolUnderTest
from tests.support.messages import a_message
from tests.support.postgres import PostgresServer
from tests.support.waiting import wait_until

A_RULE = "Check.objects.create(name='rule', kind='header', where='Subject', pattern='prize', weight=60)\n"


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory, durable_postgres: PostgresServer | None) -> Iterator[Port]:
    url = durable_postgres.create_database("port") if durable_postgres else ""
    with DNSServer() as dns:
        dns.add("friend.test", "TXT", '"v=spf1 ip4:127.0.0.1 -all"')
        dns.add("_dmarc.strict.test", "TXT", '"v=DMARC1; p=reject"')
        dns.add("_dmarc.mild.test", "TXT", '"v=DMARC1; p=quarantine"')
        mailspool = MailspoolUnderTest(tmp_path_factory.mktemp("port"), database_url=url, dns=dns.address)
        mailspool.prepare()
        mailspool.add_domain("here.test", "ann", "bob")
        mailspool.redis.start()
        mailspool.listeners[0].start()
        mailspool.wait_for_listener()
        yield Port(mailspool)
        mailspool.kill()


@pytest.fixture
def port(installation: Port) -> Iterator[Port]:
    """With nothing set, and an empty spool; a test whose listener stumbled over something fails."""
    installation.begin_anew()
    log = installation.mailspool.listeners[0].log
    before = log.stat().st_size
    yield installation
    written = log.read_bytes()[before:].decode()
    assert "Traceback" not in written and "never retrieved" not in written, written


def test_spam_is_refused_at_the_end_of_data_and_only_for_strangers(port: Port) -> None:
    assert port.send("A prize").code == 250, "it is off"
    port.clear()
    port.do(A_RULE + port.settings(reject=True))
    refused = port.send("A prize")
    assert refused.status == "550 5.7.1" and "tell the postmaster of mail.test" in refused.text
    before = port.mailspool.message_files()
    assert port.send("A prize", size=1_000_000).status == "550 5.7.1"
    assert port.mailspool.message_files() == before, "what was on the disk is gone"
    assert port.send("Lunch").code == 250
    assert port.send("A prize", "postmaster@here.test").code == 250, "who is to be told takes all"
    assert port.waiting() == 2
    with port.submission(ANN) as client:
        client.begin(ANN, BOB, EVE)
        assert client.content(a_message(to=BOB, sender=ANN, subject="A prize")).code == 250
    # By chunks as by DATA, and the session goes on.
    with port.client() as client:
        client.begin(EVE, ANN)
        message = a_message(to=ANN, sender=EVE, subject="A prize")
        client.send(f"BDAT {len(message)} LAST\r\n".encode() + message)
        assert client.reply().status == "550 5.7.1"
        client.begin(EVE, ANN)
    wait_until(
        lambda: (
            port.mailspool.rows("SELECT runs, hits FROM quarantine_checkcount WHERE name LIKE 'Refused%'") == [(4, 3)]
        ),
        "it is counted",
        10,
    )


def test_an_alias_that_leads_away_is_no_way_around_it(port: Port) -> None:
    port.do(
        A_RULE + port.settings(reject=True) + "from accounts import directory\nfrom accounts.models import *\n"
        "alias = Alias.objects.create(address='sales@here.test', domain=Domain.objects.get())\n"
        "for target in ('ann@here.test', 'bob@far.test'):\n"
        "    AliasTarget.objects.create(alias=alias, address=target)\n"
        "directory.changed()\n"
    )
    assert port.send("A prize", "sales@here.test").status == "550 5.7.1"
    assert port.send("Lunch", "sales@here.test").code == 250


def test_a_session_says_whose_its_mail_is(port: Port) -> None:
    port.do("actions.whitelist(root, '127.0.0.6', auth_bypass=True)\n")
    with port.submission(ANN) as client:
        client.begin(ANN, BOB)
        assert client.content(a_message(to=BOB, sender=ANN)).code == 250
    port.send("Lunch", source="127.0.0.6")
    port.send("Lunch", source="127.0.0.7")
    rows = port.mailspool.rows("SELECT ours FROM spool_entry ORDER BY id")
    assert [bool(ours) for (ours,) in rows] == [True, True, False]


def test_the_whitelist_trust_and_a_filter_that_is_off_let_spam_in(port: Port) -> None:
    port.do(
        A_RULE + port.settings(reject=True) + "actions.whitelist(root, '127.0.0.9', spam_bypass=True)\n"
        "actions.whitelist(root, '127.0.0.8')\nTrustedSender.objects.create(pattern='friend.test')\n"
        f"accounts.change(accounts.get_user('{BOB}'), spam_filter='off')\n"
    )
    for source in ("127.0.0.9", "127.0.0.8"):
        assert port.send("A prize", source=source).code == 250
    assert port.send("A prize", sender="ann@friend.test").code == 250
    assert port.send("A prize", sender="ann@friend.test", source="127.0.0.7").code == 550, "anybody can say that"
    assert port.send("A prize", BOB).code == 250
    assert port.send("A prize", ANN, BOB).code == 250, "one of them wants it"
    assert port.send("A prize", ANN).code == 550


def test_whom_one_of_the_recipients_allows_gets_spam_in_if_they_prove_to_be_it(port: Port) -> None:
    port.do(
        A_RULE + port.settings(reject=True) + "from django.utils import timezone\nListedSender.objects.create("
        f"user=accounts.get_user('{ANN}'), pattern='friend.test', listing='allow', created=timezone.now())\n"
    )
    assert port.send("A prize", ANN, BOB, sender="ann@friend.test").code == 250
    assert port.send("A prize", BOB, sender="ann@friend.test").code == 550
    assert port.send("A prize", ANN, sender="ann@friend.test", source="127.0.0.7").code == 550, "anybody can say that"


def test_a_message_is_taken_when_a_check_hangs_or_fails_and_no_session_waits_for_another(port: Port) -> None:
    with BrokenServer(None) as hung:
        port.do(
            f"{A_RULE}Check.objects.create(name='hung', kind='spamd', where='{hung.address}', timeout_seconds=30)\n"
            + port.settings(reject=True, reject_seconds=2)
        )
        began = time.monotonic()
        threads = [threading.Thread(target=port.send, args=("A prize",)) for _ in range(10)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert 1.5 < time.monotonic() - began < 8 and port.waiting() == 10
    port.do("Check.objects.filter(name='hung').update(where='127.0.0.1:1')")
    assert port.send("A prize").code == 250, "one that can't be asked leaves it to the stage"


@pytest.mark.parametrize("size", [500, 200_000])
def test_the_text_of_what_comes_in_is_looked_at_too(port: Port, size: int) -> None:
    port.do(
        "Check.objects.create(name='text', kind='body', pattern='lottery', weight=60)\n" + port.settings(reject=True)
    )
    with port.client() as client:
        client.begin(EVE, ANN)
        content = a_message(to=[ANN], sender=EVE, body="You have won the lottery.\r\n", size=size)
        assert client.content(content).status == "550 5.7.1"


def test_what_was_looked_at_while_it_came_in_is_not_looked_at_again(port: Port) -> None:
    answer = b"SPAMD/1.1 0 EX_OK\r\nSpam: True ; 12.5 / 5.0\r\n\r\nSOME_RULE"
    with BrokenServer(answer) as engine:
        port.do(
            f"Check.objects.create(name='engine', kind='spamd', where='{engine.address}', weight=1)\n"
            + port.settings(reject=True)
        )
        assert port.send("Lunch").code == 250
        assert engine.connections == 1
        port.mailspool.run("from spool.flow import passes\npasses.run()")
        assert engine.connections == 1
        [path] = port.mailspool.maildir(ANN)
        assert b"X-Spam-Score: 12.5\n" in path.read_bytes() and b"Subject: [Spam] Lunch" in path.read_bytes()
        # Redis may forget: then it is asked again.
        assert port.send("Dinner").code == 250
        with port.mailspool.redis.client() as client:
            client.flushall()
        port.mailspool.run("from spool.flow import passes\npasses.run()")
        assert engine.connections == 3
        counted = "SELECT runs FROM quarantine_checkcount WHERE name = 'engine'"
        wait_until(lambda: port.mailspool.rows(counted) == [(3,)], "the listener has counted what it asked", 10)
    assert len(port.mailspool.maildir(ANN)) == 2


def test_a_stranger_waits_once_and_its_network_is_known_after_a_while(port: Port) -> None:
    port.do(port.settings(greylist=True, greylist_seconds=2, greylist_passes=2))
    first = "127.0.7.1"

    def to(recipient: str, sender: str = EVE, source: str = first) -> str:
        with port.client(source) as client:
            assert client.do(f"MAIL FROM:<{sender}>").code == 250
            return client.do(f"RCPT TO:<{recipient}>").status

    with port.client(first) as client:
        client.do(f"MAIL FROM:<{EVE}>")
        told = client.do(f"RCPT TO:<{ANN}>")
        assert told.status == "451 4.7.1" and "try again in 2 seconds" in told.text
        assert client.do("RCPT TO:<nobody@here.test>").code == 550, "what is refused anyway is not told to come back"
        assert client.do("RCPT TO:<postmaster@here.test>").code == 250
    assert to(ANN) == "451 4.7.1"
    time.sleep(2.1)
    assert to(ANN, sender="eve+2026@elsewhere.test", source="127.0.7.200") == "250 2.1.5", "another host of its network"
    assert to(BOB) == "451 4.7.1"
    assert to(ANN, source="127.0.8.1") == "451 4.7.1"
    time.sleep(2.1)
    assert to(BOB) == "250 2.1.5"
    # Twice is enough here: nobody of that network waits any more.
    assert to(ANN, sender="new@elsewhere.test") == "250 2.1.5"
    shown = port.mailspool.manage("quarantine", "greylist").stdout
    assert "1 have not come back yet, 2 have; 1 networks need not wait." in shown and "127.0.7.0/24" in shown
    # A listener that starts anew knows it all.
    listener = port.mailspool.listeners[0]
    listener.stop()
    listener.start()
    port.mailspool.wait_for_listener()
    assert to(ANN) == "250 2.1.5" and to(ANN, sender="other@elsewhere.test") == "250 2.1.5"
    assert port.mailspool.manage("quarantine", "greylist", "--forget", "127.0.7.0/24").returncode == 0
    assert to(BOB, sender="third@elsewhere.test") == "451 4.7.1"


def test_who_is_known_or_does_not_want_it_is_not_made_to_wait(port: Port) -> None:
    port.do(
        port.settings(greylist=True) + "actions.whitelist(root, '127.0.0.9', spam_bypass=True)\n"
        "actions.whitelist(root, '127.0.0.8')\n"
        f"accounts.change(accounts.get_user('{BOB}'), spam_filter='off')\n"
    )
    for source in ("127.0.0.9", "127.0.0.8"):
        assert port.send("Lunch", source=source).code == 250
    assert port.send("Lunch", BOB).code == 250
    with port.submission(ANN) as client:
        client.begin(ANN, BOB)
    assert port.mailspool.count("quarantine_greylisted") == 0


def test_many_recipients_that_have_to_wait_do_not_end_the_session(port: Port) -> None:
    port.do(
        port.settings(greylist=True) + "here = accounts.get_domain('here.test')\n"
        "User.objects.bulk_create(User(email=f'u{n}@here.test', domain=here, password='!') for n in range(60))\n"
        "from accounts import directory\ndirectory.changed()\n"
    )
    with port.client("127.0.9.1") as client:
        client.do(f"MAIL FROM:<{EVE}>")
        client.send(b"".join(f"RCPT TO:<u{n}@here.test>\r\n".encode() for n in range(60)))
        assert {client.reply().status for _ in range(60)} == {"451 4.7.1"}
        assert client.do("NOOP").code == 250
    assert port.mailspool.count("quarantine_greylisted") == 60


def test_mail_that_fails_dmarc_is_refused_where_its_owner_asks_and_we_follow(port: Port) -> None:
    port.do("Check.objects.create(name='dmarc', kind='dmarc', weight=0.1)\n" + port.settings(follow_dmarc="full"))
    refused = port.send("Lunch", sender="ceo@strict.test")
    assert refused.status == "550 5.7.1" and "DMARC fails for strict.test" in refused.text
    assert port.send("Lunch", sender="ceo@mild.test").code == 250, "that goes to the quarantine"
    assert port.send("Lunch", sender="eve@friend.test").code == 250
    assert port.send("Lunch", "postmaster@here.test", sender="ceo@strict.test").code == 250
    port.do(port.settings(follow_dmarc="keep"))
    assert port.send("Lunch", sender="ceo@strict.test").code == 250
    port.do(port.settings(follow_dmarc="full", dmarc_exceptions="strict.test"))
    assert port.send("Lunch", sender="ceo@strict.test").code == 250
    assert port.waiting() == 5
