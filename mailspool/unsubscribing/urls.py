"""Its address; without a login: the token is the permission."""

from __future__ import annotations

from django.urls import URLPattern, path

from mailspool.unsubscribing.views import unsubscribe


def urls() -> list[URLPattern]:
    return [path("unsubscribe/<str:token>", unsubscribe, name="unsubscribe")]
