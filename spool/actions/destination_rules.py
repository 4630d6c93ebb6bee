"""Rules for destinations, stored and removed: each change is written down, and mail that waited is tried."""

from __future__ import annotations

from typing import Final

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts import changes
from accounts.actor import Actor
from base.actions.action import Refused
from spool.delivery.remote import providers
from spool.delivery.replies import error_group
from spool.delivery.shaping import rules
from spool.delivery.shaping.brakes import reasons, suspended_by_rule
from spool.flow import doorbell
from spool.models.destination_rule import ALL_NAME, DestinationRule, RuleScope, cleaned_name
from spool.rows import rest

# So much of what waits is due at once; the rest within an hour.
_WAKE: Final = 10_000
# By the word before a colon, as in `hosts:mx.example.org`.
_SCOPES: Final = {scope.value: scope for scope in RuleScope}


def save(actor: Actor, row: DestinationRule) -> list[str]:
    """Store a rule that is new or changed; the names of what differed. Raises NotAllowed."""
    actor.require_administration()
    before = DestinationRule.objects.filter(pk=row.pk).first() if row.pk is not None else None
    with transaction.atomic():
        if changed := changes.save(actor, row):
            row.by, row.changed = actor.name[:254], timezone.now()
            DestinationRule.objects.filter(pk=row.pk).update(by=row.by, changed=row.changed)
            if before is not None:
                _wake(before)
            _tell()
    return changed


def remove(actor: Actor, row: DestinationRule) -> None:
    """Delete a rule: what is less specific holds again. Raises NotAllowed."""
    actor.require_administration()
    with transaction.atomic():
        _wake(row)
        changes.remove(actor, row)
    _tell()


def key_of(text: str) -> tuple[RuleScope, str]:
    """What is meant by `example.org`, `Google`, `*`, or `hosts:*.example.net`. Raises Refused."""
    word, colon, name = text.strip().partition(":")
    if colon and word in _SCOPES:
        scope = _SCOPES[word]
    elif text.strip() == ALL_NAME:
        scope, name = RuleScope.ALL, ALL_NAME
    else:
        name = text.strip()
        is_provider = name.lower() in (known.lower() for known in providers.names())
        scope = RuleScope.PROVIDER if is_provider else RuleScope.HOSTS if " " in name else RuleScope.DOMAIN
    try:
        name = cleaned_name(scope, name)
    except ValidationError as error:
        raise Refused(" ".join(error.messages)) from error
    return scope, provider_named(name) if scope is RuleScope.PROVIDER else name


def provider_named(name: str) -> str:
    """As its table spells it. Raises Refused."""
    for known in providers.names():
        if known.lower() == name.lower():
            return known
    raise Refused(
        _("No provider is known as %(name)s. There are %(names)s.")
        % {"name": name, "names": ", ".join(providers.names())}
    )


def _wake(row: DestinationRule) -> None:
    """Have what waits for a rule, as it was, tried with what is said now."""
    waits_for = [suspended_by_rule(row.title, row.suspended_reason)] if row.suspended_until is not None else []
    if row.rate_per_minute is not None and row.scope != RuleScope.ALL:
        waits_for += reasons(row.name)[:1]
    if waits_for:
        rest.wake([], sorted(map(error_group, waits_for)), timezone.now(), _WAKE)


def _tell() -> None:
    rules.forget()
    transaction.on_commit(doorbell.ring)
