"""Which name server takes the records of a domain from us, and by which key."""

from __future__ import annotations

from datetime import datetime

from django.conf import settings as django_settings

from accounts.addresses import enclosing
from base.dns_updates import Primary, UpdateFailed
from base.facts import NOTHING, Fact, fact
from base.sealed import CannotUnseal, unseal
from spool.models.update_server import EVERY, UpdateServer


def server_of(domain: str) -> UpdateServer | None:
    """The one of a domain, of the nearest that it is in, or of all. One query."""
    names = list(enclosing(domain))
    rows = {row.domain: row for row in UpdateServer.objects.filter(domain__in=[*names, EVERY], enabled=True)}
    return next((rows[name] for name in [*names, EVERY] if name in rows), None)


def primary(server: UpdateServer) -> Primary:
    """For one change, whose time begins now. Raises UpdateFailed."""
    try:
        secret = unseal(server.sealed_secret)
    except CannotUnseal as error:
        raise UpdateFailed(
            fact("the secret of the key %(key)s has to be entered again", key=server.key_name)
        ) from error
    key = (server.key_name, secret, server.algorithm)
    return Primary(server.host, server.port, key, str(django_settings.MAILSPOOL_DNS))


def note(server: UpdateServer, now: datetime, problem: Fact = NOTHING) -> None:
    """How the last change went, for the list of servers."""
    UpdateServer.objects.filter(pk=server.pk).update(
        tried=now, problem=problem.english[:300], problem_fact=problem.kept if problem else None
    )
