"""What a DKIM key's record says of its use (RFC 6376 3.6.1, 6.1.2): a good signature by the wrong key is none."""

from __future__ import annotations

import base64
from pathlib import Path

import dkim
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from quarantine.engines import authentication
from quarantine.engines.examined import Examined

MAIL = b"From: a@far.test\r\nSubject: Lunch\r\nContent-Type: text/plain\r\n\r\nAt noon?\r\n"
REPORT = MAIL.replace(b"text/plain", b'multipart/report; report-type="tlsrpt"')
KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
FITS, CHANGED = b"", b"and more"


def _public(key: rsa.RSAPrivateKey = KEY) -> str:
    return base64.b64encode(key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).decode()


@pytest.mark.parametrize(
    ("record", "mail", "identity", "added", "result"),
    [
        ("v=DKIM1; p={p}", MAIL, b"", FITS, "pass"),
        ("p={p}", MAIL, b"", FITS, "pass"),
        ("v=DKIM1; p={p}", MAIL, b"", CHANGED, "fail"),
        ("v=DKIM1; p=", MAIL, b"", FITS, "fail"),
        ("v=DKIM1; k=rsa; p= ; t=s", MAIL, b"", FITS, "fail"),
        ("v=DKIM2; p={p}", MAIL, b"", FITS, "fail"),
        ("v=DKIM1; k=unknown; p={p}", MAIL, b"", FITS, "fail"),
        ("v=DKIM1; h=sha256; p={p}", MAIL, b"", FITS, "pass"),
        ("v=DKIM1; h=sha1 : SHA256; p={p}", MAIL, b"", FITS, "pass"),
        ("v=DKIM1; h=sha1; p={p}", MAIL, b"", FITS, "permerror"),
        ("v=DKIM1; t=s; p={p}", MAIL, b"", FITS, "pass"),
        ("v=DKIM1; t=s; p={p}", MAIL, b"x@far.test", FITS, "pass"),
        ("v=DKIM1; t=y:s; p={p}", MAIL, b"x@sub.far.test", FITS, "permerror"),
        ("v=DKIM1; p={p}", MAIL, b"x@sub.far.test", FITS, "pass"),
        ("v=DKIM1; t=y; p={p}", MAIL, b"", FITS, "pass"),
        ("v=DKIM1; t=y; p={p}", MAIL, b"", CHANGED, "neutral"),
        ("v=DKIM1; s=email; p={p}", MAIL, b"", FITS, "pass"),
        ("v=DKIM1; s=other; p={p}", MAIL, b"", FITS, "permerror"),
        ("v=DKIM1; s=other : email; p={p}", MAIL, b"", FITS, "pass"),
        ("v=DKIM1; p={p}; s=tlsrpt:*", MAIL, b"", FITS, "pass"),
        ("v=DKIM1; s=tlsrpt; p={p}", MAIL, b"", FITS, "permerror"),
        ("v=DKIM1; s=tlsrpt; p={p}", REPORT, b"", FITS, "pass"),
    ],
)
def test_a_key_is_used_as_its_record_says(
    monkeypatch: pytest.MonkeyPatch, record: str, mail: bytes, identity: bytes, added: bytes, result: str
) -> None:
    pem = KEY.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    signed = dkim.sign(mail, b"s1", b"far.test", pem, identity=identity or None) + mail + added
    text = record.format(p=_public()).encode()

    def txt(name: object, timeout: float = 0) -> bytes:
        # What stands before the answer is the product's own: an empty p=.
        if authentication._NO_KEY.search(text):
            raise dkim.ValidationError(authentication._REVOKED)
        return text

    monkeypatch.setattr(authentication, "_txt", txt)
    [found] = authentication._check_dkim(Examined(Path("none"), len(signed), "a@far.test", held=signed))
    assert found.result == result, found.text
