"""What the forms for users, aliases and lists share: the address says in which domain it is."""

from __future__ import annotations

from typing import Any, ClassVar

from django import forms
from django.contrib.admin.models import CHANGE, LogEntry
from django.db.models import QuerySet
from django.http import HttpRequest

from accounts.addresses import InvalidAddress, normalise_address
from accounts.admin.comparing import Comparing
from accounts.models import Alias
from accounts.placing import AddressTaken, NotThere, TooManyUsers, place

# A limit beside what happens beyond it, each pair in a row of the form.
HOURLY_FIELDS = (
    ("messages_per_hour", "messages_action"),
    ("bandwidth_mb_per_hour", "bandwidth_action"),
    ("recipients_per_hour", "recipients_action"),
)
BOUNCE_FIELDS = (("bounces_per_hour", "bounces_action"),)


class PlacedForm(Comparing):
    """A form whose instance gets its domain from its address, or the sentence that says why it can't."""

    address_field: ClassVar[str] = "address"

    def clean(self) -> dict[str, Any] | None:
        cleaned = super().clean()
        address = self.cleaned_data.get(self.address_field)
        if not address:
            return cleaned
        if "role" in self.cleaned_data:
            # Who may be without a domain depends on it.
            self.instance.role = self.cleaned_data["role"]
        try:
            place(self.instance, address)
        except (InvalidAddress, NotThere, AddressTaken, TooManyUsers) as error:
            self.add_error(self.address_field, str(error))
        else:
            self.cleaned_data[self.address_field] = getattr(self.instance, self.address_field)
        return cleaned


class AddressForm(Comparing):
    """A row of an inline that has an address: in one spelling, so that doubles are noticed."""

    def clean_address(self) -> str:
        try:
            return normalise_address(self.cleaned_data["address"])
        except InvalidAddress as error:
            raise forms.ValidationError(str(error)) from error


def targets_of(alias: Alias | None) -> dict[str, str]:
    """The `initial` of a form for what an alias stands for, one address per line."""
    if alias is None or alias.pk is None:
        return {}
    return {"targets": "\n".join(alias.targets.order_by("id").values_list("address", flat=True))}


def addresses_in(text: str) -> list[str]:
    """The addresses in a text box, one per line or comma-separated, each once. Raises ValidationError."""
    found: dict[str, None] = {}
    wrong = []
    for word in text.replace(",", "\n").replace(";", "\n").splitlines():
        if word.strip():
            try:
                found[normalise_address(word)] = None
            except InvalidAddress as error:
                wrong.append(str(error))
    if wrong:
        more = f" (and {len(wrong) - 3} more)" if len(wrong) > 3 else ""
        raise forms.ValidationError("; ".join(wrong[:3]) + more)
    return list(found)


def log(request: HttpRequest, rows: QuerySet[Any], message: str) -> None:
    """Note in the history of each row what was done to all of them."""
    if request.user.pk is not None:
        LogEntry.objects.log_actions(request.user.pk, rows, CHANGE, change_message=message)
