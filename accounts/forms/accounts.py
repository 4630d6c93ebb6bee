"""A user, an alias and a mailing list in a form: what is asked beside the model's fields, and how it is checked."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib.auth.password_validation import validate_password
from django.utils.translation import gettext_lazy as _

from accounts.fields import refuse_itself
from accounts.forms.placed import PlacedForm, addresses_in
from accounts.models import Alias, MailingList, User


def password_input(widget: forms.Widget | type[forms.Widget]) -> forms.CharField:
    """For a new password; the stored one is never shown."""
    return forms.CharField(
        label=_("Password"),
        required=False,
        strip=False,
        widget=widget,
        help_text=_("At least 8 characters, nothing common. Leave empty to keep the one there is."),
    )


def targets_input(widget: forms.Widget | type[forms.Widget]) -> forms.CharField:
    """Whom an alias stands for."""
    return forms.CharField(
        label=_("Delivers to"),
        widget=widget,
        help_text=_("Addresses here or elsewhere, one per line. Those of users here may send as this address."),
    )


def members_input(widget: forms.Widget | type[forms.Widget]) -> forms.CharField:
    """Many new members of a list at once."""
    return forms.CharField(
        label=_("Add members"),
        required=False,
        widget=widget,
        help_text=_("Addresses, one per line or comma-separated, as many as you like. Those on the list already stay."),
    )


class UserFields(PlacedForm):
    """A user. Wants a `new_password`."""

    address_field = "email"

    class Meta:
        model = User
        fields = ()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk is None:
            self.fields["new_password"].required = True
            self.fields["new_password"].error_messages["required"] = _("A new user needs a password.")
            self.fields["new_password"].help_text = _("At least 8 characters, nothing common.")

    def clean_forward_to(self) -> str:
        return "\n".join(addresses_in(self.cleaned_data["forward_to"], as_written=True))

    def clean_new_password(self) -> str:
        password: str = self.cleaned_data["new_password"]
        if password:
            validate_password(
                password, User(email=str(self.data.get("email", "")), name=str(self.data.get("name", "")))
            )
        return password


class AliasFields(PlacedForm):
    """An alias. Wants `targets`: whom it stands for."""

    class Meta:
        model = Alias
        fields = ()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        # Before the fields are looked at: they are compared with what is there.
        kwargs["initial"] = {**_targets_of(kwargs.get("instance")), **(kwargs.get("initial") or {})}
        super().__init__(*args, **kwargs)

    def clean_targets(self) -> list[str]:
        return addresses_in(self.cleaned_data["targets"])

    def clean(self) -> dict[str, Any] | None:
        cleaned = super().clean()
        if wrong := refuse_itself(self.cleaned_data.get("address", ""), self.cleaned_data.get("targets", ())):
            self.add_error("targets", wrong)
        return cleaned


class ListFields(PlacedForm):
    """A mailing list. Wants `new_members`."""

    class Meta:
        model = MailingList
        fields = ()

    def clean_new_members(self) -> list[str]:
        return addresses_in(self.cleaned_data["new_members"])


def _targets_of(alias: Alias | None) -> dict[str, str]:
    if alias is None or alias.pk is None:
        return {}
    return {"targets": "\n".join(alias.targets.order_by("id").values_list("address", flat=True))}
