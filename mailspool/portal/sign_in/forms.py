"""The forms of signing in."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from accounts.models.sign_in import LONGEST_NAME
from mailspool.portal.forms import Looks

_CODE = {"autocomplete": "one-time-code", "autocapitalize": "off", "spellcheck": "false", "autofocus": True}


class _Dressed(Looks, forms.Form):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.dress()


class CodeForm(_Dressed):
    """A code of an app, or a recovery code."""

    code = forms.CharField(label=_("Code"), max_length=64, widget=forms.TextInput(attrs=_CODE))


class AppForm(_Dressed):
    """The code that proves that the app knows the secret, and what the app is to be called."""

    code = forms.CharField(
        label=_("Code that the app shows"),
        max_length=12,
        widget=forms.TextInput(attrs={**_CODE, "inputmode": "numeric"}),
    )
    name = forms.CharField(
        label=_("Name"),
        max_length=LONGEST_NAME,
        required=False,
        widget=forms.TextInput(attrs={"placeholder": _("My phone")}),
    )


class PasswordForm(_Dressed):
    """The account's password, once more."""

    password = forms.CharField(
        label=_("Password"), strip=False, widget=forms.PasswordInput(attrs={"autocomplete": "current-password"})
    )
