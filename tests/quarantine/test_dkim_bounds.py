"""Messages that are made to keep whoever verifies their DKIM signatures busy."""

from __future__ import annotations

import base64
from functools import cache
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from quarantine.engines import authentication
from quarantine.engines.examined import Examined

SIGNATURE = b"DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=far.test; s=s1; h=%s; bh=AAAA; b=%s\r\n"


@cache
def _key() -> bytes:
    public = rsa.generate_private_key(public_exponent=65537, key_size=2048).public_key()
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return b"v=DKIM1; k=rsa; p=" + base64.b64encode(public.public_bytes(serialization.Encoding.DER, form))


def results(content: bytes, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    monkeypatch.setattr(authentication, "_txt", lambda *_, **__: _key())
    examined = Examined(Path("none"), len(content), "ann@far.test", held=content)
    return [(one.result, one.text) for one in authentication._check_dkim(examined)]


def test_a_run_of_blanks_in_the_body_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    # Read once from each of its blanks, it takes hours.
    content = SIGNATURE % (b"from", b"AAAA") + b"From: ann@far.test\r\n\r\n" + b" " * 4_000_000 + b"x\r\n"
    [(result, text)] = results(content, monkeypatch)
    assert (result, "body hash mismatch" in text) == ("fail", True)


@pytest.mark.parametrize(
    ("names", "signature", "why"),
    [
        (b"from", b"AAAA" + b"\r\n " * 60_000 + b"!", "more than 8 KB"),
        (b"from", b"AAAA" + b"\r\n " * 2_000 + b"!", "hundreds of blanks"),
        (b"from" + b" " * 5_000 + b"x", b"AAAA", "hundreds of blanks"),
        (b":".join([b"x"] * 400), b"AAAA", "more than 200 fields"),
    ],
)
def test_a_signature_that_nobody_needs_is_not_looked_at(
    names: bytes, signature: bytes, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = SIGNATURE % (names, signature) + b"From: ann@far.test\r\n\r\nbody\r\n"
    [(result, text)] = results(content, monkeypatch)
    assert result == "permerror"
    assert why in text


def test_neither_is_one_of_a_message_with_thousands_of_fields(monkeypatch: pytest.MonkeyPatch) -> None:
    content = SIGNATURE % (b"from", b"AAAA") + b"X: y\r\n" * 3_000 + b"From: ann@far.test\r\n\r\nbody\r\n"
    assert results(content, monkeypatch) == [("permerror", "a header of more than 2000 fields")]
