"""The language of whoever looks at a page.

The user site and the pages around the login are in the language that the person has chosen; without a choice in the
first of the browser's that there is, else in the server's. The console is in a language only when its own catalogue
has it too (`IN_CONSOLE`): half of it would be worse than English.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import translation
from django.utils.cache import patch_vary_headers
from django.utils.translation.trans_real import parse_accept_lang_header

from accounts.models import User
from base.languages import OFFERED, SOURCE
from mailspool.settings import BASE_DIR
from spool.models.settings import current

# Those that `make messages` has compiled the console's catalogue of: it does so once that is whole.
IN_CONSOLE: Final = frozenset(
    {
        SOURCE,
        *(path.parts[-3] for path in (BASE_DIR / "mailspool" / "locale" / "console").glob("*/LC_MESSAGES/django.mo")),
    }
)
_FOR_PEOPLE: Final = frozenset(code for code, _ in OFFERED)


class PersonLanguage:
    """Middleware after authentication: what is rendered inside is in that language, whatever thread does it."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        language = of_request(request)
        with translation.override(language):
            response = self._get_response(request)
        response.headers.setdefault("Content-Language", language)
        patch_vary_headers(response, ("Accept-Language",))
        return response


def of_request(request: HttpRequest) -> str:
    """The code of the language."""
    offered = IN_CONSOLE if _is_console(request.path) else _FOR_PEOPLE
    if len(offered) == 1:
        return SOURCE
    return next((code for code in _wanted(request) if code in offered), SOURCE)


def _is_console(path: str) -> bool:
    console = reverse("admin:index")
    is_outside = path.startswith((reverse("portal:home"), reverse("admin:login"), f"{console}quarantine/release/"))
    is_outside = is_outside or path.startswith("/unsubscribe/")
    return not is_outside and path != reverse("signed_in")


def _wanted(request: HttpRequest) -> Iterator[str]:
    """Whom to ask, in order: the person, the browser, the server. Each only when those before have none of ours."""
    if isinstance(request.user, User):
        yield request.user.language
    # Django bounds what it reads of it.
    for code, weight in parse_accept_lang_header(request.headers.get("Accept-Language", "")):
        # "de-AT" is read by whoever reads "de"; a weight of 0 says "not this one" (RFC 9110 12.4.2).
        if weight:
            yield code.partition("-")[0]
    yield current().language
