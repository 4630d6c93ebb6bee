"""The page Signing in: the own second factors, recovery codes, application passwords, and links to the provider."""

from __future__ import annotations

from collections.abc import Callable

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.safestring import mark_safe
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts import single_sign_on
from accounts.models import AppPassword, ExternalIdentity, SignInSettings
from accounts.sign_in import app_passwords, factors, passkeys, recovery_codes, session, totp
from accounts.sign_in.errors import Refused
from base.sealed import seal, unseal
from mailspool.portal.access import Member, page
from mailspool.portal.sign_in.confirmation import owner
from mailspool.portal.sign_in.forms import AppForm

_NEW_APP_KEY = "mailspool_new_app"
TITLE = _lazy("Signing in")


@require_GET
@owner
def shown(request: HttpRequest, who: Member) -> HttpResponse:
    """What there is."""
    user, settings = who.user, SignInSettings.current()
    own = factors.of(user)
    context = {
        "factors": own,
        "is_required": factors.is_required(user),
        "codes_left": recovery_codes.left_of(user),
        "can_have_passkeys": passkeys.are_possible(request),
        "app_passwords": AppPassword.objects.filter(user=user),
        "identities": ExternalIdentity.objects.filter(user=user),
        "needs_app_password": bool(own) and not settings.mail_by_password,
        "has_mailbox": user.domain is not None,
        "now": timezone.now(),
    }
    return page(request, who, "portal/sign_in/own.html", TITLE, context)


@require_http_methods(["GET", "POST"])
@owner
def add_app(request: HttpRequest, who: Member) -> HttpResponse:
    """Set up an authenticator app: GET shows a new secret, POST takes the code that proves that the app has it."""
    secret = _begun(request)
    form = AppForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            factor = totp.enrol(who.actor, who.user, secret, form.cleaned_data["code"], form.cleaned_data["name"])
        except Refused as error:
            form.add_error("code", str(error))
        else:
            del request.session[_NEW_APP_KEY]
            return _added(request, who, _("%(what)s is set up.") % {"what": factor})
    address = totp.uri(who.user, secret, request.get_host())
    context = {
        "form": form,
        "picture": mark_safe(totp.picture(address)),  # noqa: S308 – drawn by segno, of squares alone
        "secret": " ".join(secret[at : at + 4] for at in range(0, len(secret), 4)),
        "address": address,
    }
    return page(request, who, "portal/sign_in/app.html", _("Set up an authenticator app"), context)


def _begun(request: HttpRequest) -> str:
    """The secret that the page before has shown, or a new one."""
    if request.method == "POST" and _NEW_APP_KEY in request.session:
        return unseal(request.session[_NEW_APP_KEY])
    secret = totp.new_secret()
    request.session[_NEW_APP_KEY] = seal(secret)
    return secret


@require_POST
@owner
def passkey_question(request: HttpRequest, who: Member) -> HttpResponse:
    """What the browser is to make."""
    return JsonResponse(passkeys.begin_adding(request, who.user))


@require_POST
@owner
def add_passkey(request: HttpRequest, who: Member) -> HttpResponse:
    """Take the passkey that the browser has made."""
    answer, name = request.POST.get("credential", ""), request.POST.get("name", "")
    try:
        factor = passkeys.add(who.actor, who.user, request, answer, name)
    except Refused as error:
        messages.error(request, str(error))
        return _back()
    return _added(request, who, _("%(what)s is added.") % {"what": factor})


@require_POST
@owner
def remove_factor(request: HttpRequest, who: Member, pk: int) -> HttpResponse:
    return _told(request, lambda: factors.remove(who.actor, who.user, pk))


@require_POST
@owner
def renew_codes(request: HttpRequest, who: Member) -> HttpResponse:
    """New recovery codes, shown once."""
    if not factors.kinds_of(who.user):
        messages.error(request, _("Recovery codes are for when a second factor is lost: set one up first."))
        return _back()
    return _codes(request, who)


@require_POST
@owner
def add_app_password(request: HttpRequest, who: Member) -> HttpResponse:
    """A new application password, shown once."""
    name = request.POST.get("name", "")
    try:
        secret = app_passwords.create(who.actor, who.user, name)
    except Refused as error:
        messages.error(request, str(error))
        return _back()
    context = {"secret": secret, "name": " ".join(name.split())}
    return page(request, who, "portal/sign_in/app_password.html", _("Your new application password"), context)


@require_POST
@owner
def end_app_password(request: HttpRequest, who: Member, pk: int) -> HttpResponse:
    return _told(request, lambda: app_passwords.end(who.actor, who.user, pk))


@require_POST
@owner
def unlink(request: HttpRequest, who: Member, pk: int) -> HttpResponse:
    return _told(request, lambda: single_sign_on.unlink(who.actor, who.user, pk))


def _added(request: HttpRequest, who: Member, sentence: str) -> HttpResponse:
    """After a new second factor: this session has shown it; with the first come recovery codes."""
    session.note_second_factor(request.session)
    session.note_proof(request.session, timezone.now())
    messages.success(request, sentence)
    return _codes(request, who) if not recovery_codes.left_of(who.user) else _back()


def _codes(request: HttpRequest, who: Member) -> HttpResponse:
    codes = recovery_codes.renew(who.actor, who.user)
    return page(request, who, "portal/sign_in/codes.html", _("Your recovery codes"), {"codes": codes})


def _told(request: HttpRequest, do: Callable[[], str]) -> HttpResponse:
    try:
        messages.success(request, do())
    except Refused as error:
        messages.error(request, str(error))
    return _back()


def _back() -> HttpResponse:
    return HttpResponseRedirect(reverse("portal:sign_in"))
