"""The page of settings: its list of sections, what a search finds, and a section with its form."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from django.contrib import admin, messages
from django.db import transaction
from django.forms import BoundField, ModelForm
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBadRequest
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods

from base.declared_settings import Setting, models_of_settings, stored
from base.one_row import OneRow
from mailspool.setting_pages.changes import LastChange, history_of, last_changes
from mailspool.setting_pages.forms import form_of, with_defaults
from mailspool.setting_pages.places import Place, grouped, matching, place_named, places
from spool.console.pages import is_htmx, page

# What is asked for by the buttons of a section; a field's name follows the second.
SAVE: Final = "save"
DEFAULT: Final = "default:"
DEFAULTS: Final = "defaults"
_LONGEST: Final = 200

Rows = Mapping[type[OneRow], OneRow]


@require_GET
def settings(request: HttpRequest) -> HttpResponse:
    """What a search finds; without one, what differs from the defaults."""
    text, only_changed = request.GET.get("q", "")[:_LONGEST], request.GET.get("changed") == "1"
    rows = _rows()
    found: dict[Place, list[dict[str, Any]]] = {}
    for place, setting in matching(text):
        row = rows[place.model]
        if setting.differs(row) or (text and not only_changed):
            found.setdefault(place, []).append(_line(place, setting, row))
    context = {
        "found": found,
        "number": sum(map(len, found.values())),
        "text": text,
        "only_changed": only_changed,
    }
    if is_htmx(request):
        return render(request, "mailspool/settings/_found.html", context)
    return page(request, "mailspool/settings/settings.html", _("Settings"), {**context, **_frame(rows)})


@require_http_methods(["GET", "POST"])
def section(request: HttpRequest, slug: str) -> HttpResponse:
    """A section's form. What is sent is saved, or comes back with the defaults in some fields, to be saved."""
    place = place_named(slug)
    if place is None:
        raise Http404(_("There is no such section of the settings."))
    if request.method == "GET":
        row = stored(place.model)
        return _shown(request, place, row, form_of(request, place, row))
    row = place.model.load()
    asked = request.POST.get("do", SAVE)
    if asked == SAVE:
        return _saved(request, place, row)
    wanted = [one for one in place.settings if asked in (DEFAULTS, f"{DEFAULT}{one.field.name}")]
    if not wanted:
        return HttpResponseBadRequest(_("There is no such setting in this section."))
    data = with_defaults(form_of(request, place, row), request.POST, wanted)
    form = form_of(request, place, row, data)
    return _shown(request, place, stored(place.model), form, unsaved=wanted)


def whole_form(request: HttpRequest, object_id: str) -> HttpResponse:
    """The address of the form that once had all settings: it leads on, and what an open one sends is not saved."""
    if request.method == "POST":
        messages.warning(request, "Nothing was saved: settings are now saved section by section.")
    return redirect("settings")


def _saved(request: HttpRequest, place: Place, row: OneRow) -> HttpResponse:
    model_admin = admin.site.get_model_admin(place.model)
    with transaction.atomic():
        form = form_of(request, place, row, request.POST)
        before = stored(place.model)
        if form.is_valid():
            model_admin.save_model(request, form.save(commit=False), form, change=True)
    if form.errors:
        return _shown(request, place, before, form)
    after = stored(place.model)
    changed = [one.label for one in place.settings if one.of(before) != one.of(after)]
    messages.success(
        request, (_("Saved: %(changed)s.") % {"changed": ", ".join(changed)}) if changed else _("Nothing was changed.")
    )
    return redirect(place.link)


def _shown(
    request: HttpRequest, place: Place, row: OneRow, form: ModelForm, *, unsaved: list[Setting] | None = None
) -> HttpResponse:
    """`row` is how it is stored."""
    by_field = {setting.field.name: setting for setting in place.settings}
    changes = last_changes(place.model, by_field.keys())
    rows = {**_rows(without=place.model), place.model: row}
    fields = [_field(form[name], by_field.get(name), row, changes.get(name)) for name in form.fields]
    context = {
        **_frame(rows),
        "place": place,
        "form": form,
        "fields": fields,
        "wrong": [one for one in fields if form.errors and one["bound"].errors],
        "unsaved": unsaved,
        "differs": any(setting.differs(row) for setting in by_field.values()),
        "text": "",
    }
    return page(request, "mailspool/settings/section.html", place.section.title, context)


def _field(bound: BoundField, setting: Setting | None, row: OneRow, change: LastChange | None) -> dict[str, Any]:
    if setting is None:
        return {"bound": bound, "name": "", "unit": ""}
    return {
        "bound": bound,
        "name": setting.name,
        "unit": setting.unit,
        "default": setting.shown(setting.default),
        "differs": setting.differs(row),
        "reset": f"{DEFAULT}{setting.field.name}",
        "change": change,
        "history": history_of(setting),
    }


def _line(place: Place, setting: Setting, row: OneRow) -> dict[str, Any]:
    return {
        "setting": setting,
        "link": place.link_to(setting),
        "value": setting.shown(setting.of(row)),
        "default": setting.shown(setting.default),
        "differs": setting.differs(row),
    }


def _frame(rows: Rows) -> dict[str, Any]:
    """The list of sections, each with how many of its settings differ from their defaults."""
    counts = {place: sum(one.differs(rows[place.model]) for one in place.settings) for place in places()}
    groups = [(group, [(place, counts[place]) for place in some]) for group, some in grouped(places()).items()]
    return {"groups": groups, "here": reverse("settings"), "all_changed": sum(counts.values())}


def _rows(without: type[OneRow] | None = None) -> dict[type[OneRow], OneRow]:
    return {model: stored(model) for model in models_of_settings() if model is not without}
