"""The certificate of the mail ports."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from django.conf import settings as django_settings

from base.facts import Fact, fact
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
            fact(
                "The mail ports use a self-signed one, which mail programs of users refuse. `settings set"
                " tls_certificate=… tls_key=…` names another (docs/configuration.md)."
            ),
        )
        return
    if complaint := certificate_complaint(settings.tls_certificate, settings.tls_key):
        yield fault("certificate", complaint)
        return
    if Path(settings.tls_key).stat().st_mode & (stat.S_IRWXO | stat.S_IWGRP):
        yield fault(
            "certificate",
            fact("The key %(path)s is open to others: chmod 640 %(path)s.", path=settings.tls_key),
        )
    found = x509.load_pem_x509_certificates(Path(settings.tls_certificate).read_bytes())[0]
    yield from examine(found, django_settings.MAILSPOOL_HOSTNAME, datetime.now(UTC))


def examine(found: x509.Certificate, hostname: str, now: datetime) -> Iterator[Finding]:
    """Dates and names of a certificate."""
    ends = found.not_valid_after_utc
    if ends <= now:
        yield fault("certificate", fact("It expired on %(day)s: renew it (certbot renew).", day=_day(ends)))
    elif found.not_valid_before_utc > now:
        yield fault(
            "certificate",
            fact("It is valid only from %(day)s: is the clock right?", day=_day(found.not_valid_before_utc)),
        )
    elif ends - now < _SOON:
        yield warning("certificate", fact("It expires on %(day)s: is it renewed (certbot renew)?", day=_day(ends)))
    else:
        yield ok("certificate", fact("Valid until %(day)s.", day=_day(ends)))
    names = _names(found)
    if not any(_fits(name, hostname) for name in names):
        yield fault("certificate", _of_others(names, hostname))


def _of_others(names: list[str], hostname: str) -> Fact:
    if not names:
        return fact(
            "It names no host: clients that look for %(hostname)s (MAILSPOOL_HOSTNAME) refuse it.", hostname=hostname
        )
    return fact(
        "It names %(names)s, and not %(hostname)s (MAILSPOOL_HOSTNAME): clients refuse it.",
        names=names,
        hostname=hostname,
    )


def _day(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d}"


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
