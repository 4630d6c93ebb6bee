"""Who may send as whom, by the rule of the server, of the domain and of the user, in the envelope and in From."""

from __future__ import annotations

import pytest

from tests.spool.smtpd.conftest import ANN, BOB, CLEO, Listener
from tests.spool.smtpd.dialogue import Reply

FAR, NOBODY = "boss@elsewhere.test", "nobody@here.test"
RULES = {"own": ANN, "envelope": "envelope@here.test", "domain": "domain@here.test", "any": "any@here.test"}
# Whom each may send as, besides the own address, in the envelope.
ENVELOPE = {"own": (), "envelope": ("",), "domain": (BOB, NOBODY), "any": (BOB, NOBODY, FAR, "")}
HEADER = {"own": (), "envelope": (BOB, NOBODY, FAR), "domain": (BOB, NOBODY), "any": (BOB, NOBODY, FAR)}


def send(listener: Listener, user: str, sender: str, *lines: str) -> Reply:
    """The answer to a message with these header lines, or to its sender."""
    header = "".join(f"{line}\r\n" for line in lines)
    with listener.submission(user) as client:
        answer: Reply = client.do(f"MAIL FROM:<{sender}>")
        if answer.code == 250:
            client.do(f"RCPT TO:<{CLEO}>")
            client.do("DATA")
            client.send(f"{header}Subject: who\r\n\r\nHello\r\n.\r\n".encode())
            answer = client.reply()
        return answer


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("sender", ["", BOB, NOBODY, FAR])
def test_an_envelope_sender_is_taken_by_the_rule(listener: Listener, rule: str, sender: str) -> None:
    reply = send(listener, RULES[rule], sender, f"From: {RULES[rule]}")
    assert reply.status == ("250 2.0.0" if sender in ENVELOPE[rule] else "553 5.7.1")
    if reply.code == 553:
        assert f"you are logged in as {RULES[rule]}; send as" in reply.text


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("second", [FAR, ""])
def test_two_from_fields_are_taken_from_nobody_who_logs_in(listener: Listener, rule: str, second: str) -> None:
    reply = send(listener, RULES[rule], RULES[rule], f"From: {RULES[rule]}", f"from : {second or RULES[rule]}")
    assert (reply.status, "2 From fields" in reply.text) == ("550 5.6.0", True)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("author", [BOB, NOBODY, FAR])
def test_a_from_header_is_taken_by_the_rule(listener: Listener, rule: str, author: str) -> None:
    reply = send(listener, RULES[rule], RULES[rule], f"From: The Boss <{author}>")
    assert reply.status == ("250 2.0.0" if rule == "any" or author in HEADER[rule] else "550 5.7.1")
    if reply.code == 550:
        assert f"from <{author}>" in reply.text and RULES[rule] in reply.text


@pytest.mark.parametrize(
    "lines",
    [
        [f"From: {ANN}"],
        ["From: Ann <ann+news@here.test>"],
        ["From: Sales <Sales@Here.Test>"],
        [f'From: "boss@elsewhere.test" <{ANN}>'],
        ["From: Sales <sales@here.test>", f"Sender: {ANN}"],
        [f"From: {ANN}", f"Reply-To: {FAR}"],
        ["X-Nobody: says who"],
    ],
)
def test_own_addresses_and_aliases_are_taken_whoever_is_named_beside(listener: Listener, lines: list[str]) -> None:
    assert send(listener, ANN, ANN, *lines).status == "250 2.0.0"


@pytest.mark.parametrize(
    "lines",
    [
        [f"From: {ANN}, {FAR}"],
        [f"From : {FAR}"],
        [f"From: {ANN}", f"Sender: {FAR}"],
        [f"From: {FAR} <{ANN}>"],
        [f"From: {FAR}", f"Resent-From: {ANN}"],
        [f"From: us: {FAR};"],
        ["From: Ann"],
        [f'From: "Ann <{ANN}>'],
        ["From: boss@xn--a-8ca.test"],
        ["From: böss@elsewhere.test"],
    ],
)
def test_nobody_else_gets_into_the_header_by_a_trick(listener: Listener, lines: list[str]) -> None:
    reply = send(listener, ANN, ANN, *lines)
    assert reply.status == "550 5.7.1"
    assert ANN in reply.text and reply.text.isascii()


def test_a_message_in_chunks_is_looked_at_too(listener: Listener) -> None:
    message = f"From: {FAR}\r\nSubject: x\r\n\r\nHello\r\n".encode()
    with listener.submission() as client:
        client.do(f"MAIL FROM:<{ANN}>")
        client.do(f"RCPT TO:<{CLEO}>")
        client.send(f"BDAT {len(message)} LAST\r\n".encode() + message)
        assert client.reply().status == "550 5.7.1"


def test_a_domain_has_a_rule_for_its_users(listener: Listener) -> None:
    assert send(listener, "ann@any.test", FAR, f"From: {FAR}").status == "250 2.0.0"


def test_the_servers_rule_counts_for_those_without_one_of_their_own(listener: Listener) -> None:
    with listener.settings(send_as="any"):
        assert send(listener, ANN, FAR, f"From: {FAR}").status == "250 2.0.0"
        assert send(listener, RULES["domain"], FAR).status == "553 5.7.1"


def test_who_sends_without_a_login_is_not_asked(listener: Listener) -> None:
    with listener.client() as client:
        client.begin(FAR, ANN)
        client.do("DATA")
        client.send(f"From: {BOB}\r\n\r\nHello\r\n.\r\n".encode())
        assert client.reply().code == 250


def test_a_remote_address_that_was_logged_in_for_is_the_users_mail(listener: Listener) -> None:
    subject, message = listener.message()
    with listener.submission(RULES["any"]) as client:
        client.begin(FAR, CLEO)
        client.do("DATA")
        client.send(message + b".\r\n")
        assert client.reply().code == 250
    row = listener.only(subject).row
    assert (row["sender"], row["auth_user"]) == (FAR, RULES["any"])
