"""A certificate authority of the test's own, and TLS servers with good and bad certificates."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


class Authority:
    """`certificate` is its PEM file, as SSL_CERT_FILE wants it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _named("Test Authority")
        self._count = 0
        issued = self._signed(self._name, self._key, ["authority.test"], days=30, ca=True)
        self.certificate = folder / "authority.pem"
        self.certificate.write_bytes(issued.public_bytes(serialization.Encoding.PEM))

    def server(self, name: str, *others: str, days: int = 30) -> ssl.SSLContext:
        """A server with a certificate for `name`, and more; negative `days` make one that has expired."""
        key = ec.generate_private_key(ec.SECP256R1())
        return self._context(self._signed(_named(name), key, [name, *others], days=days), key)

    def files(self, folder: Path, name: str, *, days: int = 30) -> tuple[Path, Path]:
        """The same as two files, as certbot names them: chain and key."""
        key = ec.generate_private_key(ec.SECP256R1())
        folder.mkdir(parents=True, exist_ok=True)
        chain, secret = folder / "fullchain.pem", folder / "privkey.pem"
        issued = self._signed(_named(name), key, [name], days=days)
        chain.write_bytes(issued.public_bytes(serialization.Encoding.PEM) + self.certificate.read_bytes())
        secret.write_bytes(_pem(key))
        return chain, secret

    def self_signed(self, name: str) -> ssl.SSLContext:
        key = ec.generate_private_key(ec.SECP256R1())
        builder = _builder(_named(name), _named(name), key.public_key(), [name], 30, ca=False)
        return self._context(builder.sign(key, hashes.SHA256()), key)

    def without_certificate(self) -> ssl.SSLContext:
        """No handshake with it can succeed."""
        return ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)

    def _signed(
        self, subject: x509.Name, key: ec.EllipticCurvePrivateKey, names: list[str], *, days: int, ca: bool = False
    ) -> x509.Certificate:
        builder = _builder(subject, self._name, key.public_key(), names, days, ca=ca)
        return builder.sign(self._key, hashes.SHA256())

    def _context(self, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> ssl.SSLContext:
        self._count += 1
        path = self._folder / f"server-{self._count}.pem"
        path.write_bytes(_pem(key) + certificate.public_bytes(serialization.Encoding.PEM))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path)
        return context


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _named(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, names: list[str], days: int, *, ca: bool
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=60))
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
    )
