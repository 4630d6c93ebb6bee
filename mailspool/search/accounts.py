"""Accounts whose address or name begins with a text."""

from __future__ import annotations

from typing import Final

from django.db.models import Model
from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _lazy

from accounts.models import Alias, Domain, MailingList, User
from accounts.templatetags.reach import opens
from base.beginnings import beginning_with
from base.texts import Text
from mailspool.search.results import Result

MOST: Final = 5
# What no address goes on with is greater than all that it goes on with.
_KINDS: Final[tuple[tuple[type[Model], str, str, Text], ...]] = (
    (User, "email", "person", _lazy("User")),
    (Domain, "name", "domain", _lazy("Domain")),
    (Alias, "address", "alternate_email", _lazy("Alias")),
    (MailingList, "address", "groups", _lazy("Mailing list")),
)


def matching(request: HttpRequest, text: str) -> list[Result]:
    """The first few of each kind. One look at an index for each."""
    start = text.lower().removeprefix("@")
    found = []
    for model, column, icon, word in _KINDS:
        place = f"admin:{model._meta.app_label}_{model._meta.model_name}_change"
        if not opens(request, place):
            continue
        for row in beginning_with(model._default_manager.all(), column, start)[:MOST]:
            found.append(Result(str(row), icon, _detail(row, str(word)), reverse(place, args=[row.pk])))
    return found


def _detail(row: Model, word: str) -> str:
    if not isinstance(row, User):
        return word
    return " · ".join(filter(None, (row.get_role_display(), row.name, "" if row.is_active else gettext("disabled"))))
