"""SMTP blocks in the console."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _lazy
from unfold.decorators import display

from security.admin.lists import SOURCE_COLOURS, ListAdmin, ListForm
from security.models import BlockKind, Direction, SMTPBlock
from security.patterns import bare

DIRECTION_COLOURS = {Direction.INBOUND: "info", Direction.OUTBOUND: "warning", Direction.BOTH: "danger"}


class SMTPBlockForm(ListForm):
    class Meta:
        model = SMTPBlock
        fields = ["kind", "pattern", "direction", "description"]

    def clean_pattern(self) -> str:
        pattern: str = self.cleaned_data["pattern"]
        return bare(pattern) if self.cleaned_data.get("kind") == BlockKind.DOMAIN else pattern


@admin.register(SMTPBlock)
class SMTPBlockAdmin(ListAdmin):
    form = SMTPBlockForm
    code_letter = "S"
    list_display = ["pattern", "kind", "shown_direction", "shown_source", "description", "shown_added"]
    list_filter = ["kind", "direction", "source"]
    search_fields = ["pattern", "description", "created_by"]
    fieldsets = [(None, {"fields": ["kind", "pattern", "direction", "description"]})]
    empty_title = _lazy("No sender is blocked")
    empty_text = _lazy(
        "Mail is refused by its envelope sender, or by the name with which a host introduces itself. Blocks are added"
        " here, or from the Overview, where they are marked as coming from the spool."
    )

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        return {"direction": Direction.INBOUND, **super().get_changeform_initial_data(request)}

    @display(description=_lazy("Direction"), ordering="direction", label=DIRECTION_COLOURS)
    def shown_direction(self, row: SMTPBlock) -> tuple[str, str]:
        return row.direction, row.get_direction_display()

    @display(description=_lazy("Source"), ordering="source", label=SOURCE_COLOURS)
    def shown_source(self, row: SMTPBlock) -> tuple[str, str]:
        return row.source, row.get_source_display()
