"""Proving anew who sits there, before a dangerous step: by the password, a code, a passkey, or the provider."""

from __future__ import annotations

from functools import wraps
from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from accounts.models import ExternalIdentity, FactorKind, SignInSettings, User
from accounts.sign_in import factors, passkeys, recovery_codes, session, totp
from base.texts import Text
from mailspool.portal.access import Member, PlainView, View, member, page
from mailspool.portal.sign_in import steps
from mailspool.portal.sign_in.forms import CodeForm, PasswordForm
from security import login_protection, web_login

WRONG = _lazy("That was not accepted.")
NOT_IN_ANOTHERS_PLACE = _lazy("Only the owner of the account changes how it signs in.")


def owner(view: View) -> PlainView:
    """For the owner of the account alone, and nobody in the owner's place."""

    @wraps(view)
    def guarded(request: HttpRequest, who: Member, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if who.impersonator is not None:
            context = {"sentence": NOT_IN_ANOTHERS_PLACE}
            return page(request, who, "portal/sign_in/refused.html", _("Signing in"), context, status=403)
        return view(request, who, *args, **kwargs)

    return member(guarded)


def asking(back: str) -> str:
    """The page that asks, and leads back."""
    return f"{reverse('portal:confirm')}?{urlencode({'next': back})}"


@require_http_methods(["GET", "POST"])
@sensitive_post_parameters()
@owner
def confirm(request: HttpRequest, who: Member) -> HttpResponse:
    """Asks, and goes on to `next`."""
    user = who.user
    problem: Text = ""
    kinds = factors.kinds_of(user)
    # A session that needs a second factor is not made whole by the first.
    needs_second = bool(kinds) and session.needs_second_factor(request.session)
    takes_password = user.has_usable_password() and not needs_second
    if request.method == "POST" and not web_login.is_closed(request, user.email):
        kind, shown = _shown(request)
        if shown and (takes_password or kind != "password") and _is_right(request, user, kind, shown):
            login_protection.succeeded(user.email, str(request.META.get("REMOTE_ADDR", "")))
            session.note_proof(request.session, timezone.now())
            if kind != "password":
                session.note_second_factor(request.session)
            return HttpResponseRedirect(steps.destination(request, user, steps.wanted(request)))
        problem = WRONG
        if shown:
            web_login.wrong(request, user.email, shown)
    identities = ExternalIdentity.objects.filter(user=user, issuer=SignInSettings.current().oidc_issuer)
    context = {
        "next": steps.wanted(request),
        "problem": problem,
        "password": PasswordForm() if takes_password else None,
        "code": CodeForm() if kinds else None,
        "has_passkeys": FactorKind.PASSKEY in kinds and passkeys.are_possible(request),
        "single_sign_on": SignInSettings.current().oidc_label if identities.exists() else "",
    }
    return page(request, who, "portal/sign_in/confirm.html", _("Is it you?"), context)


@require_POST
@owner
def question(request: HttpRequest, who: Member) -> HttpResponse:
    """What one of the own passkeys is to sign."""
    return JsonResponse(passkeys.begin_asking(request, who.user))


def _shown(request: HttpRequest) -> tuple[str, str]:
    """What was shown: which of the three, and its text."""
    found = ((kind, request.POST.get(kind, "")) for kind in ("credential", "code", "password"))
    return next(((kind, text) for kind, text in found if text), ("", ""))


def _is_right(request: HttpRequest, user: User, kind: str, shown: str) -> bool:
    if kind == "credential":
        return passkeys.signed(request, shown, user) is not None
    if kind == "code":
        return totp.verify(user, shown) or recovery_codes.use(user, shown)
    return user.check_password(shown)
