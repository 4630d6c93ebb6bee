"""What domain administrators do to their users, aliases and lists. Every row is looked up within the domain."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts import actions, changes
from accounts.connections.registry import end_quietly
from accounts.fields import USER_DEFAULTS
from accounts.models import STAFF, Alias, DomainUserDefaults, MailingList, Role, Status, User
from accounts.sign_in import factors, session
from accounts.sign_in.errors import Refused
from base.texts import Text
from mailspool.portal.access import Member, domain_administrator, page
from mailspool.portal.forms import AliasForm, ListForm, UserForm
from mailspool.portal.row_menu import PAGES, offers
from mailspool.portal.sign_in.confirmation import asking

PAGE = 50
MOST_MEMBERS = 200
_THINGS = {page: kind for kind, page in PAGES.items()}
_PROBLEMS = (actions.Refused, actions.NotAllowed, actions.TooManyUsers, actions.AddressTaken, actions.NotThere)


@dataclass(frozen=True, slots=True)
class Kind:
    """One of the three kinds of rows, and how its pages are made."""

    name: str
    title: Text
    add: Text
    icon: str
    explained: Text
    address: str
    rows: Callable[[Member], QuerySet[Any]]
    form: Callable[..., forms.ModelForm]


def _users(who: Member) -> QuerySet[Any]:
    # Not reached from here: who works in the console, and only has an address in this domain.
    return User.objects.filter(domain=who.domain).exclude(role__in=STAFF).order_by("email")


def _aliases(who: Member) -> QuerySet[Any]:
    return Alias.objects.filter(domain=who.domain).prefetch_related("targets").order_by("address")


def _lists(who: Member) -> QuerySet[Any]:
    rows = MailingList.objects.filter(domain=who.domain).select_related("owner")
    return rows.annotate(member_total=Count("members")).order_by("address")


KINDS = {
    "users": Kind(
        "users",
        _lazy("Users"),
        _lazy("Add user"),
        "group",
        _lazy("People with a mailbox in your domain appear here."),
        "email",
        _users,
        UserForm,
    ),
    "aliases": Kind(
        "aliases",
        _lazy("Aliases"),
        _lazy("Add alias"),
        "alternate_email",
        _lazy("An alias is another address for one or more people, such as sales@ for two colleagues."),
        "address",
        _aliases,
        AliasForm,
    ),
    "lists": Kind(
        "lists",
        _lazy("Mailing lists"),
        _lazy("Add mailing list"),
        "groups",
        _lazy("What is written to a list goes to each of its members; what comes back goes to its owner."),
        "address",
        _lists,
        ListForm,
    ),
}


@require_GET
@domain_administrator
def listed(request: HttpRequest, who: Member, kind: str) -> HttpResponse:
    """All of one kind, with a search."""
    what, asked = KINDS[kind], request.GET.get("q", "").strip()[:254]
    rows = what.rows(who)
    if asked:
        wanted = Q(**{f"{what.address}__icontains": asked})
        rows = rows.filter(wanted | Q(name__icontains=asked) if kind == "users" else wanted)
    shown = Paginator(rows, PAGE).get_page(request.GET.get("page"))
    return page(
        request,
        who,
        "portal/rows.html",
        what.title,
        {"kind": what, "rows": shown, "q": asked, "add": reverse(f"portal:add_{kind}"), "most": who.domain.max_users},
    )


@require_http_methods(["GET", "POST"])
@domain_administrator
def edited(request: HttpRequest, who: Member, kind: str, pk: int | None = None) -> HttpResponse:
    """Add one (without `pk`) or change it."""
    what = KINDS[kind]
    row = get_object_or_404(what.rows(who), pk=pk) if pk is not None else None
    more = {"is_own": True} if kind == "users" and row is not None and row.pk == who.user.pk else {}
    before = changes.stored(row) if isinstance(row, User | MailingList) else {}
    form = what.form(request.POST or None, instance=row, domain=who.domain, initial=_first(who, kind, row), **more)
    if request.method == "POST" and form.is_valid() and _is_proved(request, form):
        try:
            messages.success(request, _SAVE[kind](request, who, form, before))
            return HttpResponseRedirect(reverse(f"portal:{kind}"))
        except _PROBLEMS as error:
            form.add_error(None, str(error))
        except ValidationError as error:
            form.add_error(None, error.messages)
    return page(
        request,
        who,
        "portal/form.html",
        str(row) if row is not None else what.add,
        {
            "form": form,
            "agree": _("Save") if row is not None else _("Add"),
            "back": reverse(f"portal:{kind}"),
            "remove": _removal(who, kind, row),
            "members": _members(row),
            "offers": offers(who, _THINGS[kind], row) if row is not None else [],
            "account": row if isinstance(row, User) else None,
            "factors": factors.of(row) if isinstance(row, User) and row.pk != who.user.pk else [],
        },
    )


def _is_proved(request: HttpRequest, form: Any) -> bool:
    """Another's password is set, and roles are given, by who has proved lately to be the owner of the session."""
    if session.recent_enough(request):
        return True
    is_new = form.instance.pk is None
    asked = []
    if form.cleaned_data.get("new_password") and not is_new:
        asked.append(("new_password", _('First <a href="{}">prove that it is still you</a>, then set the password.')))
    if "role" in form.changed_data and not (is_new and form.cleaned_data.get("role") == Role.USER):
        asked.append(("role", _('First <a href="{}">prove that it is still you</a>, then change the role.')))
    for field, said in asked:
        form.add_error(field, format_html(said, asking(request.get_full_path())))
    return not asked


def _first(who: Member, kind: str, row: Any) -> dict[str, Any]:
    if kind != "users" or row is not None:
        return {}
    start = DomainUserDefaults.of(who.domain)
    return {name: getattr(start, name) for name in USER_DEFAULTS.fields}


def _removal(who: Member, kind: str, row: Any) -> str:
    if row is None or (kind == "users" and row.pk == who.user.pk):
        return ""
    return reverse(f"portal:remove_{kind}", args=[row.pk])


def _members(row: Any) -> dict[str, Any] | None:
    if not isinstance(row, MailingList):
        return None
    addresses = list(row.members.order_by("address").values_list("address", flat=True)[:MOST_MEMBERS])
    return {"addresses": addresses, "total": row.members.count()}


def _save_user(request: HttpRequest, who: Member, form: Any, before: dict[str, Any]) -> str:
    password, fields = form.cleaned_data["new_password"], dict(form.cleaned_data)
    del fields["new_password"]
    if not before:
        email = fields.pop("email")
        user = actions.add_user(email, password, actor=who.actor, **fields)
        return _("%(what)s is added.") % {"what": user}
    user = form.instance
    status = fields.get("status", before["status"])
    # Its own action: it ends connections.
    user.status = before["status"]
    user.full_clean()
    actions.save(user, actor=who.actor)
    said = [_("Saved.")]
    if status != before["status"]:
        said.append(actions.set_user_status(who.actor, user, Status(status)).sentence)
    if password:
        keep = request.session.session_key or "" if user.pk == who.user.pk else ""
        said.append(actions.change_password(who.actor, user, password, keep_session=keep).sentence)
        from accounts.admin.containing import keep_logged_in

        keep_logged_in(request, user)
    if user.email != before["email"]:
        said.append(end_quietly([before["email"]]).sentence)
    return " ".join(said)


def _save_alias(request: HttpRequest, who: Member, form: Any, before: dict[str, Any]) -> str:
    alias = form.instance
    alias.full_clean()
    actions.save(alias, actor=who.actor, targets=form.cleaned_data["targets"])
    return _("%(what)s is saved.") % {"what": alias}


def _save_list(request: HttpRequest, who: Member, form: Any, before: dict[str, Any]) -> str:
    row = form.instance
    row.full_clean()
    done = actions.save(
        row,
        actor=who.actor,
        members=form.cleaned_data["new_members"],
        without=form.cleaned_data.get("old_members") or [],
    )
    return _("%(what)s is saved; members added: %(added)s, removed: %(removed)s.") % {
        "what": row,
        "added": done.added,
        "removed": done.removed,
    }


_SAVE = {"users": _save_user, "aliases": _save_alias, "lists": _save_list}


@require_POST
@domain_administrator
def factors_removed(request: HttpRequest, who: Member, pk: int) -> HttpResponse:
    """Remove the second factors of a user who has lost them."""
    user = get_object_or_404(_users(who), pk=pk)
    here = reverse("portal:edit_users", args=[pk])
    try:
        messages.success(request, factors.remove_all(who.actor, user))
    except (Refused, actions.NotAllowed) as error:
        messages.error(request, str(error))
    return HttpResponseRedirect(here)


@require_POST
@domain_administrator
def removed(request: HttpRequest, who: Member, kind: str, pk: int) -> HttpResponse:
    """Delete one."""
    row = get_object_or_404(KINDS[kind].rows(who), pk=pk)
    if kind == "users" and row.pk == who.user.pk:
        messages.error(request, _("You can't remove yourself."))
    else:
        messages.success(request, actions.remove(row, actor=who.actor).sentence)
    return HttpResponseRedirect(reverse(f"portal:{kind}"))
