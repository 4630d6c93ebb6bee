"""The login of the console and the user site: address and password, or a passkey, or by the provider; and what comes
second. One view, at `/admin/login/` and `/me/login/`.

Nothing here tells whether there is an account: each way of being wrong has the same words, and a second factor is asked
for only after a right password.
"""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.auth.views import LoginView
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.decorators import method_decorator
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_protect
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from accounts.models import FactorKind, SignInSettings, User
from accounts.sign_in import factors, passkeys, recovery_codes, session, totp
from base.texts import Text
from mailspool.portal.forms import LoginForm
from mailspool.portal.sign_in import steps
from mailspool.portal.sign_in.forms import CodeForm
from security import web_login

WRONG_PASSKEY = _lazy("This passkey was not accepted.")
WRONG_CODE = _lazy("The code was not accepted. One that was used already is not taken again.")


class SignIn(LoginView):
    """GET shows the form; POST takes `username` and `password`, or what a passkey has signed (`credential`)."""

    template_name = "portal/login.html"
    authentication_form = LoginForm

    @method_decorator([sensitive_post_parameters(), csrf_protect, never_cache])
    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        if isinstance(request.user, User):
            return HttpResponseRedirect(steps.destination(request, request.user, steps.wanted(request)))
        if request.method == "POST" and "credential" in request.POST:
            return self._by_passkey(request)
        return super(LoginView, self).dispatch(request, *args, **kwargs)

    def form_valid(self, form: Any) -> HttpResponse:
        return steps.go_on(self.request, form.get_user(), steps.wanted(self.request))

    def _by_passkey(self, request: HttpRequest) -> HttpResponse:
        if web_login.is_closed(request, ""):
            return self.get(request)
        answer = request.POST["credential"]
        passkey = passkeys.signed(request, answer)
        if passkey is None or not passkey.user.is_active:
            # Nobody's account is closed by a passkey that is nobody's.
            web_login.wrong(request, f"passkey {passkeys.id_in(answer)}", answer)
            form = self.get_form_class()(request)
            return self.render_to_response(self.get_context_data(form=form, problem=WRONG_PASSKEY))
        if web_login.is_closed(request, passkey.user.email):
            return self.get(request)
        return steps.go_on(request, passkey.user, steps.wanted(request), is_second_factor=True)

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        settings = SignInSettings.current()
        return {
            **admin.site.each_context(self.request),
            **super().get_context_data(**kwargs),
            "title": _("Log in"),
            "next": steps.wanted(self.request),
            "has_passkeys": passkeys.are_possible(self.request),
            "single_sign_on": settings.oidc_label if settings.has_single_sign_on else "",
        }


@require_POST
def passkey_question(request: HttpRequest) -> HttpResponse:
    """What a passkey of anybody is to sign."""
    asked = passkeys.begin_asking(request)
    if not isinstance(request.user, User):
        request.session.set_expiry(session.PENDING)
    return JsonResponse(asked)


@never_cache
@require_http_methods(["GET", "POST"])
@sensitive_post_parameters()
def second_factor(request: HttpRequest) -> HttpResponse:
    """After a right password: a code of the app, a recovery code, or a passkey."""
    found = session.pending(request)
    if found is None:
        return HttpResponseRedirect(reverse("portal:login"))
    user, kept = found
    form = CodeForm(request.POST if "code" in request.POST else None)
    problem: Text = ""
    if request.method == "POST":
        if web_login.is_closed(request, user.email):
            session.end(request)
        elif _is_right(request, user, form):
            return steps.finish(request, user, kept["next"], with_second_factor=True)
        elif "credential" in request.POST or form.is_valid():
            shown = request.POST.get("credential") or request.POST.get("code", "")
            web_login.wrong(request, user.email, shown)
            problem = WRONG_PASSKEY if "credential" in request.POST else WRONG_CODE
    kinds = factors.kinds_of(user)
    context = {
        "title": _("Second factor"),
        "form": form,
        "problem": problem,
        "has_app": FactorKind.TOTP in kinds,
        "has_passkeys": FactorKind.PASSKEY in kinds and passkeys.are_possible(request),
    }
    return render(request, "portal/sign_in/second.html", {**admin.site.each_context(request), **context})


def _is_right(request: HttpRequest, user: User, form: CodeForm) -> bool:
    if "credential" in request.POST:
        return passkeys.signed(request, request.POST["credential"], user) is not None
    if not form.is_valid():
        return False
    code = form.cleaned_data["code"]
    return totp.verify(user, code) or recovery_codes.use(user, code)


@require_POST
def second_factor_question(request: HttpRequest) -> HttpResponse:
    """What a passkey of whoever has shown a right password is to sign."""
    found = session.pending(request)
    if found is None:
        return JsonResponse({"problem": _("Log in again.")}, status=403)
    return JsonResponse(passkeys.begin_asking(request, found[0], after_password=True))
