"""DKIM over messages of any size: the body is hashed in pieces, as the library hashes it whole."""

from __future__ import annotations

import hashlib
import tracemalloc
from collections.abc import Iterator

import pytest
from dkim.canonicalization import CanonicalizationPolicy
from hypothesis import given
from hypothesis import strategies as st

from quarantine.engines.dkim_body import body_hash
from quarantine.models import CheckKind
from tests.quarantine.spamming import a_check, a_mail, from_outside, signed
from tests.quarantine.test_dmarc import results
from tests.spool.passing import FAR, Spool

_pieces = st.lists(
    st.lists(st.sampled_from([b" ", b"\t", b"\r\n", b"\n", b"\r", b"a", b".", b"\xff"]), max_size=8).map(b"".join),
    max_size=8,
)


@given(_pieces, st.sampled_from(["simple", "relaxed"]), st.none() | st.integers(0, 30))
def test_in_pieces_the_digest_is_that_of_the_whole(pieces: list[bytes], how: str, length: int | None) -> None:
    # As the library takes a message apart.
    body = b"".join(pieces).replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    canonical = CanonicalizationPolicy.from_c_value(f"simple/{how}".encode()).canonicalize_body(body)[:length]
    whole = hashlib.sha256(canonical).digest()
    assert body_hash(pieces, relaxed=how == "relaxed", algorithm="sha256", length=length) == whole


@pytest.mark.parametrize("piece", [b" " * 4096, b"\r\n" * 2048, b" \r\n" * 1365, b"\t" * 4095 + b"\r"])
def test_what_is_left_out_at_the_end_is_not_kept_in_memory(piece: bytes) -> None:
    def pieces() -> Iterator[bytes]:
        yield from (piece for _ in range(500))

    tracemalloc.start()
    body_hash(pieces(), relaxed=True, algorithm="sha256")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 300_000


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("change", ["", "at its end"])
def test_over_the_limit_for_content_dkim_is_verified_and_dmarc_judged_by_it(spool: Spool, change: str) -> None:
    spool.dns.add(f"_dmarc.{FAR}", "TXT", '"v=DMARC1; p=reject"')
    for kind in (CheckKind.DKIM, CheckKind.DMARC):
        a_check(kind, 10, timeout_seconds=30)
    content = signed(a_mail("\r\n".join(["The quick brown fox  jumps over the lazy dog."] * 120_000)), spool)
    assert len(content) > 5_000_000
    from_outside(spool, content + (f"{change}\r\n".encode() if change else b""), sender="eve@elsewhere.test")
    result = "fail" if change else "pass"
    asked = " policy.dmarc=reject" if result == "fail" else ""
    assert results(spool) == [f"mail.test; dkim={result} header.d={FAR}; dmarc={result} header.from={FAR}{asked}"]


@pytest.mark.django_db(transaction=True)
def test_a_key_for_which_the_dns_gives_no_answer_is_no_wrong_signature(spool: Spool) -> None:
    a_check(CheckKind.DKIM, 10)
    content = signed(a_mail(), spool)
    spool.dns.fail(f"s1._domainkey.{FAR}", "SERVFAIL")
    from_outside(spool, content)
    assert results(spool) == [f"mail.test; dkim=temperror header.d={FAR}"]
