"""Whether the certificates that a host presents are those that its TLSA records tell of (RFC 7672 3, RFC 7671 5).

Python's ssl does not have OpenSSL's DANE functions. Usage 3 needs only the host's own certificate: the handshake has
proved its key, and names and dates don't count. For usage 2 the chain is verified by `cryptography`, with the
certificate that matches as the only authority.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from hashlib import sha256, sha512
from typing import Any, Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import load_der_public_key
from cryptography.x509 import verification
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from spool.delivery.remote.dane.records import AUTHORITY, CERTIFICATE, HOST, KEY, WHOLE, Record, Tlsa

# Of what a host presents. Real chains have four at most; many that fit each other in any order take long to verify.
MOST_CERTIFICATES: Final = 6
_FOR_SERVERS: Final = frozenset({ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE})
_SEQUENCE: Final = 0x30
_VERSION: Final = 0xA0


class Mismatch(Exception):
    """It is not the host that the records tell of, as far as can be told; the message says why."""


def presented_chain(connection: ssl.SSLObject) -> list[bytes]:
    """What the other side presented, in DER, its own certificate first."""
    if hasattr(connection, "get_unverified_chain"):
        return list(connection.get_unverified_chain())
    # Public from Python 3.13 on. Before, nothing public has the chain of a connection of asyncio's: pyOpenSSL has no
    # transport for it.
    inner: Any = connection._sslobj  # type: ignore[attr-defined]
    return [ssl.PEM_cert_to_DER_cert(certificate.public_bytes()) for certificate in inner.get_unverified_chain() or ()]


def check(tlsa: Tlsa, chain: Sequence[bytes]) -> None:
    """Raise Mismatch unless one of the records fits. `chain` is in DER, the host's own certificate first."""
    if not chain:
        raise Mismatch("it presented no certificate")
    if any(record.usage == HOST and _fits(record, chain[0]) for record in tlsa.records):
        return
    authorities = [record for record in tlsa.records if record.usage == AUTHORITY]
    if not authorities:
        raise Mismatch("its certificate is not the one that its TLSA records name (DANE)")
    try:
        _check_chain(authorities, chain[:MOST_CERTIFICATES], tlsa.names)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise Mismatch(f"its certificates can't be read (DANE): {error}") from error


def _fits(record: Record, certificate: bytes) -> bool:
    try:
        shown = certificate if record.selector == CERTIFICATE else key_of(certificate)
    except ValueError:
        return False
    if record.matching != WHOLE:
        shown = (sha256 if record.matching == 1 else sha512)(shown).digest()
    return shown == record.data


def key_of(certificate: bytes) -> bytes:
    """The public key (SubjectPublicKeyInfo) of a certificate, byte by byte as it is there. Raises ValueError.

    To read it and write it again could change its spelling, and would fail for kinds that `cryptography` does not know.
    """
    start, _ = _element(certificate, 0)
    start, _ = _element(certificate, start)
    # TBSCertificate (RFC 5280 4.1): a version that may be missing, and five elements before the key.
    if certificate[start : start + 1] == bytes([_VERSION]):
        start = _element(certificate, start)[1]
    for _ in range(5):
        start = _element(certificate, start)[1]
    end = _element(certificate, start)[1]
    if certificate[start] != _SEQUENCE:
        raise ValueError("there is no public key")
    return certificate[start:end]


def _element(der: bytes, at: int) -> tuple[int, int]:
    """Where the content of the element at this place begins, and where it ends. Raises ValueError."""
    if at + 2 > len(der):
        raise ValueError("it ends too soon")
    length, start = der[at + 1], at + 2
    if length >= 0x80:
        start += length - 0x80
        length = int.from_bytes(der[at + 2 : start])
    if start + length > len(der):
        raise ValueError("it ends too soon")
    return start, start + length


def _check_chain(records: Sequence[Record], chain: Sequence[bytes], names: Sequence[str]) -> None:
    """Whether a certificate that one of the records names vouches for the host's own. Raises Mismatch, ValueError."""
    certificates = [x509.load_der_x509_certificate(der) for der in chain]
    own, others = certificates[0], certificates[1:]
    reason = "no certificate of it is the authority that its TLSA records name (DANE)"
    for authority in _authorities(records, chain, certificates):
        try:
            _verified(own, others, authority)
            _check_name(own, names)
        except (verification.VerificationError, Mismatch) as error:
            reason = f"the authority that its TLSA records name does not vouch for it (DANE): {error}"
        else:
            return
    if any(_is_signed_by(record, own) for record in records):
        _check_alone(own)
        _check_name(own, names)
        return
    raise Mismatch(reason)


def _authorities(
    records: Sequence[Record], chain: Sequence[bytes], certificates: Sequence[x509.Certificate]
) -> Iterator[x509.Certificate]:
    """Those that the records name, presented or in full in a record; and who was certified by a bare key in one."""
    for der, certificate in zip(chain[1:], certificates[1:], strict=True):
        if any(_fits(record, der) or _is_signed_by(record, certificate) for record in records):
            yield certificate
    for record in records:
        if (record.selector, record.matching) == (CERTIFICATE, WHOLE):
            yield x509.load_der_x509_certificate(record.data)


def _verified(own: x509.Certificate, others: Sequence[x509.Certificate], authority: x509.Certificate) -> None:
    """Raise VerificationError unless a path leads from `authority` to `own` (RFC 5280 6), today.

    The library's profile of the Web is not asked for: who runs an authority for his own hosts need not know it. Names
    are not checked here, for a host without subjectAltName may be named by its subject (RFC 7672 3.2.3).
    """
    policies = verification.ExtensionPolicy
    agnostic = verification.Criticality.AGNOSTIC
    issuers = policies.permit_all().require_present(x509.BasicConstraints, agnostic, _must_be_authority)
    hosts = policies.permit_all().may_be_present(x509.ExtendedKeyUsage, agnostic, _must_be_for_servers)
    verifier = (
        verification.PolicyBuilder()
        .store(verification.Store([authority]))
        .extension_policies(ca_policy=issuers, ee_policy=hosts)
        .build_client_verifier()
    )
    verifier.verify(own, list(others))


def _must_be_authority(
    policy: verification.Policy, certificate: x509.Certificate, constraints: x509.BasicConstraints
) -> None:
    if not constraints.ca:
        raise ValueError("an issuer is no certificate authority")


def _must_be_for_servers(
    policy: verification.Policy, certificate: x509.Certificate, usages: x509.ExtendedKeyUsage | None
) -> None:
    if usages is not None and not _FOR_SERVERS.intersection(usages):
        raise ValueError("the certificate is not for servers")


def _is_signed_by(record: Record, certificate: x509.Certificate) -> bool:
    """Whether the record is a bare key in full, and the certificate is signed by it."""
    if (record.selector, record.matching) != (KEY, WHOLE):
        return False
    try:
        key = load_der_public_key(record.data)
        algorithm = certificate.signature_hash_algorithm
        if isinstance(key, rsa.RSAPublicKey) and algorithm is not None:
            padding: Any = certificate.signature_algorithm_parameters
            key.verify(certificate.signature, certificate.tbs_certificate_bytes, padding, algorithm)
        elif isinstance(key, ec.EllipticCurvePublicKey) and algorithm is not None:
            key.verify(certificate.signature, certificate.tbs_certificate_bytes, ec.ECDSA(algorithm))
        else:
            return False
    except (InvalidSignature, UnsupportedAlgorithm, ValueError, TypeError):
        return False
    return True


def _check_alone(certificate: x509.Certificate) -> None:
    """Raise Mismatch unless a host's certificate that a bare key has signed is good today, and for servers."""
    if not certificate.not_valid_before_utc <= datetime.now(UTC) <= certificate.not_valid_after_utc:
        raise Mismatch("its certificate is not valid today")
    try:
        usages = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return
    if not _FOR_SERVERS.intersection(usages):
        raise Mismatch("its certificate is not for servers")


def _check_name(certificate: x509.Certificate, names: Sequence[str]) -> None:
    """Raise Mismatch unless the certificate names the host: by subjectAltName, without any by its subject."""
    try:
        alternatives = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        shown = alternatives.get_values_for_type(x509.DNSName)
    except x509.ExtensionNotFound:
        shown = []
    if not shown:
        shown = [str(part.value) for part in certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    if not any(_names(pattern.lower().rstrip("."), name) for pattern in shown for name in names):
        raise Mismatch(f"its certificate is for {', '.join(shown[:3])[:100] or 'nobody'}, not for {names[0]}")


def _names(pattern: str, name: str) -> bool:
    """A star stands for exactly the first label (RFC 6125 6.4.3)."""
    return pattern == name or (pattern.startswith("*.") and name.partition(".")[2] == pattern[2:] != "")
