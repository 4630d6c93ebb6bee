"""Who is logged in by the web: Django's session, with what is needed to list sessions and to end them."""

from __future__ import annotations

import uuid
from importlib import import_module

from django.conf import settings
from django.contrib.sessions.backends.base import SessionBase
from django.contrib.sessions.base_session import AbstractBaseSession
from django.db import models
from django.utils.translation import gettext_lazy as _lazy


class WebSession(AbstractBaseSession):
    """A session of the console or of the user site. `user` is null before a login.

    `public_id` names it on pages: the key itself would let in whoever reads it.
    """

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    user = models.ForeignKey(
        "accounts.User", on_delete=models.CASCADE, null=True, blank=True, related_name="web_sessions"
    )
    ip = models.CharField(_lazy("IP address"), max_length=45, blank=True, default="", db_index=True)
    agent = models.CharField(_lazy("browser"), max_length=200, blank=True, default="")
    since = models.DateTimeField(null=True, blank=True)
    seen = models.DateTimeField(_lazy("last seen"), null=True, blank=True)
    impersonator = models.ForeignKey(
        "accounts.User",
        on_delete=models.CASCADE,
        null=True,
        blank=True,
        related_name="impersonations",
        help_text=_lazy("The administrator who is in the user's place."),
    )

    def __str__(self) -> str:
        return str(self.public_id)

    @classmethod
    def get_session_store_class(cls) -> type[SessionBase]:
        store: type[SessionBase] = import_module(settings.SESSION_ENGINE).SessionStore
        return store
