"""The certificate of the mail ports."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from django.conf import settings as django_settings

from mailspool.inspection.findings import Finding, fault, ok, warning
from spool.models.settings import current
from spool.models.validation import certificate_complaint

# Certbot renews a month before the end: something is wrong when two weeks are left.
_SOON = timedelta(days=14)


def certificate() -> Iterator[Finding]:
    """Whether it can be read, is the key's, is valid, and names this host."""
    settings = current()
    if not settings.tls_certificate:
        yield warning(
            "certificate",
            "The mail ports use a self-signed one, which mail programs of users refuse. `settings set tls_certificate=…"
            " tls_key=…` names another (docs/configuration.md).",
        )
        return
    if complaint := certificate_complaint(settings.tls_certificate, settings.tls_key):
        yield fault("certificate", complaint)
        return
    if Path(settings.tls_key).stat().st_mode & (stat.S_IRWXO | stat.S_IWGRP):
        yield fault("certificate", f"The key {settings.tls_key} is open to others: chmod 640 {settings.tls_key}.")
    found = x509.load_pem_x509_certificates(Path(settings.tls_certificate).read_bytes())[0]
    yield from examine(found, django_settings.MAILSPOOL_HOSTNAME, datetime.now(UTC))


def examine(found: x509.Certificate, hostname: str, now: datetime) -> Iterator[Finding]:
    """Dates and names of a certificate."""
    ends = found.not_valid_after_utc
    if ends <= now:
        yield fault("certificate", f"It has expired on {ends:%-d %B %Y}: renew it (certbot renew).")
    elif found.not_valid_before_utc > now:
        yield fault("certificate", f"It is valid only from {found.not_valid_before_utc:%-d %B %Y}: is the clock right?")
    elif ends - now < _SOON:
        yield warning("certificate", f"It expires on {ends:%-d %B %Y}: is it renewed (certbot renew)?")
    else:
        yield ok("certificate", f"Valid until {ends:%-d %B %Y}.")
    names = _names(found)
    if not any(_fits(name, hostname) for name in names):
        listed = ", ".join(names) or "no host"
        yield fault("certificate", f"It names {listed}, and not {hostname} (MAILSPOOL_HOSTNAME): clients refuse it.")


def _names(found: x509.Certificate) -> list[str]:
    try:
        alternative = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    return [os.fsdecode(name).lower() for name in alternative.get_values_for_type(x509.DNSName)]


def _fits(name: str, hostname: str) -> bool:
    """RFC 6125 6.4.3: a wildcard stands for one whole label."""
    hostname = hostname.lower().rstrip(".")
    if name.startswith("*."):
        return hostname.partition(".")[2] == name[2:]
    return name == hostname
