"""The own account: overview, settings, forwarding, password."""

from __future__ import annotations

from django.contrib import messages
from django.contrib.auth.views import LogoutView
from django.forms import ModelForm
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone, translation
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy
from django.views.decorators.http import require_GET, require_http_methods

from accounts import actions, history, propagation
from accounts.admin.containing import keep_logged_in
from accounts.connections.web import client_ip
from accounts.models import Login, User, UserDefaults
from accounts.models.limits import SendingLimits
from base.numbers import grouped
from base.texts import Text
from mailspool.portal import action_names
from mailspool.portal.access import Member, member, page
from mailspool.portal.forms import ForwardingForm, PasswordForm, SettingsForm, SpamForm
from quarantine.models import AntispamSettings
from spool.models import Entry
from throttling import events
from throttling.console.rows import rows
from throttling.subjects import Subject, SubjectKind
from throttling.usage import usage

HISTORY = 10
SPAM_NOTE = _lazy(
    "There are three levels of confidence that a message is spam. Where you choose the default, your domain's or the"
    " server's setting applies. Deleted spam cannot be recovered."
)
SPAM_CLOSED = _lazy("Users may not choose at the moment: these settings apply once the administrator allows it again.")
NOTE = _lazy(
    "Mail programs and browsers that use the old password are signed out at once; this browser stays signed in."
)


class SignOut(LogoutView):
    """POST: log out."""

    next_page = "portal:login"


@require_GET
@member
def home(request: HttpRequest, who: Member) -> HttpResponse:
    """Status, limits, and what happened to the account lately."""
    user = who.user
    return page(
        request,
        who,
        "portal/home.html",
        user.email,
        {
            "limits": [*_limits(user), *_use(user)],
            "events": [(event, action_names.of(event.action)) for event in history.of_user(user)[:HISTORY]],
            "in_spool": Entry.objects.filter(auth_user=user.email).count(),
            "login": Login.objects.filter(user=user).order_by("-last").first(),
            "lists": user.owned_lists.count(),
            "throttled": rows(list(events.of(Subject(SubjectKind.USER, user.email)))),
            "now": timezone.now(),
        },
    )


def _limits(user: User) -> list[tuple[str, str]]:
    """The limits that are not by the hour."""
    by_the_hour = {field.name for field in SendingLimits._meta.get_fields()}
    named = propagation.fields_of(UserDefaults()).items()
    return [(label, limit_of(user, name)) for name, label in named if name not in by_the_hour]


def _use(user: User) -> list[tuple[str, str]]:
    """Those by the hour, the user's and the domain's, with how much of them is used."""
    own = [(use.label, use.words) for use in usage(Subject(SubjectKind.USER, user.email))]
    if user.domain is None:
        return own
    shared = usage(Subject(SubjectKind.DOMAIN, user.domain.name))
    return own + [(_("%(limit)s, the whole domain") % {"limit": use.label}, use.words) for use in shared]


def limit_of(user: User, name: str) -> str:
    """A limit in words, with where it comes from."""
    value = getattr(user, name)
    if value:
        return grouped(value)
    of_domain = getattr(user.domain, name, 0) if user.domain is not None else 0
    if of_domain:
        return _("%(number)s (domain default)") % {"number": grouped(of_domain)}
    return _("no limit") if name == "mailbox_mb" else _("server default")


@require_http_methods(["GET", "POST"])
@member
def own_settings(request: HttpRequest, who: Member) -> HttpResponse:
    """The name that others see."""
    return _form(request, who, _("Settings"), SettingsForm)


@require_http_methods(["GET", "POST"])
@member
def forwarding(request: HttpRequest, who: Member) -> HttpResponse:
    """Where copies of incoming mail go."""
    return _form(request, who, _("Forwarding"), ForwardingForm)


@require_http_methods(["GET", "POST"])
@member
def spam(request: HttpRequest, who: Member) -> HttpResponse:
    """What becomes of spam for the own mailbox."""
    note = SPAM_NOTE if AntispamSettings.current().users_choose else SPAM_CLOSED
    return _form(request, who, _("Spam"), SpamForm, note)


def _form(
    request: HttpRequest, who: Member, title: str, form_class: type[ModelForm[User]], note: Text = ""
) -> HttpResponse:
    """A page with some of the own fields to change."""
    form = form_class(request.POST or None, instance=who.user)
    if request.method == "POST" and form.is_valid():
        actions.change(who.user, actor=who.actor, **form.cleaned_data)
        if who.user.language:
            # Who has just chosen a language is answered in it.
            translation.activate(who.user.language)
        messages.success(request, _("Saved."))
        return HttpResponseRedirect(request.path)
    return page(request, who, "portal/form.html", title, {"form": form, "agree": _("Save"), "note": note})


@require_http_methods(["GET", "POST"])
@member
def password(request: HttpRequest, who: Member) -> HttpResponse:
    """A new password; every other session ends. An administrator in the user's place need not know the old one."""
    needs_old = who.impersonator is None
    form = PasswordForm(request.POST or None, user=who.user, ip=client_ip(request), needs_old=needs_old)
    if request.method == "POST" and form.is_valid():
        keep = request.session.session_key or ""
        done = actions.change_password(who.actor, who.user, form.cleaned_data["new"], keep_session=keep)
        keep_logged_in(request, who.user)
        messages.success(request, done.sentence)
        return HttpResponseRedirect(reverse("portal:password"))
    return page(
        request,
        who,
        "portal/form.html",
        _("Password"),
        {"form": form, "agree": _("Change the password"), "note": NOTE},
    )
