"""The DKIM signatures of a message (RFC 6376), by dkimpy; but the body is hashed in pieces (dkim_body.py)."""

from __future__ import annotations

import binascii
import logging
import re
from base64 import b64decode
from collections.abc import Iterator
from typing import Any, Final

import dkim
from dkim.canonicalization import CanonicalizationPolicy, InvalidCanonicalizationPolicyError

from base.dns_texts import tags_of
from quarantine.engines.dkim_body import body_hash
from quarantine.engines.examined import Examined
from spool.message.header import raw_fields

_PIECE_BYTES: Final = 256 * 1024
_NAME: Final = re.compile(rb"([!-9;-~]+):")
_DIGESTS: Final = {b"rsa-sha1": "sha1", b"rsa-sha256": "sha256", b"ed25519-sha256": "sha256"}
_SERVICES: Final = re.compile(rb"(?:(?<=;)|^)\s*s\s*=[^;]*;?")
_silent = logging.getLogger("quarantine.dkim")
_silent.setLevel(logging.CRITICAL)


class Signed(dkim.DKIM):  # type: ignore[misc]
    """A message and its signatures. Raises dkim.MessageFormatError for a header that can't be signed."""

    def __init__(self, examined: Examined, timeout: float) -> None:
        # Keys may be for TLS reports alone (s=tlsrpt, RFC 8460 3).
        is_report = b"tlsrpt" in examined.fields.first("content-type").lower()
        super().__init__(None, logger=_silent, timeout=timeout, tlsrpt=is_report)
        # Whether the key of the last signature says that its owner is only trying (t=y, RFC 6376 3.6.1).
        self.is_tried = False
        self.headers = _fields(examined.head)
        self._examined = examined
        self._digests: dict[tuple[bool, str, int | None], bytes] = {}

    def verify_sig(self, sig: Any, include_headers: Any, sig_header: Any, dnsfunc: Any) -> bool:
        """As the library does; a DNS that gives no answer is told, and not taken for a signature that is wrong."""
        name = sig[b"s"] + b"._domainkey." + sig[b"d"] + b"."
        record = dnsfunc(name, timeout=self.timeout)
        try:
            # Which services it is for is looked at below: the library knows no lists of them.
            key = dkim.evaluate_pk(name, _SERVICES.sub(b"", record) if record else record)
        except (dkim.KeyFormatError, binascii.Error):
            return False
        self.pk, self.keysize, self.ktag, _ = key
        self._check_use(sig, record)
        return bool(self.verify_sig_process(sig, include_headers, sig_header, dnsfunc))

    def _check_use(self, sig: dict[bytes, bytes], record: bytes) -> None:
        """Raises dkim.ValidationError where the key is not for such a signature (6.1.2): the library does not."""
        tags = tags_of(record.decode("ascii", "replace"))
        flags, hashes = _listed(tags.get("t", "")), _listed(tags.get("h", ""))
        self.is_tried = "y" in flags
        services = {"*", "email", "tlsrpt"} if self.tlsrpt else {"*", "email"}
        if not services & set(_listed(tags.get("s", "*")) or ["*"]):
            raise dkim.ValidationError(f"the key is not for mail (s={tags['s'][:40]})")
        if hashes and _DIGESTS[sig[b"a"]] not in hashes:
            raise dkim.ValidationError(f"the key is not for {_DIGESTS[sig[b'a']]} (h=)")
        identity = sig.get(b"i", b"@" + sig[b"d"]).rpartition(b"@")[2]
        if "s" in flags and identity.lower() != sig[b"d"].lower():
            raise dkim.ValidationError("the key is not for subdomains (t=s)")

    def verify_sig_process(self, sig: Any, include_headers: Any, sig_header: Any, dnsfunc: Any) -> bool:
        if b"bh" in sig:
            self._check_body(sig)
        # Without it the library leaves the body alone.
        sig = {name: value for name, value in sig.items() if name != b"bh"}
        return bool(super().verify_sig_process(sig, include_headers, sig_header, dnsfunc))

    def _check_body(self, sig: dict[bytes, bytes]) -> None:
        """Raises dkim.ValidationError when the body is another one."""
        try:
            policy = CanonicalizationPolicy.from_c_value(sig.get(b"c", b"simple/simple"))
        except InvalidCanonicalizationPolicyError as error:
            raise dkim.MessageFormatError(f"invalid c= value: {error.args[0]}") from error
        relaxed = policy.body_algorithm.name == b"relaxed"
        which = (relaxed, _DIGESTS[sig[b"a"]], int(sig[b"l"]) if b"l" in sig else None)
        if which not in self._digests:
            relaxed, algorithm, length = which
            pieces = _body(self._examined)
            self._digests[which] = body_hash(pieces, relaxed=relaxed, algorithm=algorithm, length=length)
        if self._digests[which] != b64decode(re.sub(rb"\s+", b"", sig[b"bh"])):
            raise dkim.ValidationError("body hash mismatch")


def _listed(text: str) -> list[str]:
    return [one.strip().lower() for one in text.split(":") if one.strip()]


def _fields(head: bytes) -> list[list[bytes]]:
    """(name, value with CRLF) of each, as dkimpy has them."""
    found = []
    for number, field in enumerate(raw_fields(head)):
        name = _NAME.match(field)
        if name is not None:
            value = field[name.end() :].replace(b"\r\n", b"\n").removesuffix(b"\n")
            found.append([name[1], value.replace(b"\n", b"\r\n") + b"\r\n"])
        elif number or not field.startswith(b"From "):
            raise dkim.MessageFormatError("a line of the header is no field")
    return found


def _body(examined: Examined) -> Iterator[bytes]:
    """What follows the empty line after the header. Raises FileNotFoundError when the message is gone."""
    start = len(examined.head)
    content = examined.held
    if content is None and examined.is_small:
        content = examined.content
    if content is not None:
        yield _after_empty_line(content[start:])
        return
    with examined.path.open("rb") as file:
        file.seek(start)
        yield _after_empty_line(file.read(_PIECE_BYTES))
        while piece := file.read(_PIECE_BYTES):
            yield piece


def _after_empty_line(rest: bytes) -> bytes:
    return rest.removeprefix(b"\r\n") if rest.startswith(b"\r\n") else rest.removeprefix(b"\n")
