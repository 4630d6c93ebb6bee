"""Actions on many rows of a list, made from what each says of itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from django.contrib import messages
from django.db.models import QuerySet
from django.http import HttpRequest

from accounts.admin.log_entries import log
from accounts.impersonation import actor_of
from base.actions.action import NotAllowed, Refused, SingleAction, Target
from base.actions.perform import perform

Bulk = Callable[[Any, HttpRequest, QuerySet[Any]], None]
# Leaves out rows that this person can't do it to, and says so.
Sparing = Callable[[HttpRequest, SingleAction[Any], QuerySet[Any]], QuerySet[Any]]


def _all_of_them(request: HttpRequest, action: SingleAction[Any], rows: QuerySet[Any]) -> QuerySet[Any]:
    return rows


def bulk(kind: str, actions: Sequence[SingleAction[Any]], sparing: Sparing = _all_of_them) -> list[Bulk]:
    """The `actions` of an admin page whose rows are things of that kind."""
    return [_bulk(kind, action, sparing) for action in actions]


def _bulk(kind: str, action: SingleAction[Any], sparing: Sparing) -> Bulk:
    def on_many(model_admin: Any, request: HttpRequest, rows: QuerySet[Any]) -> None:
        chosen = tuple(sparing(request, action, rows))
        if not chosen:
            return
        target = Target(kind, tuple(map(str, chosen)), chosen)
        try:
            done = perform(action, actor_of(request), target)
        except (Refused, NotAllowed) as error:
            model_admin.message_user(request, str(error), messages.ERROR)
            return
        log(request, rows.filter(pk__in=[row.pk for row in chosen]), action.noted)
        model_admin.message_user(request, done.sentence, messages.SUCCESS if done.good else messages.WARNING)

    on_many.__name__ = action.name
    on_many.short_description = action.bulk_label  # type: ignore[attr-defined]
    return on_many
