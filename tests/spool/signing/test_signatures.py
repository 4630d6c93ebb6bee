"""Signatures as others read them: dkimpy, Mail::DKIM and Rspamd."""

from __future__ import annotations

import base64
import hashlib
import json
import random
import re
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import dkim
import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from spool.message.header import raw_fields, split
from spool.signing import canonical
from spool.signing.signer import MOST_FIELDS, Signer
from tests.support.dns import DNSServer, in_pieces
from tests.support.rspamd import Rspamd

RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
ED25519 = ed25519.Ed25519PrivateKey.generate()
KEYS = {"rsa": RSA, "ed25519": ED25519}
_HEADER = (
    b"From: Ann <ann@example.org>\r\nTo: bob@example.net\r\nSubject: Lunch\r\nDate: Mon, 30 Nov 2026 05:00:00 +0000\r\n"
)
MESSAGES = {
    "plain": _HEADER + b"Message-ID: <1@example.org>\r\n\r\nHello\r\n",
    "empty body": _HEADER + b"\r\n",
    "no body at all": _HEADER,
    "only empty lines": _HEADER + b"\r\n\r\n\r\n\r\n",
    "only blanks": _HEADER + b"\r\n  \t \r\n \r\n",
    "no last line end": _HEADER + b"\r\nHello",
    "blanks at the end": _HEADER + b"\r\nHello \t \r\nthere  you\t\tare \r\n\r\n\r\n",
    "blank and no line end": _HEADER + b"\r\nHello \t ",
    "dots": _HEADER + b"\r\n.\r\n..\r\n.hidden\r\n",
    "8-bit": _HEADER + b"X-Name: \xc3\xa4\r\n\r\nGr\xc3\xbc\xc3\x9fe \xff\xfe\r\n",
    "folds": b"From: A\r\n <ann@example.org>\r\nSubject:  a   b\r\n\t c \t\r\nTo:\r\n bob@example.net\r\n\r\nHello\r\n",
    "blank before the colon": b"From : ann@example.org\r\nSUBJECT:x\r\n\r\nHello\r\n",
    "several fields of a name": _HEADER
    + b"References: <1@a>\r\nReferences: <2@a>\r\nCc: c@d\r\nCc: e@f\r\n\r\nHello\r\n",
    "long line": _HEADER + b"\r\n" + b"x" * 200_000 + b" y\r\n",
    "many empty lines inside": _HEADER + b"\r\na\r\n" + b"\r\n" * 20_000 + b"b\r\n",
    "many at the end": _HEADER + b"\r\na\r\n" + b"\r\n" * 20_000,
    "null bytes": _HEADER + b"\r\na\0b\r\n",
}


# What strangers write, kept for the readers of it.
_CORPUS: Final = Path(__file__).parents[2] / "fuzz/corpus"


def _odd(content: bytes) -> bytes:
    """As it would go over the wire, with the fields that it lacks."""
    content = re.sub(rb"\r?\n|\r", b"\r\n", content)
    head = content.partition(b"\r\n\r\n")[0].lower()
    lacking = [one for one in _HEADER.splitlines(keepends=True) if one.partition(b":")[0].lower() + b":" not in head]
    return b"".join(lacking) + content


ODD: Final = {
    f"{kind}: {path.name}": _odd(path.read_bytes())
    for kind in ("parts", "report", "feedback", "forged")
    for path in sorted((_CORPUS / kind).iterdir())
} | {
    f"{kind}: {path.name}": _odd(b"\n" + path.read_bytes())
    for kind in ("notice", "html", "trace")
    for path in sorted((_CORPUS / kind).iterdir())
}
ALL: Final = {**MESSAGES, **ODD}
# No verifier is right about everything. Rspamd breaks what has a field twice that may be there once (RFC 5322 3.6) and
# does not see that lines of blanks are empty ones (RFC 6376 3.4.4); neither it nor dkimpy knows a blank before a colon.
NOT_FOR_DKIMPY: Final = {"blank before the colon", "forged: open-comments"}
NOT_FOR_RSPAMD: Final = {"several fields of a name", "blank before the colon", "only blanks"}


def signed(message: bytes, algorithm: str = "rsa") -> bytes:
    header, rest = split(message)
    # Each key has a name of its own in the DNS.
    signer = Signer("example.org" if algorithm == "rsa" else "example.net", "s1", KEYS[algorithm])
    return signer.sign(raw_fields(header), canonical.body_hash(rest[2:]), int(time.time())) + message


def record(name: bytes, timeout: int = 5) -> bytes:
    assert name == b"s1._domainkey.example.org."
    return b"v=DKIM1; k=rsa; p=" + base64.b64encode(
        RSA.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    )


def record_of_ed25519(name: bytes, timeout: int = 5) -> bytes:
    public = ED25519.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    return b"v=DKIM1; k=ed25519; p=" + base64.b64encode(public)


def on_the_wire(message: bytes) -> bytes:
    """As the other side has it after the final dot."""
    return message if message.endswith(b"\r\n") else message + b"\r\n"


@pytest.mark.parametrize("name", [name for name in ALL if name not in NOT_FOR_DKIMPY])
@pytest.mark.parametrize(("algorithm", "dns"), [("rsa", record), ("ed25519", record_of_ed25519)])
def test_dkimpy_finds_it_good(name: str, algorithm: str, dns: Callable[..., bytes]) -> None:
    assert dkim.verify(on_the_wire(signed(ALL[name], algorithm)), dnsfunc=dns)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"Hello", b"Hullo"),
        (b"Subject: Lunch", b"Subject: Dinner"),
        (b"Subject: Lunch", b"Subject: Lunch\r\nSubject: Dinner"),
        (b"To: bob", b"Reply-To: eve@evil.test\r\nTo: bob"),
        (b"From: Ann", b"From: eve@evil.test\r\nFrom: Ann"),
    ],
)
def test_a_change_breaks_it(before: bytes, after: bytes) -> None:
    message = signed(MESSAGES["plain"])
    assert before in message
    assert not dkim.verify(message.replace(before, after), dnsfunc=record)


def test_fields_that_relays_add_do_not() -> None:
    message = b"Received: from a by b\r\nX-Spam: no\r\n" + signed(MESSAGES["plain"])
    assert dkim.verify(message.replace(b"\r\n\r\nHello", b"\r\nX-Last: 1\r\n\r\nHello"), dnsfunc=record)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100])
def test_a_body_read_in_pieces_has_the_hash_of_the_whole(size: int) -> None:
    chance = random.Random(size)
    for _ in range(300):
        body = b"".join(
            chance.choices([b" ", b"\t", b"\r\n", b"\r", b"\n", b"a", b".", b"\r\n\r\n"], k=chance.randrange(40))
        )
        pieces = canonical.Body()
        for start in range(0, len(body), size):
            pieces.update(body[start : start + size])
        assert pieces.digest() == canonical.body_hash(body), body


def test_the_hash_is_that_of_the_rfc_s_own_words() -> None:
    # RFC 6376 3.4.5: "<SP>C<SP><CRLF>D<SP><HTAB><SP>E<CRLF><CRLF><CRLF>"; and 3.4.4: the hash of an empty body.
    assert canonical.body_hash(b" C \r\nD \t E\r\n\r\n\r\n") == hashlib.sha256(b" C\r\nD E\r\n").digest()
    assert base64.b64encode(canonical.body_hash(b"")) == b"47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
    assert canonical.field(b"A: X\r\n") == b"a:X"
    assert canonical.field(b"B : Y\t\r\n\tZ  \r\n") == b"b:Y Z"


def test_a_header_of_a_thousand_fields_is_not_signed() -> None:
    fields = [b"From: a@example.org\r\n", *[b"To: b@c\r\n"] * MOST_FIELDS]
    assert Signer("example.org", "s1", RSA).sign(fields, b"", 0) == b""


@pytest.mark.parametrize(
    "body",
    [b"\r\n" * 5_000_000, b"\n" * 10_000_000, b"\r\n" * 5_000_000 + b"\n", b" " * 10_000_000, b" \r" * 5_000_000],
    ids=["line ends", "LF", "line ends and a LF", "blanks", "blank CR"],
)
def test_ten_megabytes_of_nothing_cost_no_more_than_of_text(body: bytes) -> None:
    def cost(content: bytes) -> float:
        began = time.process_time()
        whole = canonical.Body()
        for start in range(0, len(content), 256 * 1024):
            whole.update(content[start : start + 256 * 1024])
        whole.digest()
        return time.process_time() - began

    # Linear, with room for what a regular expression does to each letter: quadratic would be thousands of times more.
    assert cost(body) < 60 * cost(b"some words of text and more \r\n" * 333_333) + 1


_VERIFIER = """
use Mail::DKIM::Verifier; use Mail::DKIM::DNS; use Net::DNS::Resolver;
Mail::DKIM::DNS::resolver(Net::DNS::Resolver->new(nameservers => ["127.0.0.1"], port => shift, recurse => 1));
binmode STDIN; local $/; my $message = <STDIN>;
my $verifier = Mail::DKIM::Verifier->new(); $verifier->PRINT($message); $verifier->CLOSE;
print $verifier->result_detail;
"""


@pytest.fixture(scope="module")
def dns() -> Iterator[DNSServer]:
    with DNSServer() as server:
        server.add("s1._domainkey.example.org", "TXT", in_pieces(record(b"s1._domainkey.example.org.").decode()))
        yield server


@pytest.fixture(scope="module")
def rspamd(dns: DNSServer) -> Iterator[Rspamd]:
    dns.add("s1._domainkey.example.net", "TXT", in_pieces(record_of_ed25519(b"").decode()))
    server = Rspamd(dns=dns.address)
    server.start()
    yield server
    server.remove()


def _symbols(server: Rspamd, message: bytes) -> set[str]:
    asked = urllib.request.Request(f"http://{server.address}/checkv2", data=message, headers={"IP": "192.0.2.9"})
    with urllib.request.urlopen(asked, timeout=60) as answer:
        return {name for name in json.load(answer)["symbols"] if name.startswith("R_DKIM_")}


def test_rspamd_finds_all_of_them_good_and_a_changed_one_bad(rspamd: Rspamd) -> None:
    signed_by_both = {
        (name, algorithm): on_the_wire(signed(message, algorithm))
        for name, message in ALL.items()
        if name not in NOT_FOR_RSPAMD
        for algorithm in KEYS
    }
    found = {which: _symbols(rspamd, message) for which, message in signed_by_both.items()}
    assert {which: said for which, said in found.items() if said != {"R_DKIM_ALLOW"}} == {}
    changed = signed_by_both["plain", "rsa"].replace(b"Hello", b"Hullo")
    assert _symbols(rspamd, changed) == {"R_DKIM_REJECT"}


@pytest.mark.parametrize("name", ALL)
def test_mail_dkim_finds_it_good(name: str, dns: DNSServer) -> None:
    ran = subprocess.run(
        ["perl", "-e", _VERIFIER, dns.address.rpartition(":")[2]],
        input=on_the_wire(signed(ALL[name])),
        capture_output=True,
        timeout=30,
    )
    assert ran.stdout == b"pass", ran.stderr
