"""A suppression list as a file for a browser."""

from __future__ import annotations

from django.db.models import QuerySet
from django.http import StreamingHttpResponse
from django.utils import timezone

from spool import suppression
from spool.actions.suppression_files import csv_lines
from spool.models.suppression import Suppression


def suppressed_file(rows: QuerySet[Suppression]) -> StreamingHttpResponse:
    """As `suppression import` and the page Import take it, sent while it is read."""
    lines = csv_lines(suppression.in_order(rows))
    answer = StreamingHttpResponse(lines, content_type="text/csv; charset=utf-8")
    answer["Content-Disposition"] = f'attachment; filename="suppressed-{timezone.now():%Y%m%d}.csv"'
    return answer
