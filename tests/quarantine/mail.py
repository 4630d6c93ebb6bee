"""Messages with the EICAR test file in them, wrapped as senders of viruses wrap them."""

from __future__ import annotations

import base64
import io
import zipfile
from email.message import EmailMessage
from email.policy import SMTP

from tests.support.clamd import EICAR

CLEAN = b"From: ann@here.test\r\nTo: bob@far.test\r\nSubject: Lunch\r\n\r\nAt noon?\r\n"


def plain() -> bytes:
    return CLEAN + EICAR + b"\r\n"


def attached() -> bytes:
    return _with_attachment(EICAR, "invoice.com")


def zipped(levels: int = 1) -> bytes:
    content, name = EICAR, "invoice.com"
    for level in range(levels):
        content, name = a_zip(content, name), f"invoice{level}.zip"
    return _with_attachment(content, name)


def forwarded() -> bytes:
    """In an attachment of a message/rfc822 part."""
    inner = EmailMessage(policy=SMTP)
    inner["Subject"] = "The invoice"
    inner.set_content("See below.")
    inner.add_attachment(EICAR, maintype="application", subtype="octet-stream", filename="invoice.com")
    outer = _message()
    outer.add_attachment(inner)
    return outer.as_bytes()


def odd_base64() -> bytes:
    """With lines of other lengths than 76, and blanks in them."""
    text = base64.b64encode(EICAR).decode()
    lines = "\r\n".join(f"{text[start : start + 7]} " for start in range(0, len(text), 7))
    head = (
        "From: ann@here.test\r\nTo: bob@far.test\r\nSubject: Invoice\r\nMIME-Version: 1.0\r\n"
        'Content-Type: multipart/mixed; boundary="b"\r\n\r\n--b\r\nContent-Type: application/octet-stream\r\n'
        'Content-Transfer-Encoding: base64\r\nContent-Disposition: attachment; filename="invoice.com"\r\n\r\n'
    )
    return f"{head}{lines}\r\n--b--\r\n".encode()


def a_zip(content: bytes, name: str) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
    return target.getvalue()


def zip_bomb(megabytes: int = 500) -> bytes:
    """Some KB that become so many MB."""
    return _with_attachment(a_zip(bytes(megabytes * 1024 * 1024), "zeros.bin"), "zeros.zip")


def many_parts(count: int = 10_000) -> bytes:
    part = "--b\r\nContent-Type: text/plain\r\n\r\nx\r\n"
    head = (
        "From: ann@here.test\r\nTo: bob@far.test\r\nSubject: Parts\r\nMIME-Version: 1.0\r\n"
        'Content-Type: multipart/mixed; boundary="b"\r\n\r\n'
    )
    return f"{head}{part * count}--b--\r\n".encode()


def _with_attachment(content: bytes, name: str) -> bytes:
    message = _message()
    message.add_attachment(content, maintype="application", subtype="octet-stream", filename=name)
    return message.as_bytes()


def _message() -> EmailMessage:
    message = EmailMessage(policy=SMTP)
    message["From"], message["To"], message["Subject"] = "ann@here.test", "bob@far.test", "Invoice"
    message.set_content("Please pay.")
    return message
