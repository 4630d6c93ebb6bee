"""The screen of one account that may be in wrong hands: look, contain, review, undo. And setting its password."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy
from django.views.decorators.http import require_http_methods, require_POST

from accounts import connections, containing, securing
from accounts.account_actions import of_users
from accounts.admin.frame import next_page, page
from accounts.connections.registry import DROP
from accounts.impersonation import actor_of
from accounts.models import AppPassword, Containment, Status, User
from accounts.sign_in import factors
from base.actions.action import NotAllowed, Refused, SingleAction
from base.actions.perform import perform, preview


class NewPasswordForm(forms.Form):
    """One new password; checked by the action."""

    password = forms.CharField(
        label=_lazy("New password"),
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password", "autofocus": True, "class": "ms-field"}),
    )


def _user(pk: int) -> User:
    return get_object_or_404(User.objects.select_related("domain"), pk=pk)


# What the page does, by the names of its buttons, and what each says besides.
_DOES: dict[str, tuple[SingleAction[Any], dict[str, str]]] = {
    "contain": (containing.CONTAIN, {}),
    "again": (containing.CONTAIN_AGAIN, {}),
    "reopen": (containing.UNCONTAIN, {}),
    "false-alarm": (containing.UNCONTAIN, {"old_password": "1"}),
    "forwarding": (containing.STOP_FORWARDING, {}),
    "drop": (DROP, {}),
}


@require_http_methods(["GET", "POST"])
def account(request: HttpRequest, pk: int) -> HttpResponse:
    """GET shows the account as one needs to judge it; POST does what `do` says, or asks about it when `ask` does."""
    user = _user(pk)
    error, asked = "", {}
    if request.method == "POST":
        try:
            if "ask" in request.POST:
                asked = _asked(request, user, request.POST["ask"])
            else:
                messages.success(request, _done(request, user, request.POST.get("do", "")))
                return HttpResponseRedirect(reverse("admin:accounts_user_contain", args=[pk]))
        except (Refused, NotAllowed) as refused:
            error = str(refused)
        except ValidationError as invalid:
            error = " ".join(invalid.messages)
    context = {**_shown(request, user), "error": error, "asked": asked}
    return page(request, "accounts/contain.html", (_("Account %(user)s") % {"user": user}), context)


def _done(request: HttpRequest, user: User, what: str) -> str:
    action, given = _action(what)
    given = {"password": request.POST.get("password", ""), **given}
    return perform(action, actor_of(request), of_users([user]), given).sentence


def _asked(request: HttpRequest, user: User, what: str) -> dict[str, str]:
    """What a button would do, to be agreed to."""
    action, given = _action(what)
    effect = preview(action, actor_of(request), of_users([user]), given).effect
    return {"do": what, "title": _("False alarm") if what == "false-alarm" else str(action.label), "effect": effect}


def _action(what: str) -> tuple[SingleAction[Any], dict[str, str]]:
    """Raises Refused."""
    if what not in _DOES:
        raise Refused(_("There is no such action."))
    return _DOES[what]


def _shown(request: HttpRequest, user: User) -> dict[str, object]:
    now = timezone.now()
    contained = Containment.objects.open().filter(user=user).first()
    found = contained or Containment(user=user, at=now)
    listing = connections.listing(actor_of(request), user=user.email)
    return {
        "account": user,
        "contained": contained,
        "review": containing.review(found, now),
        "connected": listing.connections[:20],
        "connected_total": listing.total,
        "problems": listing.problems,
        "is_own": request.user.pk == user.pk,
        "days": containing.LOOK_BACK.days,
        "last": None if contained else Containment.objects.filter(user=user).first(),
        "aliases": _aliases(user),
        "factors": factors.of(user),
        "app_passwords": AppPassword.objects.filter(user=user),
    }


def _aliases(user: User) -> list[str]:
    from accounts.models import Alias

    return list(Alias.objects.filter(targets__address=user.email).values_list("address", flat=True)[:20])


@require_http_methods(["GET", "POST"])
def password(request: HttpRequest, pk: int) -> HttpResponse:
    """Set a password; whoever is in with the old one is out."""
    user = _user(pk)
    form = NewPasswordForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        own = request.session.session_key or "" if user.pk == request.user.pk else ""
        try:
            done = securing.change_password(actor_of(request), user, form.cleaned_data["password"], keep_session=own)
        except ValidationError as error:
            form.add_error("password", error)
        else:
            keep_logged_in(request, user)
            level = messages.WARNING if done.dropped is not None and done.dropped.problems else messages.SUCCESS
            messages.add_message(request, level, done.sentence)
            return HttpResponseRedirect(next_page(request, reverse("admin:accounts_user_change", args=[pk])))
    return page(
        request,
        "accounts/password.html",
        (_("Change the password of %(user)s") % {"user": user}),
        {"form": form, "account": user, "next": request.GET.get("next", request.POST.get("next", ""))},
    )


def keep_logged_in(request: HttpRequest, user: User) -> None:
    """Django ends sessions whose password was changed; not the one that it was changed in."""
    from django.contrib.auth import update_session_auth_hash

    if request.user.pk == user.pk:
        update_session_auth_hash(request, user)


@require_POST
def status(request: HttpRequest, pk: int) -> HttpResponse:
    """Enable, disable, or let only receive."""
    user = _user(pk)
    try:
        done = securing.set_user_status(actor_of(request), user, Status(request.POST.get("status", "")))
    except ValueError:
        messages.error(request, (_("The status is one of %(values)s.") % {"values": ", ".join(Status.values)}))
    except (securing.Refused, securing.NotAllowed) as error:
        messages.error(request, str(error))
    else:
        level = messages.WARNING if done.dropped is not None and done.dropped.problems else messages.SUCCESS
        messages.add_message(request, level, done.sentence)
    return HttpResponseRedirect(next_page(request, reverse("admin:accounts_user_change", args=[pk])))
