"""The screen of one account that may be in wrong hands: look, contain, review, undo. And setting its password."""

from __future__ import annotations

from django import forms
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST

from accounts import connections, containing, securing
from accounts.admin.frame import next_page, page
from accounts.impersonation import actor_of
from accounts.models import Containment, Status, User


class NewPasswordForm(forms.Form):
    """One new password; checked by the action."""

    password = forms.CharField(
        label="New password",
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password", "autofocus": True, "class": "ms-field"}),
    )


def _user(pk: int) -> User:
    return get_object_or_404(User.objects.select_related("domain"), pk=pk)


@require_http_methods(["GET", "POST"])
def account(request: HttpRequest, pk: int) -> HttpResponse:
    """GET shows the account as one needs to judge it; POST does what `do` says."""
    user = _user(pk)
    error = ""
    if request.method == "POST":
        try:
            messages.success(request, _done(request, user, request.POST.get("do", "")))
            return HttpResponseRedirect(reverse("admin:accounts_user_contain", args=[pk]))
        except (securing.Refused, securing.NotAllowed) as refused:
            error = str(refused)
        except ValidationError as invalid:
            error = " ".join(invalid.messages)
    return page(request, "accounts/contain.html", f"Account {user}", {**_shown(request, user), "error": error})


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
    }


def _aliases(user: User) -> list[str]:
    from accounts.models import Alias

    return list(Alias.objects.filter(targets__address=user.email).values_list("address", flat=True)[:20])


def _done(request: HttpRequest, user: User, what: str) -> str:
    actor = actor_of(request)
    if what == "contain":
        return " ".join(containing.contain(actor, user, password=request.POST.get("password", "")).done)
    if what == "forwarding":
        return containing.stop_forwarding(actor, user)
    found = Containment.objects.open().select_related("user").filter(user=user).first()
    if found is None:
        raise securing.Refused(f"{user} is not contained; somebody may have opened the account meanwhile.")
    if what == "again":
        return containing.contain_again(actor, found)
    if what in ("reopen", "false-alarm"):
        return containing.undo(actor, found, old_password=what == "false-alarm")
    raise securing.Refused("There is no such action.")


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
        f"Change the password of {user}",
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
        messages.error(request, f"The status is one of {', '.join(Status.values)}.")
    except (securing.Refused, securing.NotAllowed) as error:
        messages.error(request, str(error))
    else:
        level = messages.WARNING if done.dropped is not None and done.dropped.problems else messages.SUCCESS
        messages.add_message(request, level, done.sentence)
    return HttpResponseRedirect(next_page(request, reverse("admin:accounts_user_change", args=[pk])))
