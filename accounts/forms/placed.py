"""What the forms for users, aliases and lists share: the address says in which domain it is."""

from __future__ import annotations

from typing import Any, ClassVar

from django import forms
from django.utils.translation import gettext as _

from accounts.addresses import InvalidAddress, normalise_address, split_address
from accounts.forms.comparing import Comparing
from accounts.placing import AddressTaken, NotThere, TooManyUsers, place


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


def addresses_in(text: str, *, as_written: bool = False) -> list[str]:
    """The addresses in a text box, one per line or comma-separated, each once. Raises ValidationError.

    `as_written`: of those elsewhere, whose server may tell upper from lower case.
    """
    found: dict[str, None] = {}
    wrong = []
    for word in text.replace(",", "\n").replace(";", "\n").splitlines():
        if word.strip():
            try:
                found["@".join(split_address(word.strip())) if as_written else normalise_address(word)] = None
            except InvalidAddress as error:
                wrong.append(str(error))
    if wrong:
        more = " " + _("(and %(number)s more)") % {"number": len(wrong) - 3} if len(wrong) > 3 else ""
        raise forms.ValidationError("; ".join(wrong[:3]) + more)
    return list(found)
