"""Where a page of the console stands: the page of the sidebar's that it belongs to, and what of it is shown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django import template
from django.template import Context
from django.urls import NoReverseMatch, reverse
from django.utils.text import capfirst
from django.utils.translation import gettext as _

from accounts.templatetags.reach import opens
from base.one_row import OneRow
from base.texts import Text
from mailspool.navigation import link_to, place_of

register = template.Library()


@dataclass(frozen=True, slots=True)
class Crumb:
    """A step on the way; the last one is the page itself and has no link."""

    title: Text
    link: str = ""


@register.simple_tag(takes_context=True)
def crumbs(context: Context) -> list[Crumb]:
    """The way to this page. What people called something stays as they wrote it."""
    request = context["request"]
    place = place_of(request.path)
    way: list[Crumb] = []
    if place is not None:
        way.append(Crumb(place.page.title, (link_to(place.page) or "") if opens(request, place.page.url) else ""))
    way += _of_table(context, way)
    title = context.get("content_title") or context.get("title")
    if not context.get("opts") and title and (not way or way[-1].link != request.path):
        way.append(Crumb(title))
    return [*way[:-1], Crumb(way[-1].title)] if way else []


def _of_table(context: Context, way: list[Crumb]) -> list[Crumb]:
    """The steps of a page of the admin site: the list, where it is not the sidebar's own page, and the row."""
    opts = context.get("opts")
    if not opts or issubclass(opts.model, OneRow):
        return []
    steps = []
    link = _link_to_list(opts)
    if not way or way[-1].link != link:
        steps.append(Crumb(capfirst(opts.verbose_name_plural), link))
    row: Any = context.get("original") or context.get("object")
    if row is not None and not isinstance(row, str):
        steps.append(Crumb(str(row)))
    elif context.get("add"):
        steps.append(Crumb(_("Add")))
    return steps


def _link_to_list(opts: Any) -> str:
    try:
        return reverse(f"admin:{opts.app_label}_{opts.model_name}_changelist")
    except NoReverseMatch:
        return ""
