"""Every change of the directory's data raises its version, so that no process goes on with what it remembers.

The first administrator's password is forgotten once it was used or changed. Whoever is no administrator any more is in
nobody's place any more.
"""

from typing import Any

from django.contrib.auth.signals import user_logged_in
from django.db.models.signals import post_delete, post_save
from django.http import HttpRequest

from accounts import directory, first_password
from accounts.models import Alias, AliasTarget, Domain, ListMember, MailingList, User


def connect() -> None:
    """Called once, when the app is ready."""
    from accounts.connections.logging_in import web_login

    user_logged_in.connect(web_login, dispatch_uid="web-login")
    user_logged_in.connect(_logged_in, dispatch_uid="first-password-used")
    post_save.connect(_password_saved, sender=User, dispatch_uid="first-password-changed")
    post_save.connect(_role_saved, sender=User, dispatch_uid="impersonations-of-no-administrator")
    post_delete.connect(_user_deleted, sender=User, dispatch_uid="first-password-of-nobody")
    for model in (Domain, User, Alias, AliasTarget, MailingList, ListMember):
        post_save.connect(_changed, sender=model, dispatch_uid=f"directory-save-{model.__name__}")
        post_delete.connect(_changed, sender=model, dispatch_uid=f"directory-delete-{model.__name__}")


def _changed(sender: type, update_fields: frozenset[str] | None = None, **kwargs: Any) -> None:
    # A login only writes its time.
    if update_fields is None or set(update_fields) != {"last_login"}:
        directory.changed()


def _logged_in(sender: type, user: User, request: HttpRequest | None = None, **kwargs: Any) -> None:
    # Who takes their place has not seen their password.
    if not getattr(request, "is_impersonating", False):
        first_password.used(user)


def _password_saved(sender: type, instance: User, **kwargs: Any) -> None:
    # Django keeps what set_password() was given until the row is saved.
    if (password := getattr(instance, "_password", None)) is not None:
        first_password.changed(instance, password)


def _role_saved(
    sender: type, instance: User, created: bool, update_fields: frozenset[str] | None = None, **kwargs: Any
) -> None:
    may_have_changed = not created and (update_fields is None or "role" in update_fields)
    if may_have_changed and not instance.is_system_administrator:
        from accounts.impersonation import end_of

        end_of(instance)


def _user_deleted(sender: type, instance: User, **kwargs: Any) -> None:
    first_password.used(instance)
