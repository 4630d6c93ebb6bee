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

from quarantine.engines.dkim_body import body_hash
from quarantine.engines.examined import Examined
from spool.message.header import raw_fields

_PIECE_BYTES: Final = 256 * 1024
_NAME: Final = re.compile(rb"([!-9;-~]+):")
_DIGESTS: Final = {b"rsa-sha1": "sha1", b"rsa-sha256": "sha256", b"ed25519-sha256": "sha256"}
_silent = logging.getLogger("quarantine.dkim")
_silent.setLevel(logging.CRITICAL)


class Signed(dkim.DKIM):  # type: ignore[misc]
    """A message and its signatures. Raises dkim.MessageFormatError for a header that can't be signed."""

    def __init__(self, examined: Examined, timeout: float) -> None:
        super().__init__(None, logger=_silent, timeout=timeout)
        self.headers = _fields(examined.head)
        self._examined = examined
        self._digests: dict[tuple[bool, str, int | None], bytes] = {}

    def verify_sig(self, sig: Any, include_headers: Any, sig_header: Any, dnsfunc: Any) -> bool:
        """As the library does; a DNS that gives no answer is told, and not taken for a signature that is wrong."""
        name = sig[b"s"] + b"._domainkey." + sig[b"d"] + b"."
        try:
            key = dkim.load_pk_from_dns(name, dnsfunc, timeout=self.timeout)
        except (dkim.KeyFormatError, binascii.Error):
            return False
        self.pk, self.keysize, self.ktag, self.seqtlsrpt = key
        return bool(self.verify_sig_process(sig, include_headers, sig_header, dnsfunc))

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
