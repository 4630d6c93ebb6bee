"""The sites that mail goes to, by their names and by the domains that have their mail there."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlencode

from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext as _

from accounts.templatetags.reach import opens
from mailspool.search.results import Result
from spool.delivery.remote import providers
from spool.delivery.shaping import domains
from spool.delivery.shaping.limits import Key

MOST: Final = 5


def matching(request: HttpRequest, text: str) -> list[Result]:
    """The first few that a text means."""
    if not opens(request, "destination"):
        return []
    start = text.lower().rpartition("@")[2]
    by_provider = [Key(name) for name in providers.names() if start and name.lower().startswith(start)]
    known = domains.with_mail(by_provider)
    return [_result(key) for key in dict.fromkeys([*known, *domains.meant_by(start, MOST)])][:MOST] if start else []


def _result(key: Key) -> Result:
    link = f"{reverse('destination')}?{urlencode({'key': str(key)})}"
    return Result(str(key), "hub", _("what waits, its limits and answers"), link)
