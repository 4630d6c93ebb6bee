"""The certificate of our own ports: the administrator's, or a self-signed one that is made at the first run."""

from __future__ import annotations

import os
import secrets
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from django.conf import settings as django_settings

from spool.files import marks
from spool.models.settings import Settings

TEN_YEARS = timedelta(days=3650)


def server_context(settings: Settings) -> ssl.SSLContext:
    """A context with the certificate that the settings name. Raises OSError or ssl.SSLError when it can't be used."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if settings.tls_certificate:
        # A key under a password is refused at once, rather than asked for on a terminal that nobody watches.
        context.load_cert_chain(settings.tls_certificate, settings.tls_key, password=lambda: "")
    else:
        context.load_cert_chain(_self_signed(django_settings.MAILSPOOL_HOSTNAME))
    return context


def expires(settings: Settings) -> datetime:
    """When the certificate that the settings name does. Raises OSError or ValueError when it can't be read."""
    path = Path(settings.tls_certificate or _self_signed(django_settings.MAILSPOOL_HOSTNAME))
    return x509.load_pem_x509_certificates(path.read_bytes())[0].not_valid_after_utc


def version_of(settings: Settings) -> tuple[object, ...]:
    """Another value when the settings name other files, or a renewal has replaced them. Never raises."""
    paths = (settings.tls_certificate, settings.tls_key)
    return (*paths, *(_changed(path) for path in paths if path))


def _changed(path: str) -> int:
    try:
        return Path(path).stat().st_mtime_ns
    except OSError:
        return 0


def _self_signed(hostname: str) -> Path:
    """One PEM file with key and certificate, so that two first runs at once can't mix theirs."""
    path: Path = django_settings.HOME.keys / "self-signed.pem"
    if path.exists():
        return path
    marks.require(marks.KEYS)
    django_settings.HOME.create()
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, hostname[:64])])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + TEN_YEARS)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(hostname)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    draft = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    draft.touch(mode=0o600)
    draft.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    try:
        os.link(draft, path)
    except FileExistsError:
        pass
    draft.unlink()
    return path
