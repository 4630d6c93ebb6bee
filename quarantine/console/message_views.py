"""The popup of one quarantined message, and the parts that it loads when they are looked at."""

from __future__ import annotations

from typing import Any

from django.http import FileResponse, Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.translation import gettext_lazy as _lazy
from django.views.decorators.clickjacking import xframe_options_sameorigin
from django.views.decorators.http import require_GET, require_http_methods

from accounts.templatetags.reach import opens
from quarantine.console.actions import buttons_for
from quarantine.console.list_views import SECTION
from quarantine.console.text_only import texts_of
from quarantine.models.item import Item, ItemKind, ItemState
from spool.actions import audit
from spool.actions.verb import Tally
from spool.console import message as parts
from spool.console.message_views import message as spool_message
from spool.console.message_views import shown_content, shown_document, shown_source
from spool.console.pages import actor_of, is_htmx, page
from spool.message.structure import structure_of

_GONE = _lazy("Message no longer exists")
_MOST_RECIPIENTS = 200


@require_GET
def message(request: HttpRequest, file_name: str) -> HttpResponse:
    """The popup when a list asks for it, a page of its own otherwise."""
    item = Item.objects.filter(file_name=file_name, state=ItemState.HELD).first()
    if item is None:
        # It was resent, or has gone: the spool knows.
        return spool_message(request, file_name)
    html = render_to_string("quarantine/_message.html", _about(request, item), request)
    if is_htmx(request):
        return HttpResponse(html)
    context = {"message_html": html, "section_link": reverse(SECTION)}
    return page(request, "spool/console/message.html", item.subject or item.file_name, context)


def _about(request: HttpRequest, item: Item) -> dict[str, Any]:
    structure = parts.structure_or_none(item.source)
    # The bytes of a virus are not for a browser.
    links = ("content", "download") if item.kind == ItemKind.VIRUS else ("content", "source", "download")
    return {
        "item": item,
        "entry": item,
        "structure": structure,
        "is_virus": item.kind == ItemKind.VIRUS,
        "actions": buttons_for(ItemKind(item.kind), actor_of(request)),
        "recipients": item.recipients[:_MOST_RECIPIENTS],
        "first_recipient": next(iter(item.recipients), None),
        "more": max(0, len(item.recipients) - _MOST_RECIPIENTS),
        "attempts": parts.attempts_of(item.file_name),
        "headers": parts.headers_of(structure) if structure else [],
        **{
            f"{name}_link": reverse(f"admin:quarantine_item_{name}", args=[item.file_name])
            for name in links
            if opens(request, f"admin:quarantine_item_{name}")
        },
    }


@require_GET
def content(request: HttpRequest, file_name: str) -> HttpResponse:
    """What there is to read, and the names of the attachments."""
    item = _item(file_name)
    if item.kind != ItemKind.VIRUS:
        return shown_content(request, item.source, reverse("admin:quarantine_item_preview", args=[file_name]))
    try:
        source = item.source
        structure = structure_of(source)
        texts = texts_of(source, structure)
    except OSError as error:
        raise Http404(_GONE) from error
    return render(request, "quarantine/_texts.html", {"texts": texts, "attachments": structure.attachments})


@require_GET
@xframe_options_sameorigin
def preview(request: HttpRequest, file_name: str) -> HttpResponse:
    """The text of spam as a document that may do nothing, for the sandboxed frame."""
    return shown_document(_item(file_name, ItemKind.SPAM).source)


@require_GET
def source(request: HttpRequest, file_name: str) -> HttpResponse:
    """A page of raw spam."""
    source = _item(file_name, ItemKind.SPAM).source
    return shown_source(request, source, reverse("admin:quarantine_item_source", args=[file_name]))


@require_http_methods(["GET", "POST"])
def download(request: HttpRequest, file_name: str) -> HttpResponseBase:
    """A warning first; the file itself only for who has read it and says so. It is written down."""
    item = _item(file_name)
    if request.method != "POST":
        link = reverse("admin:quarantine_item_download", args=[file_name])
        return render(request, "quarantine/_warning.html", {"item": item, "download_link": link})
    try:
        file = item.source.open("rb")
    except OSError as error:
        raise Http404(_GONE) from error
    event = audit.begin(actor_of(request), "quarantine-download", item.file_name, matched=1)
    audit.end(event, Tally(1))
    # Under a name that no program opens by itself.
    name = f"{item.file_name}.txt" if item.kind == ItemKind.VIRUS else item.file_name
    return FileResponse(file, as_attachment=True, filename=name, content_type="application/octet-stream")


def _item(file_name: str, kind: ItemKind | None = None) -> Item:
    item = Item.objects.filter(file_name=file_name, state=ItemState.HELD).first()
    if item is None or (kind is not None and item.kind != kind):
        raise Http404(_GONE)
    return item
