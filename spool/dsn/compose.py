"""A report as a message: multipart/report with a text, a delivery-status and the message that it is about.

The parts are put together as bytes: the returned message has to stay as it is, which no library's generator promises,
and the fields hold what remote hosts said, which is not to be trusted with a line end.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Final

from django.utils import translation

from base.languages import first_known
from spool.dsn import xtext
from spool.dsn.fields import (
    LONGEST_LINE,
    date,
    field,
    is_smtp_reply,
    mailbox,
    message_id,
    one_line,
    quoted_printable,
    unstructured,
)
from spool.dsn.report import Action, Report, ReportedRecipient, Returned
from spool.dsn.texts import subject_of, text_of
from spool.message.header import block as header_block

# A larger message goes back as its header only; so does what is left of a header beyond that.
LARGEST_RETURNED_BYTES: Final = 64 * 1024

_LINE_END = re.compile(rb"\r\n|\r|\n")
_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,252}[A-Za-z0-9])?\.?")
_IP_ADDRESS = re.compile(r"[0-9.]{7,15}|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]+")


@dataclass(frozen=True, slots=True)
class Composed:
    """A finished message with CRLF line ends, and the SMTP extensions it needs on its way."""

    content: bytes
    subject: str
    smtputf8: bool
    eight_bit: bool


@dataclass(frozen=True, slots=True)
class _Part:
    """A body part: its content type, its transfer encoding ("" for 7bit) and its body, encoded."""

    content_type: str
    encoding: str
    body: bytes
    description: str

    @property
    def content(self) -> bytes:
        header = field("Content-Description", self.description) + field("Content-Type", self.content_type)
        if self.encoding:
            header += field("Content-Transfer-Encoding", self.encoding)
        return header.encode("ascii") + b"\r\n" + self.body


def compose(report: Report, original: bytes | None) -> Composed:
    """The notification about `original`, which is None when the message's file is gone.

    The same values make the same bytes. What people read is in the report's language; the rest is as the RFCs have it.
    """
    with translation.override(first_known(report.language)):
        return _composed(report, original)


def _composed(report: Report, original: bytes | None) -> Composed:
    utf8 = report.smtputf8 and not all(_is_ascii(recipient) for recipient in report.recipients)
    utf8 = utf8 or not report.reverse_path.rpartition("@")[0].isascii()
    third, returned = _returned(report, original)
    parts = [_text(text_of(report, returned)), _status(report, utf8)]
    if third is not None:
        parts.append(third)
    contents = [part.content for part in parts]
    eight_bit = any(part.encoding == "8bit" for part in parts)
    boundary = _boundary(report, contents)
    kind = "global-delivery-status" if utf8 else "delivery-status"
    header = _header(report, utf8) + "".join(
        [
            field("MIME-Version", "1.0"),
            field("Content-Type", f'multipart/report; report-type={kind}; boundary="{boundary}"'),
            field("Content-Transfer-Encoding", "8bit") if eight_bit else "",
        ]
    )
    delimiter = f"--{boundary}".encode("ascii")
    body = b"".join(delimiter + b"\r\n" + content + b"\r\n" for content in contents) + delimiter + b"--\r\n"
    encoded_header = header.encode()
    return Composed(
        encoded_header + b"\r\n" + body,
        subject_of(report),
        smtputf8=not encoded_header.isascii(),
        eight_bit=eight_bit or not encoded_header.isascii(),
    )


def _is_ascii(recipient: ReportedRecipient) -> bool:
    return recipient.address.isascii() and recipient.original.isascii() and recipient.orcpt.isascii()


def _header(report: Report, utf8: bool) -> str:
    """The header without its MIME fields."""
    from_address = mailbox(report.postmaster, utf8=utf8) or f"postmaster@{_host(report.reporting_mta)}"
    to_address = mailbox(report.reverse_path, utf8=utf8)
    original_id = message_id(report.original_message_id)
    return "".join(
        [
            field("Date", date(report.date)),
            field("From", f"Mail Delivery System <{from_address}>"),
            # An address that no header can hold still gets the message: the envelope has it.
            field("To", f"<{to_address}>" if to_address else "undisclosed-recipients:;"),
            unstructured("Subject", subject_of(report)),
            field("Message-ID", report.message_id),
            field("In-Reply-To", original_id) if original_id else "",
            field("References", original_id) if original_id else "",
            field("Auto-Submitted", "auto-replied"),
        ]
    )


def _boundary(report: Report, contents: list[bytes]) -> str:
    """A delimiter that no part contains."""
    name = hashlib.sha256(report.message_id.encode()).hexdigest()[:32]
    while any(name.encode("ascii") in content for content in contents):
        name = hashlib.sha256(name.encode("ascii")).hexdigest()[:32]
    return f"=_{name}"


def _text(text: str) -> _Part:
    body = text.encode().replace(b"\n", b"\r\n")
    if body.isascii() and _longest_line(body) <= LONGEST_LINE:
        return _Part("text/plain; charset=us-ascii", "", body, "Notification")
    return _Part("text/plain; charset=utf-8", "quoted-printable", quoted_printable(body), "Notification")


def _status(report: Report, utf8: bool) -> _Part:
    """The part for mail programs (RFC 3464 2.1): fields about the message, then a group for each recipient."""
    groups = [_message_fields(report), *(_recipient_fields(recipient, utf8) for recipient in report.recipients)]
    body = "\r\n".join(groups).encode()
    if utf8:
        return _Part("message/global-delivery-status", "8bit", body, "Delivery report")
    return _Part("message/delivery-status", "", body, "Delivery report")


def _message_fields(report: Report) -> str:
    lines = [field("Reporting-MTA", f"dns; {_host(report.reporting_mta)}")]
    if report.envid and (envid := _decoded_envid(report.envid)):
        lines.append(field("Original-Envelope-Id", envid))
    lines.append(field("Arrival-Date", date(report.arrival)))
    if report.release is not None:
        # RFC 4865 7.
        lines.append(field("Future-Release-Request", f"until; {report.release:%Y-%m-%dT%H:%M:%SZ}"))
    if file_name := one_line(report.file_name, 255, ascii_only=True):
        lines.append(field("X-Mailspool-File-Name", file_name))
    return "".join(lines)


def _decoded_envid(envid: str) -> str:
    try:
        return one_line(xtext.decode(envid), 255, ascii_only=True)
    except xtext.InvalidParameter:
        return ""


def _recipient_fields(recipient: ReportedRecipient, utf8: bool) -> str:
    lines = []
    if original := _original_recipient(recipient, utf8):
        lines.append(field("Original-Recipient", original))
    lines.append(field("Final-Recipient", _typed(recipient.address, utf8)))
    lines.append(field("Action", recipient.action))
    lines.append(field("Status", recipient.status))
    if host := _remote_host(recipient.host):
        lines.append(field("Remote-MTA", f"dns; {host}"))
    if reply := one_line(recipient.reply, ascii_only=not utf8):
        # The type "smtp" promises what a host answered (RFC 3464 2.3.6, 9.2); what we say ourselves is of our own type.
        kind = "smtp" if host and is_smtp_reply(reply) else "X-Mailspool"
        lines.append(field("Diagnostic-Code", f"{kind}; {reply}"))
    if recipient.last_attempt:
        lines.append(field("Last-Attempt-Date", date(recipient.last_attempt)))
    if recipient.action is Action.DELAYED and recipient.retry_until:
        lines.append(field("Will-Retry-Until", date(recipient.retry_until)))
    return "".join(lines)


def _original_recipient(recipient: ReportedRecipient, utf8: bool) -> str:
    """What the sender's side called the recipient: ORCPT, or else the address before an alias changed it."""
    if recipient.orcpt:
        try:
            kind, address = xtext.original_recipient(recipient.orcpt)
        except xtext.InvalidParameter:
            return ""
        if kind in ("rfc822", "utf-8"):
            return _typed(address, utf8, kind)
        return f"{kind}; {one_line(address, 500, ascii_only=True)}"
    return _typed(recipient.original, utf8) if recipient.original else ""


def _typed(address: str, utf8: bool, kind: str = "rfc822") -> str:
    """`address` with its type (RFC 3464 2.3.2, RFC 6533 3); beyond ASCII it is escaped where UTF-8 may not stand."""
    text = one_line(address, 500)
    if text.isascii() and kind == "rfc822":
        return f"rfc822; {text}"
    return f"utf-8; {text if utf8 else xtext.encode_utf8(text)}"


def _returned(report: Report, original: bytes | None) -> tuple[_Part | None, Returned]:
    """The third part (RFC 3461 6.2): the message when it failed and may go back whole, or else its header."""
    if original is None:
        return None, Returned.NOTHING
    message = _LINE_END.sub(b"\r\n", original)
    header = header_block(message)
    whole = report.action is Action.FAILED and report.ret != "HDRS" and len(message) <= LARGEST_RETURNED_BYTES
    if whole and b"\0" not in message and _longest_line(message) <= LONGEST_LINE:
        encoding = "" if message.isascii() else "8bit"
        if header.isascii():
            return _Part("message/rfc822", encoding, message, "Undelivered message"), Returned.MESSAGE
        if report.smtputf8 and _is_utf8(header):
            return _Part("message/global", encoding, message, "Undelivered message"), Returned.MESSAGE
    return _returned_header(report, header), Returned.HEADERS


def _returned_header(report: Report, header: bytes) -> _Part:
    if len(header) > LARGEST_RETURNED_BYTES:
        header = header[: header.rfind(b"\r\n", 0, LARGEST_RETURNED_BYTES) + 2]
    if b"\0" not in header and _longest_line(header) <= LONGEST_LINE:
        if header.isascii():
            return _Part("text/rfc822-headers", "", header, "Header of the message")
        if report.smtputf8 and _is_utf8(header):
            return _Part("message/global-headers", "8bit", header, "Header of the message")
    # RFC 6522 4: a header that 7bit can't carry goes as quoted-printable.
    return _Part("text/rfc822-headers", "quoted-printable", quoted_printable(header), "Header of the message")


def _is_utf8(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


def _longest_line(content: bytes) -> int:
    return max(map(len, content.split(b"\r\n")))


def _host(name: str) -> str:
    return name if _HOST.fullmatch(name) else "localhost"


def _remote_host(name: str) -> str:
    """`name` as a field may hold it: a host name, or an address in brackets; "" for anything else."""
    if _IP_ADDRESS.fullmatch(name):
        return f"[{name}]"
    return name.rstrip(".") if _HOST.fullmatch(name) else ""
