"""Single sign-on: to the provider and back."""

from __future__ import annotations

import logging

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_GET

from accounts import single_sign_on
from accounts.models import SignInSettings, User
from accounts.session_keys import IMPERSONATOR_KEY
from accounts.sign_in import session
from accounts.single_sign_on import NotSignedIn
from mailspool.portal.sign_in import steps
from security import web_login

log = logging.getLogger(__name__)

_KEY = "mailspool_provider"
FAILED = _("Single sign-on did not let you in. Log in otherwise, or ask your administrator.")


@require_GET
def begin(request: HttpRequest) -> HttpResponse:
    """Leads to the provider. Whoever is logged in proves by it who that is."""
    user = request.user if isinstance(request.user, User) else None
    if user is not None and IMPERSONATOR_KEY in request.session:
        return HttpResponseRedirect(reverse("portal:home"))
    try:
        answer = single_sign_on.begin(
            request, request.build_absolute_uri(reverse("portal:provider_back")), anew=user is not None
        )
    except NotSignedIn as error:
        log.error("single sign-on: %s", error)
        return _failed(request)
    request.session[_KEY] = {"next": steps.wanted(request), "user": user.pk if user is not None else None}
    if user is None:
        request.session.set_expiry(session.PENDING)
    return answer


@require_GET
def back(request: HttpRequest) -> HttpResponse:
    """Where the provider sends people, with what it says of them."""
    kept = request.session.pop(_KEY, None)
    if kept is None or web_login.is_closed(request, ""):
        return _failed(request)
    try:
        claims = single_sign_on.claims_of(request)
        if web_login.is_closed(request, claims.email):
            return _failed(request)
        owner = single_sign_on.owner_of(claims)
    except NotSignedIn as error:
        log.warning("single sign-on: %s", error)
        web_login.wrong(request, error.who, request.GET.get("code", ""))
        return _failed(request)
    if kept["user"] is not None:
        return _confirmed(request, owner, kept)
    counts = SignInSettings.current().oidc_is_second_factor
    return steps.go_on(request, owner, kept["next"], is_second_factor=counts)


def _confirmed(request: HttpRequest, owner: User, kept: dict[str, object]) -> HttpResponse:
    if not isinstance(request.user, User) or request.user.pk != owner.pk or kept["user"] != owner.pk:
        web_login.wrong(request, owner.email, request.GET.get("code", ""))
        return _failed(request)
    session.note_proof(request.session, timezone.now())
    return HttpResponseRedirect(steps.destination(request, owner, str(kept["next"])))


def _failed(request: HttpRequest) -> HttpResponse:
    messages.error(request, FAILED)
    return HttpResponseRedirect(reverse("portal:login" if not isinstance(request.user, User) else "portal:home"))
