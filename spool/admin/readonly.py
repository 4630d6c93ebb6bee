"""What pages share whose rows only the flow of mail writes."""

from __future__ import annotations

from django.http import HttpRequest
from unfold.paginator import InfinitePaginator

from accounts.admin.searching import ModelAdmin


class ReadOnlyAdmin(ModelAdmin):
    """Rows that only the flow of mail may write. Pages never count a million of them."""

    paginator = InfinitePaginator
    show_full_result_count = False
    list_per_page = 50

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False
