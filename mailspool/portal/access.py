"""Who may open which page of the user site, and the frame that all of them share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any, Concatenate
from urllib.parse import urlencode

from django.contrib import admin
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from accounts.impersonation import impersonator_of
from accounts.models import Domain, Role, User
from base.texts import Text
from spool.actions import Actor

# (title, icon, name of the URL)
OWN = (
    (_("Overview"), "person", "portal:home"),
    (_("Settings"), "tune", "portal:settings"),
    (_("Forwarding"), "forward", "portal:forwarding"),
    (_("Spam"), "filter_alt", "portal:spam"),
    (_("Allowed and blocked"), "unsubscribe", "portal:listed_senders"),
    (_("Password"), "key", "portal:password"),
    (_("Signing in"), "passkey", "portal:sign_in"),
    (_("My mail in the spool"), "outbox", "portal:mail"),
    (_("What became of my mail"), "manage_search", "portal:outcomes"),
    (_("My quarantine"), "report", "portal:quarantine"),
    (_("Connections and logins"), "lan", "portal:connections"),
)
DOMAIN = (
    (_("Users"), "group", "portal:users"),
    (_("Aliases"), "alternate_email", "portal:aliases"),
    (_("Mailing lists"), "groups", "portal:lists"),
    (_("Defaults for new users"), "settings_suggest", "portal:defaults"),
    (_("Search by sender"), "outbox", "portal:senders"),
    (_("Message trace"), "manage_search", "portal:domain_outcomes"),
    (_("Quarantine"), "report", "portal:domain_quarantine"),
    (_("Throttled Users"), "speed", "portal:throttled"),
    (_("Suppressed addresses"), "unsubscribe", "portal:suppressed"),
    (_("Mail reports"), "summarize", "portal:reports"),
)


@dataclass(frozen=True, slots=True)
class Member:
    """Whose pages these are, and who acts: the same person, or an administrator in that person's place."""

    user: User
    actor: Actor
    impersonator: User | None

    @property
    def administers(self) -> bool:
        return self.user.role == Role.DOMAIN_ADMINISTRATOR and self.user.domain is not None

    @property
    def domain(self) -> Domain:
        """The domain that this member administers; only views for domain administrators may ask."""
        assert self.administers and self.user.domain is not None
        return self.user.domain


View = Callable[Concatenate[HttpRequest, Member, ...], HttpResponseBase]
PlainView = Callable[Concatenate[HttpRequest, ...], HttpResponseBase]


def member(view: View) -> PlainView:
    """For everybody who is logged in."""

    @wraps(view)
    def wrapped(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if not isinstance(request.user, User):
            return HttpResponseRedirect(f"{reverse('portal:login')}?{urlencode({'next': request.get_full_path()})}")
        return view(request, _member(request), *args, **kwargs)

    return wrapped


def domain_administrator(view: View) -> PlainView:
    """For those who administer a domain."""

    def guarded(request: HttpRequest, who: Member, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if not who.administers:
            return page(request, who, "portal/refused.html", _("No access"), {}, status=403)
        return view(request, who, *args, **kwargs)

    return wraps(view)(member(guarded))


def _member(request: HttpRequest) -> Member:
    assert isinstance(request.user, User)
    user = User.objects.select_related("domain").get(pk=request.user.pk)
    behind = impersonator_of(request)
    return Member(user, Actor.of(user, impersonator=behind.email if behind is not None else ""), behind)


def page(
    request: HttpRequest, who: Member, template: str, title: Text, context: dict[str, Any], *, status: int = 200
) -> HttpResponse:
    """A whole page of the site."""
    here = request.path
    sections = [("", OWN)] + ([(who.domain.name, DOMAIN)] if who.administers else [])
    home = reverse("portal:home")
    links = []
    for name, pages in sections:
        named = [(text, icon, reverse(url)) for text, icon, url in pages]
        links.append((name, named))
    # The longest that the path begins with; every page lies below the first.
    below = [link for _, named in links for _, _, link in named if link != home and here.startswith(link)]
    current = max(below, key=len, default=here)
    frame = {**admin.site.each_context(request), "title": title, "who": who, "sections": links, "current": current}
    answer = render(request, template, {**frame, **context}, status=status)
    # What is on these pages is for one person: no cache keeps it, and none shows it after a logout.
    answer["Cache-Control"] = "no-store"
    return answer
