"""The popup of one message, and the parts that it loads when they are looked at."""

from __future__ import annotations

from typing import Any, Final

from django.http import FileResponse, Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy
from django.views.decorators.clickjacking import xframe_options_sameorigin
from django.views.decorators.http import require_GET

from accounts.templatetags.reach import opens
from spool.console import message as parts
from spool.console.actions import actions_for
from spool.console.pages import actor_of, is_htmx, page
from spool.console.preview import POLICY, preview_of
from spool.message.held import Source
from spool.message.structure import structure_of
from spool.models import Entry, Trashed
from spool.models.settings import current
from spool.places import contents

_GONE: Final = _lazy("Message no longer exists")


@require_GET
def message(request: HttpRequest, file_name: str) -> HttpResponse:
    """The popup when a list asks for it, a page of its own otherwise."""
    entry = parts.entry_named(file_name)
    template, context = ("_gone.html", _gone(file_name)) if entry is None else ("_message.html", _about(request, entry))
    if is_htmx(request):
        return render(request, f"spool/console/{template}", context)
    title = context["title"] if entry is None else entry.subject or entry.file_name
    html = render_to_string(f"spool/console/{template}", context, request)
    return page(
        request, "spool/console/message.html", title, {"message_html": html}, status=404 if entry is None else 200
    )


def _about(request: HttpRequest, entry: Entry) -> dict[str, Any]:
    structure = parts.structure_or_none(contents.source_of(entry))
    attempts, recipients = parts.attempts_of(entry.file_name), parts.recipients_of(entry)
    return {
        "entry": entry,
        "structure": structure,
        "attempts": attempts,
        "recipients": recipients,
        "first_recipient": next(iter(recipients.recipients), None),
        "why": parts.explained(entry, attempts, file_exists=structure is not None),
        "destinations": parts.destinations_of(recipients.recipients)
        if not entry.next_hop and opens(request, "destination")
        else [],
        "headers": parts.headers_of(structure) if structure else [],
        "actions": actions_for(entry, actor_of(request)),
        **{
            f"{name}_link": reverse(f"admin:spool_entry_{name}", args=[entry.file_name])
            for name in ("recipients", "content", "source", "download")
            if opens(request, f"admin:spool_entry_{name}")
        },
    }


def _gone(file_name: str) -> dict[str, Any]:
    traces = parts.traces_of(file_name)
    return {
        "title": (traces[0].subject or _("(no subject)")) if traces else _GONE,
        "outcomes": sorted({trace.get_outcome_display() for trace in traces}),
        "file_name": file_name,
        "traces": traces,
        "attempts_oldest_first": parts.attempts_of(file_name)[::-1],
        "trashed": Trashed.objects.filter(file_name=file_name).first(),
        "trace_days": current().trace_days,
    }


@require_GET
def recipients(request: HttpRequest, file_name: str) -> HttpResponse:
    """More rows of the recipients' table."""
    entry = _entry(file_name)
    return render(
        request,
        "spool/console/_recipients.html",
        {
            "recipients": parts.recipients_of(entry, _number(request, "after")),
            "recipients_link": reverse("admin:spool_entry_recipients", args=[file_name]),
        },
    )


@require_GET
def content(request: HttpRequest, file_name: str) -> HttpResponse:
    """The frame with the message's text, its attachments, and where its links lead."""
    message, link = contents.source_of(_entry(file_name)), reverse("admin:spool_entry_preview", args=[file_name])
    return shown_content(request, message, link)


@require_GET
@xframe_options_sameorigin
def preview(request: HttpRequest, file_name: str) -> HttpResponse:
    """The message's text as a document that may do nothing, for the sandboxed frame."""
    return shown_document(contents.source_of(_entry(file_name)))


@require_GET
def source(request: HttpRequest, file_name: str) -> HttpResponse:
    """A page of the raw message."""
    message, link = contents.source_of(_entry(file_name)), reverse("admin:spool_entry_source", args=[file_name])
    return shown_source(request, message, link)


def shown_content(request: HttpRequest, message: Source, preview_link: str) -> HttpResponse:
    """What the popup of any message shows of it; `preview_link` leads to `shown_document`. Raises Http404."""
    try:
        structure = structure_of(message)
        shown = preview_of(message, structure)
    except OSError as error:
        raise Http404(_GONE) from error
    context = {
        "preview": shown,
        "attachments": structure.attachments,
        "cut": structure.cut,
        "preview_link": preview_link,
    }
    return render(request, "spool/console/_content.html", context)


def shown_document(message: Source) -> HttpResponse:
    """The text of any message, for a sandboxed frame. Raises Http404."""
    try:
        shown = preview_of(message, structure_of(message))
    except OSError as error:
        raise Http404(_GONE) from error
    answer = HttpResponse(shown.document)
    answer["Content-Security-Policy"] = POLICY
    answer["Referrer-Policy"] = "no-referrer"
    answer["Cache-Control"] = "no-store"
    return answer


def shown_source(request: HttpRequest, message: Source, source_link: str) -> HttpResponse:
    """The page of any raw message that begins at `from`. Raises Http404."""
    try:
        shown = parts.source_page(message, _number(request, "from"))
    except OSError as error:
        raise Http404(_GONE) from error
    return render(request, "spool/console/_source.html", {"source": shown, "source_link": source_link})


@require_GET
def download(request: HttpRequest, file_name: str) -> FileResponse:
    """The message as it came in. Always saved, never shown by the browser."""
    entry = _entry(file_name)
    try:
        file = contents.source_of(entry).open("rb")
    except OSError as error:
        raise Http404(_GONE) from error
    return FileResponse(file, as_attachment=True, filename=entry.file_name, content_type="application/octet-stream")


def _entry(file_name: str) -> Entry:
    entry = parts.entry_named(file_name)
    if entry is None:
        raise Http404(_GONE)
    return entry


def _number(request: HttpRequest, name: str) -> int:
    text = request.GET.get(name, "0")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else 0
