"""What EHLO promises: SIZE, 8BITMIME, SMTPUTF8, PIPELINING, CHUNKING, ENHANCEDSTATUSCODES, DSN."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailspool import VERSION
from tests.spool.smtpd.conftest import ANN, BOB, DAN, Listener
from tests.spool.smtpd.dialogue import Dialogue, stuffed
from tests.support.mailspool_process import PASSWORD

X = "x@elsewhere.test"


def test_ehlo_names_every_extension(listener: Listener) -> None:
    with listener.client(greet=False) as client:
        assert client.greeting.text == "mail.test ESMTP Mailspool"
        lines = client.ehlo().lines
    assert lines == [
        "mail.test",
        "SIZE 104857600",
        "8BITMIME",
        "SMTPUTF8",
        "PIPELINING",
        "CHUNKING",
        "ENHANCEDSTATUSCODES",
        "STARTTLS",
        "HELP",
    ]


def test_dsn_is_offered_to_those_who_may_relay_and_to_nobody_else(listener: Listener) -> None:
    port = listener.mailspool.submission_port
    with Dialogue(port) as client:
        assert "DSN" in client.ehlo().lines, "who does not log in here sends nothing"
    with listener.client() as client:
        assert "DSN" not in client.ehlo().lines
        client.starttls()
        assert client.login(ANN, PASSWORD).code == 235
        assert "DSN" in client.ehlo().lines
    listener.mailspool.settings(bypass_networks="127.0.0.8/32")
    try:
        with listener.client(source="127.0.0.8") as client:
            assert "DSN" in client.ehlo().lines
            assert client.do(f"MAIL FROM:<{X}> RET=HDRS").code == 250
            assert client.do(f"RCPT TO:<{ANN}> NOTIFY=SUCCESS").code == 250
    finally:
        listener.mailspool.settings(bypass_networks="")


def test_no_reply_tells_a_stranger_the_version(listener: Listener) -> None:
    with listener.client(greet=False) as client:
        said = [client.greeting, client.ehlo(), client.do("HELP"), client.do("NOOP"), client.do("NONSENSE")]

    assert not any(VERSION in reply.text for reply in said)


def test_verbs_without_mail_are_answered(listener: Listener) -> None:
    expected = {
        "NOOP": "250 2.0.0",
        "NOOP anything": "250 2.0.0",
        "RSET": "250 2.0.0",
        "HELP": "214 2.0.0",
        "VRFY ann": "252 2.1.5",
        "EXPN news": "502 5.5.1",
        "noop": "250 2.0.0",
        "HELP MAIL": "214 2.0.0",
        "EHLO": "501 5.5.4",
        "HELO": "501 5.5.4",
        "RCPT TO:<ann@here.test>": "503 5.5.1",
        "DATA": "503 5.5.1",
        "MAIL": "501 5.5.4",
        "MAIL FROM": "501 5.5.4",
        "MAIL TO:<x@y>": "501 5.5.4",
        "DATA now": "501 5.5.4",
        "XCLIENT a": "500 5.5.2",
        "": "500 5.5.2",
        " ": "500 5.5.2",
        "TURN": "500 5.5.2",
    }
    with listener.client() as client:
        for command, status in expected.items():
            assert client.do(command).status == status, command
        assert client.do("QUIT").status == "221 2.0.0"
        assert client.is_closed


def test_help_with_a_verb_says_how_it_is_spoken(listener: Listener) -> None:
    with listener.client() as client:
        assert client.do("HELP").text.split() == [
            "2.0.0",
            "AUTH",
            "BDAT",
            "DATA",
            "EHLO",
            "EXPN",
            "HELO",
            "HELP",
            "MAIL",
            "NOOP",
            "QUIT",
            "RCPT",
            "RSET",
            "STARTTLS",
            "VRFY",
        ]
        assert client.do("HELP bdat").text == "2.0.0 Syntax: BDAT size [LAST]"


def test_what_aiosmtpd_refuses_by_itself_counts_as_an_error_too(listener: Listener) -> None:
    with listener.settings(max_errors=3), listener.client() as client:
        for command, status in {"RSET now": "501 5.5.4", "HELO": "501 5.5.4", "EXPN news": "502 5.5.1"}.items():
            assert client.do(command).status == status, command
        assert client.reply().status == "421 4.7.0"
        assert client.is_closed


def test_mail_wants_a_greeting_first_and_comes_once(listener: Listener) -> None:
    with listener.client(greet=False) as client:
        assert client.do(f"MAIL FROM:<{X}>").status == "503 5.5.1"
        client.ehlo()
        assert client.do(f"MAIL FROM:<{X}>").status == "250 2.1.0"
        assert client.do(f"MAIL FROM:<{X}>").status == "503 5.5.1"
        client.do("RSET")
        assert client.do(f"MAIL FROM:<{X}>").status == "250 2.1.0"
        client.ehlo()
        assert client.do(f"RCPT TO:<{ANN}>").status == "503 5.5.1", "EHLO starts anew (RFC 5321 4.1.4)"


@pytest.mark.parametrize(
    ("parameters", "status"),
    [
        ("SIZE=1000", "250 2.1.0"),
        ("size=0", "250 2.1.0"),
        ("SIZE=104857600", "250 2.1.0"),
        ("SIZE=104857601", "552 5.3.4"),
        ("SIZE=99999999999999999999", "552 5.3.4"),
        ("SIZE=999999999999999999999", "501 5.5.4"),
        ("SIZE", "501 5.5.4"),
        ("SIZE=-1", "501 5.5.4"),
        ("SIZE=\u00b2", "501 5.5.4"),
        ("SIZE=\u0661", "501 5.5.4"),
        ("SIZE=1 SIZE=1", "501 5.5.4"),
        ("BODY=7BIT", "250 2.1.0"),
        ("BODY=8BITMIME SMTPUTF8 SIZE=10 AUTH=<>", "250 2.1.0"),
        ("BODY=BINARYMIME", "501 5.5.4"),
        ("BODY", "501 5.5.4"),
        ("RET=FULL", "555 5.5.4"),
        ("ENVID=a", "555 5.5.4"),
        ("NOTIFY=NEVER", "555 5.5.4"),
        ("XFUTURE=1", "555 5.5.4"),
    ],
)
def test_parameters_of_mail_are_judged(listener: Listener, parameters: str, status: str) -> None:
    with listener.client() as client:
        assert client.do(f"MAIL FROM:<{X}> {parameters}").status == status


@pytest.mark.parametrize(
    ("parameters", "status"),
    [
        ("BODY=8BITMIME SMTPUTF8 RET=FULL ENVID=a+2Bb SIZE=10 AUTH=<>", "250 2.1.0"),
        ("RET=ALL", "501 5.5.4"),
        ("ENVID=a+2", "501 5.5.4"),
        ("ENVID=", "501 5.5.4"),
        ("NOTIFY=NEVER", "555 5.5.4"),
    ],
)
def test_parameters_of_a_user_s_mail_are_judged(listener: Listener, parameters: str, status: str) -> None:
    with listener.submission() as client:
        assert client.do(f"MAIL FROM:<{ANN}> {parameters}").status == status


@pytest.mark.parametrize("path", ["<@elsewhere.test>", "<@elsewhere.test:>", "x y@elsewhere.test", "<x@elsewhere.test"])
def test_a_broken_reverse_path_is_not_the_null_path(listener: Listener, path: str) -> None:
    with listener.client() as client:
        assert client.do(f"MAIL FROM:{path}").code in (501, 553, 555)


def test_the_null_path_is_stored_as_such(listener: Listener) -> None:
    subject, message = listener.message()
    with listener.client() as client:
        client.begin("", ANN)
        assert client.content(message).code == 250
    assert listener.only(subject).row["sender"] == ""


def test_a_message_over_the_limit_is_refused_whether_announced_or_not(listener: Listener) -> None:
    subject, message = listener.message(size=20_000)
    with listener.settings(max_message_kb=10), listener.client() as client:
        assert "SIZE 10240" in client.ehlo().lines
        reply = client.do(f"MAIL FROM:<{X}> SIZE=20000")
        assert reply.status == "552 5.3.4"
        assert "10240" in reply.text
        client.begin(X, ANN)
        assert client.content(message).status == "552 5.3.4"
        client.begin(X, ANN)
        client.send(b"BDAT %d LAST\r\n" % len(message) + message)
        assert client.reply().status == "552 5.3.4"
        small_subject, small = listener.message(size=10_000)
        client.begin(X, ANN)
        assert client.content(small).code == 250
    assert listener.find(subject) == []
    assert len(listener.find(small_subject)) == 1


def test_a_user_has_a_limit_of_their_own(listener: Listener) -> None:
    _, message = listener.message(size=20_000)
    with listener.submission(DAN) as client:
        assert "SIZE 10240" in client.ehlo().lines
        assert client.do(f"MAIL FROM:<{DAN}> SIZE=20000").status == "552 5.3.4"
        client.begin(DAN, ANN, BOB, "a@elsewhere.test")
        assert client.do("RCPT TO:<b@elsewhere.test>").status == "452 4.5.3"
        assert client.content(message).status == "552 5.3.4"


def test_eight_bit_content_arrives_as_it_is(listener: Listener) -> None:
    subject, message = listener.message()
    message += "Gr\u00fc\u00dfe\r\n".encode() + b"\xff\xfe latin\r\n"
    with listener.client() as client:
        assert client.do(f"MAIL FROM:<{X}> BODY=8BITMIME").code == 250
        client.do(f"RCPT TO:<{ANN}>")
        assert client.content(message).code == 250
    stored = listener.only(subject)
    assert stored.content.endswith(message)
    assert stored.row["eight_bit"]


def test_addresses_beyond_ascii_need_smtputf8(listener: Listener) -> None:
    subject, message = listener.message()
    with listener.client() as client:
        reply = client.do("MAIL FROM:<j\u00fcrgen@elsewhere.test>")
        assert reply.status == "553 5.6.7"
        assert "SMTPUTF8" in reply.text
        client.begin(X)
        assert client.do("RCPT TO:<j\u00fcrgen@catching.test>").status == "553 5.6.7"
        client.do("RSET")
        assert client.do("MAIL FROM:<j\u00fcrgen@b\u00fccher.test> SMTPUTF8").code == 250
        assert client.do("RCPT TO:<j\u00fcrgen@catching.test>").code == 250
        assert client.content(message).code == 250
    stored = listener.only(subject)
    assert stored.row["sender"] == "j\u00fcrgen@xn--bcher-kva.test"
    assert stored.row["smtputf8"]
    assert b"with UTF8SMTP id" in stored.content
    assert "for <j\u00fcrgen@catching.test>".encode() in stored.content


@pytest.mark.parametrize(
    ("parameter", "fields", "wish"),
    [
        (" REQUIRETLS", b"", "required"),
        ("", b"TLS-Required: No\r\n", "optional"),
        ("", b"tls-required:\r\n no\r\n", "optional"),
        (" REQUIRETLS", b"TLS-Required: No\r\n", "required"),
        ("", b"TLS-Required: Yes\r\n", ""),
        ("", b"TLS-Required: No\r\nTLS-Required: No\r\n", ""),
        ("", b"X-TLS-Required: No\r\n", ""),
    ],
)
def test_what_a_sender_wants_of_tls_is_kept(listener: Listener, parameter: str, fields: bytes, wish: str) -> None:
    subject, message = listener.message()
    with listener.client() as client:
        client.starttls()
        client.ehlo()
        assert client.do(f"MAIL FROM:<{X}>{parameter}").code == 250
        client.do(f"RCPT TO:<{ANN}>")
        assert client.content(fields + message).code == 250
    assert listener.only(subject).row["tls_wish"] == wish


def test_tls_is_required_over_tls_alone(listener: Listener) -> None:
    with listener.client() as client:
        assert "REQUIRETLS" not in client.ehlo().lines
        assert client.do(f"MAIL FROM:<{X}> REQUIRETLS").status == "555 5.5.4"
        client.starttls()
        assert "REQUIRETLS" in client.ehlo().lines
        assert client.do(f"MAIL FROM:<{X}> REQUIRETLS=yes").status == "501 5.5.4"


def test_a_whole_dialogue_in_one_packet_is_answered_in_order(listener: Listener) -> None:
    subject, message = listener.message()
    second, other = listener.message(to=BOB)
    with listener.client() as client:
        client.send(
            f"MAIL FROM:<{X}>\r\nRCPT TO:<{ANN}>\r\nRCPT TO:<nobody@here.test>\r\nDATA\r\n".encode()
            + stuffed(message)
            + f"MAIL FROM:<{X}>\r\nRCPT TO:<{BOB}>\r\nDATA\r\n".encode()
            + stuffed(other)
            + b"NOOP\r\nQUIT\r\n"
        )
        codes = [client.reply().code for _ in range(10)]
        assert codes == [250, 250, 550, 354, 250, 250, 250, 354, 250, 250]
        assert client.reply().code == 221
        assert client.is_closed
    assert listener.only(subject).content.endswith(message)
    assert listener.only(second).content.endswith(other)


def test_data_after_only_refused_recipients_is_refused_and_no_message_is_waited_for(listener: Listener) -> None:
    with listener.client() as client:
        client.send(f"MAIL FROM:<{X}>\r\nRCPT TO:<nobody@here.test>\r\nDATA\r\nRSET\r\n".encode())
        assert [client.reply().status for _ in range(4)] == ["250 2.1.0", "550 5.1.1", "554 5.5.1", "250 2.0.0"]


def test_a_message_in_chunks_is_stored_whole_with_its_dots(listener: Listener) -> None:
    subject, message = listener.message()
    message += b".\r\n..\r\n.dot\r\nend without a line end"
    with listener.client() as client:
        client.begin(X, ANN)
        for start in range(0, len(message), 50):
            chunk = message[start : start + 50]
            client.send(b"BDAT %d\r\n" % len(chunk) + chunk)
            reply = client.reply()
            assert reply.status == "250 2.0.0"
            assert f"{len(chunk)} octets" in reply.text
        assert listener.find(subject) == []
        assert client.do("BDAT 0 LAST").code == 250
    assert listener.only(subject).content.endswith(message)


def test_a_pipelined_message_in_chunks_is_answered_chunk_by_chunk(listener: Listener) -> None:
    subject, message = listener.message()
    with listener.client() as client:
        client.send(
            f"MAIL FROM:<{X}>\r\nRCPT TO:<{ANN}>\r\nBDAT 20\r\n".encode()
            + message[:20]
            + b"bdat %d last\r\n" % (len(message) - 20)
            + message[20:]
            + b"QUIT\r\n"
        )
        assert [client.reply().code for _ in range(5)] == [250, 250, 250, 250, 221]
    assert listener.only(subject).content.endswith(message)


@settings(max_examples=40)
@given(
    body=st.lists(st.sampled_from([b".", b"..", b"", b"BDAT 5", b"QUIT", b"x" * 500, b"\xff"]), max_size=12),
    sizes=st.lists(st.integers(0, 300), max_size=12),
    pipelined=st.booleans(),
)
def test_any_framing_of_a_message_in_chunks_stores_that_message(
    listener: Listener, body: list[bytes], sizes: list[int], pipelined: bool
) -> None:
    subject, message = listener.message()
    message += b"".join(line + b"\r\n" for line in body)
    left, frames = message, []
    for size in sizes:
        frames.append(b"BDAT %d\r\n" % len(left[:size]) + left[:size])
        left = left[size:]
    frames.append(b"BDAT %d LAST\r\n" % len(left) + left)
    with listener.client() as client:
        client.begin(X, ANN)
        for together in [b"".join(frames)] if pipelined else frames:
            client.send(together)
            for _ in range(len(frames) if pipelined else 1):
                assert client.reply().status == "250 2.0.0"
    assert listener.only(subject).content.endswith(b"\r\n" + message)


def test_chunks_out_of_order_are_refused(listener: Listener) -> None:
    subject, message = listener.message()
    with listener.client() as client:
        client.send(b"BDAT 5\r\nQUIT\r")
        assert client.reply().status == "503 5.5.1"
        assert client.do(f"MAIL FROM:<{X}>\r\n"[:-2]).code == 250
        client.send(b"BDAT 6 LAST\r\nQUIT\r\n")
        assert client.reply().status == "503 5.5.1"
        client.begin(X, ANN)
        client.send(b"BDAT 4\r\na\r\n\r")
        assert client.reply().code == 250
        assert client.do("DATA").status == "503 5.5.1"
        assert client.do(f"RCPT TO:<{BOB}>").status == "503 5.5.1"
        assert client.do(f"MAIL FROM:<{X}>").status == "503 5.5.1"
        assert client.do("RSET").code == 250
        client.begin(X, ANN)
        client.send(b"BDAT %d LAST\r\n" % len(message) + message)
        assert client.reply().code == 250
    assert listener.only(subject).content.endswith(message)


@pytest.mark.parametrize("restart", ["RSET", "EHLO again.test", "HELO again.test"])
def test_an_abandoned_chunk_does_not_reach_the_next_message(listener: Listener, restart: str) -> None:
    subject, message = listener.message()
    with listener.client() as client:
        client.begin("evil@elsewhere.test", ANN)
        client.send(b"BDAT 11\r\nX-Evil: 1\r\n")
        assert client.reply().code == 250
        assert client.do(restart, enhanced=False).code == 250
        client.begin(X, ANN)
        client.send(b"BDAT %d LAST\r\n" % len(message) + message)
        assert client.reply().code == 250
    assert b"X-Evil" not in listener.only(subject).content


@pytest.mark.parametrize(
    "argument", ["", " ten", " -1", " 5 FIRST", " 5 LAST now", " \u00b2", " 999999999999999999999"]
)
def test_a_chunk_whose_end_is_not_known_ends_the_session(listener: Listener, argument: str) -> None:
    with listener.client() as client:
        client.begin(X, ANN)
        assert client.do(f"BDAT{argument}").status == "501 5.5.4"
        assert client.is_closed


def test_bare_line_ends_in_chunks_are_refused(listener: Listener) -> None:
    subject, message = listener.message()
    with listener.client() as client:
        client.begin(X, ANN)
        client.send(b"BDAT %d\r\n" % len(message) + message)
        assert client.reply().code == 250
        client.send(b"BDAT 4 LAST\r\na\nb\n")
        assert client.reply().status == "550 5.6.11"
    assert listener.find(subject) == []


def test_dsn_parameters_are_kept_and_shown(listener: Listener) -> None:
    subject, message = listener.message()
    with listener.submission() as client:
        assert client.do(f"MAIL FROM:<{ANN}> RET=hdrs ENVID=QQ+2B314").code == 250
        assert client.do(f"RCPT TO:<{ANN}> NOTIFY=failure,SUCCESS ORCPT=rfc822;Ann+40here.test").code == 250
        assert client.do(f"RCPT TO:<{BOB}> NOTIFY=NEVER").code == 250
        assert client.content(message).code == 250
    stored = listener.only(subject)
    assert (stored.row["ret"], stored.row["envid"]) == ("HDRS", "QQ+2B314")
    assert [(r["address"], r["notify"], r["orcpt"]) for r in stored.recipients] == [
        (ANN, "SUCCESS,FAILURE", "rfc822;Ann+40here.test"),
        (BOB, "NEVER", ""),
    ]


def test_a_stranger_can_ask_for_no_notices(listener: Listener) -> None:
    subject, message = listener.message()
    with listener.client() as client:
        client.begin(X)
        for parameters in ("NOTIFY=SUCCESS", "NOTIFY=SUCCESS,FAILURE", "NOTIFY=NEVER", f"ORCPT=rfc822;{ANN}"):
            assert client.do(f"RCPT TO:<{ANN}> {parameters}").status == "555 5.5.4"
        assert client.do(f"RCPT TO:<{ANN}>").code == 250
        assert client.content(message).code == 250
    assert [(r["notify"], r["orcpt"]) for r in listener.only(subject).recipients] == [("", "")]


@pytest.mark.parametrize("declared", ["", " BODY=8BITMIME"])
def test_content_of_eight_bits_is_known_as_such_whether_declared_or_not(listener: Listener, declared: str) -> None:
    subject, message = listener.message()
    with listener.client() as client:
        client.ehlo()
        assert client.do(f"MAIL FROM:<{X}>{declared}").code == 250
        assert client.do(f"RCPT TO:<{ANN}>").code == 250
        assert client.content(message + "Grüße\r\n".encode()).code == 250
    assert listener.only(subject).row["eight_bit"]


@pytest.mark.parametrize("name", ["почта.example", "m\u00fcller.example"])
def test_a_name_that_is_not_ascii_is_refused(listener: Listener, name: str) -> None:
    with listener.client() as client:
        assert client.do(f"EHLO {name}").status == "501 5.5.4"
        client.ehlo()
        assert client.do("MAIL FROM:<a@elsewhere.test> SMTPUTF8=yes").status == "501 5.5.4"


@pytest.mark.parametrize(
    ("parameters", "status"),
    [
        ("NOTIFY=NEVER,FAILURE", "501 5.5.4"),
        ("NOTIFY=SOMETIMES", "501 5.5.4"),
        ("NOTIFY", "501 5.5.4"),
        ("ORCPT=ann", "501 5.5.4"),
        ("ORCPT=rfc822;a+G", "501 5.5.4"),
        ("NOTIFY=DELAY NOTIFY=DELAY", "501 5.5.4"),
        ("SIZE=5", "555 5.5.4"),
    ],
)
def test_parameters_of_rcpt_are_judged(listener: Listener, parameters: str, status: str) -> None:
    with listener.submission() as client:
        client.begin(ANN)
        assert client.do(f"RCPT TO:<{ANN}> {parameters}").status == status


def test_the_received_line_says_how_the_message_came(listener: Listener) -> None:
    subject, message = listener.message()
    with listener.client(greet=False) as client:
        assert client.do("HELO old.client.test", enhanced=False).lines == ["mail.test"]
        client.begin(X, ANN)
        assert client.content(message).code == 250
    content = listener.only(subject).content
    received = content[: -len(message)].decode()
    assert re.fullmatch(
        r"Received: from old\.client\.test \(\[127\.0\.0\.1\]\)\r\n"
        r"\tby mail\.test \(Mailspool\) with SMTP id [0-9a-f]{16}\r\n"
        r"\tfor <ann@here\.test>;\r\n"
        r"\t\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d [+-]\d{4}\r\n",
        received,
    ), received


def test_the_received_line_names_no_one_when_there_are_several(listener: Listener) -> None:
    subject, message = listener.message()
    with listener.client() as client:
        client.starttls()
        client.begin(X, ANN, BOB)
        assert client.content(message).code == 250
    received = listener.only(subject).content[: -len(message)]
    assert b"with ESMTPS id" in received
    assert b"for <" not in received


def test_a_name_that_would_break_the_received_line_is_made_harmless(listener: Listener) -> None:
    subject, message = listener.message()
    with listener.client(greet=False) as client:
        client.ehlo("evil.test (by other; x)\x0b\tfor <a@b>")
        client.begin(X, ANN)
        assert client.content(message).code == 250
    stored = listener.only(subject)
    assert stored.content.startswith(b"Received: from evil.testbyotherxforab ([127.0.0.1])\r\n")
    assert "\x0b" not in stored.row["ehlo_name"]


def test_a_submission_gets_the_fields_that_it_lacks_and_a_relayed_message_does_not(listener: Listener) -> None:
    subject = "Bare"
    message = f"From: {ANN}\r\nSubject: {subject}\r\n\r\nHello.\r\n".encode()
    with listener.submission() as client:
        client.begin(ANN, BOB)
        assert client.content(message).code == 250
    submitted = listener.only(subject).content
    assert b"\r\nDate: " in submitted
    assert b"\r\nMessage-ID: <" in submitted
    other = message.replace(b"Bare", b"Relayed bare")
    with listener.client() as client:
        client.begin(X, BOB)
        assert client.content(other).code == 250
    relayed = listener.only("Relayed bare").content
    assert b"\r\nDate: " not in relayed
    assert b"Message-ID" not in relayed


def test_an_empty_message_is_a_message(listener: Listener) -> None:
    before = listener.count()
    with listener.client() as client:
        client.begin(X, ANN)
        assert client.do("DATA").code == 354
        client.send(b".\r\n")
        assert client.reply().code == 250
    assert listener.count() == before + 1


def test_several_messages_go_over_one_connection(listener: Listener) -> None:
    subjects = []
    with Dialogue(listener.mailspool.smtp_port) as client:
        for _ in range(20):
            subject, message = listener.message()
            client.begin(X, ANN)
            assert client.content(message).status == "250 2.0.0"
            subjects.append(subject)
    assert all(len(listener.find(subject)) == 1 for subject in subjects)
