"""What of a page somebody's role reaches (accounts.reach): a link or button that would be refused is not drawn."""

from __future__ import annotations

from typing import Any

from django import template
from django.http import HttpRequest
from django.urls import Resolver404, resolve, reverse
from django.utils.html import conditional_escape, format_html
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext as _

from accounts import reach
from accounts.models import User

register = template.Library()


@register.filter
def opens(request: HttpRequest, url_name: str) -> bool:
    """Whether a link may lead there."""
    return _answers(request, url_name, "GET")


@register.filter
def sends(request: HttpRequest, url_name: str) -> bool:
    """Whether something may be sent there."""
    return _answers(request, url_name, "POST")


@register.filter
def leads(request: HttpRequest, link: str) -> bool:
    """Whether a link that was made elsewhere leads anywhere, and may."""
    try:
        return bool(link) and _answers(request, resolve(link.partition("?")[0]).view_name, "GET")
    except Resolver404:
        return False


@register.simple_block_tag(takes_context=True)
def lead(context: Any, content: str, url_name: str, *args: str) -> SafeString:
    """What stands inside as a link, for whom the page that it leads to is; as it stands for others.

    Where the link is about something else than what it says, it says so to who points at it.
    """
    if not opens(context["request"], url_name):
        return mark_safe(content)  # noqa: S308 – rendered by the template that it stands in
    about = str(args[-1])
    title = "" if content == conditional_escape(about) else (_("Look into %(about)s") % {"about": about})
    return format_html('<a href="{}"{}>{}</a>', reverse(url_name, args=args), _titled(title), mark_safe(content))  # noqa: S308


def _titled(title: str) -> SafeString:
    return format_html(' title="{}"', title) if title else SafeString()


def _answers(request: HttpRequest, url_name: str, method: str) -> bool:
    return isinstance(request.user, User) and reach.opens(request.user, url_name, method)
