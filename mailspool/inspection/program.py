"""The program itself: Django's own checks, the plug-ins that settings name, and who may reach the console."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

from django.conf import settings
from django.core import checks
from django.utils.module_loading import import_string

from mailspool.inspection.findings import Finding, fault, first_line, ok, warning

# Lists of dotted paths, and single ones.
EXTENSION_POINTS = (
    "SPOOL_SMTP_CHECKS",
    "SPOOL_STAGES",
    "SPOOL_HOLDERS",
    "SPOOL_SWEEPS",
    "SPOOL_SWEEPS_HERE",
    "SPOOL_HOUSEKEEPING",
    "SPOOL_ALERT_WATCHES",
    "SPOOL_VIRUS_SCANNERS",
    "SPOOL_TRUSTED_CLIENTS",
    "SPOOL_CONSOLE_URL",
    "SPOOL_CONSOLE_TABS",
    "ACCOUNTS_CONTAIN_STEPS",
    "MAILSPOOL_CHECKS",
)


def program() -> Iterator[Finding]:
    """What Django finds wrong with the settings and the code."""
    messages = checks.run_checks()
    for message in messages:
        sentence = f"{message.msg} {message.hint or ''}".strip()
        yield (fault if message.level >= checks.ERROR else warning)("program", sentence)
    if not messages:
        yield ok("program", "Settings and code are in order.")


def plug_ins() -> Iterator[Finding]:
    """Whether each path can be imported."""
    whole = True
    for name in EXTENSION_POINTS:
        value = getattr(settings, name)
        for path in [value] if isinstance(value, str) else value:
            try:
                import_string(path)
            except Exception as error:
                # The edge of somebody else's code, which is run here for the first time.
                whole = False
                yield fault("plug-ins", f"{name} names {path}, which can't be loaded: {first_line(error)}.")
    if whole:
        yield ok("plug-ins", "All that settings name can be loaded.")


def exposure() -> Iterator[Finding]:
    """Who reaches the console, and how."""
    outside = [str(address) for address in settings.MAILSPOOL_LISTEN["web"] if not _is_loopback(address.host)]
    if settings.DEBUG:
        yield fault("console", "MAILSPOOL_DEBUG is on: error pages show source code and settings. Take it out.")
    if "*" in settings.ALLOWED_HOSTS:
        yield warning("console", "MAILSPOOL_ALLOWED_HOSTS has *: any name will do, also one of an attacker's page.")
    if outside and not settings.MAILSPOOL_HTTPS:
        yield warning(
            "console",
            f"Under `make run` it listens on {', '.join(outside)} without HTTPS: passwords go in clear text. Put a"
            " proxy before it, and set MAILSPOOL_HTTPS (deploy/README.md).",
        )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
