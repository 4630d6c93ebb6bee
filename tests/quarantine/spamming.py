"""Checks with their weights, mail from outside that they look at, and where it ends."""

from __future__ import annotations

import base64

import dkim
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from quarantine.models import Check, CheckKind
from quarantine.models.check import forget_checks
from spool.delivery.local.maildir import folder_of
from spool.flow import intake
from spool.models.recipient import Kind
from tests.spool.passing import ANN, FAR, Spool
from tests.support.messages import a_submission

EVE = f"eve@{FAR}"
CLIENT = "192.0.2.7"


def a_mail(body: str = "At noon?", subject: str = "Lunch", sender: str = EVE) -> bytes:
    return (
        f"From: {sender}\r\nTo: {ANN}\r\nSubject: {subject}\r\nDate: Mon, 02 Mar 2026 12:00:00 +0000\r\n"
        f"Message-ID: <1@{FAR}>\r\n\r\n{body}\r\n"
    ).encode()


def a_check(kind: CheckKind, weight: float | None = 10, **columns: object) -> Check:
    check = Check(name=columns.pop("name", kind.value), kind=kind, weight=weight, **columns)
    check.full_clean()
    check.save()
    forget_checks()
    return check


def from_outside(
    spool: Spool,
    content: bytes,
    sender: str = EVE,
    ip: str = CLIENT,
    ehlo: str = f"mx.{FAR}",
    to: str | list[str] = ANN,
) -> str:
    """Mail for ANN or others here, of a session with that client."""
    submission = a_submission(sender, to, Kind.LOCAL, content=content)
    submission.envelope.client_ip, submission.envelope.ehlo_name = ip, ehlo
    [name] = intake.accept([submission])
    return name


def junk(address: str = ANN) -> list[bytes]:
    return [path.read_bytes() for path in (folder_of(address) / ".Junk" / "new").glob("*")]


def signed(content: bytes, spool: Spool, fields: list[bytes] | None = None) -> bytes:
    """As FAR signs it, with a key that its DNS has; `fields` are those that are signed, the usual ones otherwise."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    text = f"v=DKIM1; k=rsa; p={base64.b64encode(public).decode()}"
    pieces = " ".join(f'"{text[start : start + 200]}"' for start in range(0, len(text), 200))
    spool.dns.add(f"s1._domainkey.{FAR}", "TXT", pieces)
    signature: bytes = dkim.sign(content, b"s1", FAR.encode(), pem, include_headers=fields)
    return signature + content
