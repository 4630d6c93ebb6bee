"""Texts that are typed into a form or brought to it as a file."""

from __future__ import annotations

from typing import Final

from django import forms
from django.utils.translation import gettext as _

MOST_BYTES: Final = 5 * 1024 * 1024


def uploaded_text(form: forms.Form) -> str:
    """What the field `file` of a form that is being cleaned has brought, "" for none. Of one that is too large the form
    says so."""
    file = form.cleaned_data.get("file")
    if file is None:
        return ""
    if file.size > MOST_BYTES:
        form.add_error("file", _("The file is larger than 5 MB."))
        return ""
    # Programs of Windows begin with a mark that is no text.
    text: str = file.read().decode("utf-8-sig", "replace")
    return text
