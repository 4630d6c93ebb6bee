"""Every change of the directory's data raises its version, so that no process goes on with what it remembers."""

from typing import Any

from django.contrib.auth.signals import user_logged_in
from django.db.models.signals import post_delete, post_save

from accounts import directory
from accounts.models import Alias, AliasTarget, Domain, ListMember, MailingList, User


def connect() -> None:
    """Called once, when the app is ready."""
    from accounts.connections.logging_in import web_login

    user_logged_in.connect(web_login, dispatch_uid="web-login")
    for model in (Domain, User, Alias, AliasTarget, MailingList, ListMember):
        post_save.connect(_changed, sender=model, dispatch_uid=f"directory-save-{model.__name__}")
        post_delete.connect(_changed, sender=model, dispatch_uid=f"directory-delete-{model.__name__}")


def _changed(sender: type, update_fields: frozenset[str] | None = None, **kwargs: Any) -> None:
    # A login only writes its time.
    if update_fields is None or set(update_fields) != {"last_login"}:
        directory.changed()
