"""Who may send, to whom, and that nobody else can."""

from __future__ import annotations

import pytest

from tests.spool.smtpd.conftest import ANN, BOB, CLEO, Listener
from tests.spool.smtpd.dialogue import Dialogue

AWAY = "dan@elsewhere.test"


def test_submission_wants_tls_and_then_a_login(listener: Listener) -> None:
    with Dialogue(listener.mailspool.submission_port) as client:
        assert client.do(f"MAIL FROM:<{ANN}>").status == "530 5.7.0"
        client.starttls()
        reply = client.do(f"MAIL FROM:<{ANN}>")
        assert reply.status == "530 5.7.0"
        assert "Log in" in reply.text


@pytest.mark.parametrize("sender", [ANN, "ann+tag@here.test", "ANN@HERE.TEST", "sales@here.test"])
def test_a_user_sends_as_their_own_addresses(listener: Listener, sender: str) -> None:
    with listener.submission() as client:
        assert client.do(f"MAIL FROM:<{sender}>").status == "250 2.1.0"
        assert client.do(f"RCPT TO:<{AWAY}>").status == "250 2.1.5"


@pytest.mark.parametrize(
    "sender", [BOB, "news@here.test", "nobody@here.test", "ann@elsewhere.test", "away@here.test", ""]
)
def test_a_user_does_not_send_as_anybody_else(listener: Listener, sender: str) -> None:
    with listener.submission() as client:
        reply = client.do(f"MAIL FROM:<{sender}>")
        assert reply.status == "553 5.7.1"
        assert ANN in reply.text


def test_only_those_behind_an_alias_send_as_it(listener: Listener) -> None:
    with listener.submission(CLEO) as client:
        assert client.do("MAIL FROM:<sales@here.test>").status == "553 5.7.1"


@pytest.mark.parametrize(
    ("recipient", "status"),
    [
        (AWAY, "550 5.7.1"),
        ("dan%elsewhere.test@here.test", "550 5.1.1"),
        ("elsewhere.test!dan@here.test", "550 5.1.1"),
        ('"dan@elsewhere.test"@here.test', "550 5.1.1"),
        ('"dan%elsewhere.test"@here.test', "550 5.1.1"),
        ("dan@elsewhere.test@here.test", "501 5.1.3"),
        ("@here.test:dan@elsewhere.test", "550 5.7.1"),
        ("@here.test,@other.test:dan@elsewhere.test", "550 5.7.1"),
        ("nobody@[127.0.0.1]", "550 5.1.1"),
        ("dan@[192.0.2.9]", "550 5.7.1"),
        ("dan@[IPv6:2001:db8::9]", "550 5.7.1"),
        ("dan@[here.test]", "501 5.1.3"),
        ("dan@sub.here.test", "550 5.7.1"),
        ("dan@here.test.elsewhere.test", "550 5.7.1"),
        ("dan@smarthost.test", "550 5.7.1"),
        ("ann@here.test@elsewhere.test", "501 5.1.3"),
        ("ann", "501 5.1.3"),
        ("", "501 5.1.3"),
        ("ann@", "501 5.1.3"),
        ("@here.test", "501 5.5.4"),
    ],
)
def test_this_is_no_open_relay(listener: Listener, recipient: str, status: str) -> None:
    with listener.client() as client:
        client.do("MAIL FROM:<x@elsewhere.test>")
        assert client.do(f"RCPT TO:<{recipient}>").status == status
        # An address of ours as the sender gives no rights.
        client.do("RSET")
        client.do(f"MAIL FROM:<{ANN}>")
        assert client.do(f"RCPT TO:<{recipient}>").status == status
        assert client.do("DATA").status == "554 5.5.1"


def test_a_gateway_domain_takes_mail_from_anyone_on_the_mx_port(listener: Listener) -> None:
    subject, message = listener.message()
    with listener.client() as client:
        client.begin("x@elsewhere.test", "dan@gateway.test")
        assert client.do("RCPT TO:<dan@sub.gateway.test>").status == "550 5.7.1"
        assert client.content(message).code == 250
    assert listener.only(subject).addresses == ["dan@gateway.test"]


def test_a_network_on_the_bypass_list_relays_and_no_other(listener: Listener) -> None:
    listener.mailspool.settings(bypass_networks="127.0.0.8/32, 10.0.0.0/8")
    try:
        with listener.client(source="127.0.0.8") as client:
            client.begin("x@elsewhere.test", AWAY)
        with listener.client(source="127.0.0.9") as client:
            client.do("MAIL FROM:<x@elsewhere.test>")
            assert client.do(f"RCPT TO:<{AWAY}>").status == "550 5.7.1"
    finally:
        listener.mailspool.settings(bypass_networks="")
    with listener.client(source="127.0.0.8") as client:
        client.do("MAIL FROM:<x@elsewhere.test>")
        assert client.do(f"RCPT TO:<{AWAY}>").status == "550 5.7.1"


@pytest.mark.parametrize(
    ("recipient", "stored"),
    [
        (ANN, [ANN]),
        ("ANN@Here.Test", [ANN]),
        ("ann+tag@here.test", [ANN]),
        ("ann@here.test.", [ANN]),
        ("@relay.test:ann@here.test", [ANN]),
        ("sales@here.test", [ANN, BOB]),
        ("away@here.test", [AWAY]),
        ("news@here.test", ["news@here.test"]),
        ("anything@catching.test", [ANN]),
        ('"any thing"@catching.test', [ANN]),
        ('"dan@elsewhere.test"@catching.test', [ANN]),
        ("receiving@here.test", ["receiving@here.test"]),
        ("ann@receiving.test", ["ann@receiving.test"]),
    ],
)
def test_an_address_of_ours_leads_to_who_is_behind_it(listener: Listener, recipient: str, stored: list[str]) -> None:
    subject, message = listener.message()
    with listener.client() as client:
        client.begin("x@elsewhere.test", recipient)
        assert client.content(message).code == 250
    assert sorted(listener.only(subject).addresses) == stored


@pytest.mark.parametrize(
    ("recipient", "status"),
    [
        ("nobody@here.test", "550 5.1.1"),
        ("ann.@here.test", "501 5.1.3"),
        ("off@here.test", "550 5.2.1"),
        ("ann@off.test", "550 5.2.1"),
        ("nobody-left@here.test", "550 5.2.1"),
        ("a" * 65 + "@here.test", "550 5.1.1"),
        ("a b@here.test", "501 5.1.3"),
    ],
)
def test_an_address_that_takes_no_mail_is_refused_with_its_name(
    listener: Listener, recipient: str, status: str
) -> None:
    with listener.client() as client:
        client.do("MAIL FROM:<x@elsewhere.test>")
        reply = client.do(f"RCPT TO:<{recipient}>")
        assert reply.status == status
        assert recipient.partition("@")[0] in reply.text
        assert client.do(f"RCPT TO:<{ANN}>").status == "250 2.1.5"


@pytest.mark.parametrize("recipient", ["postmaster", "POSTMASTER", "postmaster@here.test", "Postmaster@Catching.test"])
def test_postmaster_always_takes_mail(listener: Listener, recipient: str) -> None:
    with listener.client() as client:
        client.begin("", recipient)


@pytest.mark.parametrize("literal", ["[127.0.0.1]", "[IPv6:::1]", "[IPv6:::ffff:127.0.0.1]"])
def test_the_address_of_this_machine_stands_for_its_own_domain(listener: Listener, literal: str) -> None:
    with listener.client() as client:
        client.begin("x@elsewhere.test", f"postmaster@{literal}")
        assert client.do(f"RCPT TO:<nobody@{literal}>").status == "550 5.1.1"
        assert client.do(f"RCPT TO:<ann@{literal}>").status == "250 2.1.5"


def test_a_recipient_named_twice_gets_one_copy(listener: Listener) -> None:
    subject, message = listener.message()
    with listener.client() as client:
        client.begin("x@elsewhere.test", ANN, "Ann@here.test", "sales@here.test", ANN)
        assert client.content(message).code == 250
    assert listener.only(subject).addresses == [ANN, BOB]


def _rewritten(listener: Listener, sender: str) -> str:
    code = f"from spool.sender_rewriting import rewritten; print(rewritten({sender!r}, 'here.test', 'x.eml'))"
    return listener.mailspool.run(code).strip()


def test_a_bounce_to_a_rewritten_sender_goes_on_to_who_wrote(listener: Listener) -> None:
    address = _rewritten(listener, "x@elsewhere.test")
    subject, message = listener.message(sender="")
    with listener.client() as client:
        client.begin("", address)
        assert client.content(message).code == 250
    (recipient,) = listener.only(subject).recipients
    assert (recipient["address"], recipient["original"]) == ("x@elsewhere.test", address)


def test_only_bounces_and_only_to_what_we_have_rewritten(listener: Listener) -> None:
    """Anything else would be an open relay."""
    address = _rewritten(listener, "x@elsewhere.test")
    with listener.client() as client:
        client.do("MAIL FROM:<y@elsewhere.test>")
        assert client.do(f"RCPT TO:<{address}>").status == "550 5.1.1"
        client.do("RSET")
        client.do("MAIL FROM:<>")
        for forged in (
            address.replace("=x@", "=y@"),
            address.replace(address[5:9], address[5]),
            address.replace("elsewhere.test", "victim.test"),
            "SRS0=aaaa=AA=victim.test=y@here.test",
        ):
            assert client.do(f"RCPT TO:<{forged}>").status == "550 5.1.1", forged
        assert client.do("RCPT TO:<SRS0=aaaa=AA=victim.test=y@elsewhere.test>").status == "550 5.7.1"
        assert client.do("DATA").status == "554 5.5.1"
