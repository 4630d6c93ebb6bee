"""The forms of signing in."""

from __future__ import annotations

from typing import Any

from django import forms

from accounts.models.sign_in import LONGEST_NAME
from mailspool.portal.forms import Looks

_CODE = {"autocomplete": "one-time-code", "autocapitalize": "off", "spellcheck": "false", "autofocus": True}


class _Dressed(Looks, forms.Form):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.dress()


class CodeForm(_Dressed):
    """A code of an app, or a recovery code."""

    code = forms.CharField(label="Code", max_length=64, widget=forms.TextInput(attrs=_CODE))


class AppForm(_Dressed):
    """The code that proves that the app knows the secret, and what the app is to be called."""

    code = forms.CharField(
        label="Code that the app shows", max_length=12, widget=forms.TextInput(attrs={**_CODE, "inputmode": "numeric"})
    )
    name = forms.CharField(
        label="Name", max_length=LONGEST_NAME, required=False, widget=forms.TextInput(attrs={"placeholder": "My phone"})
    )


class PasswordForm(_Dressed):
    """The account's password, once more."""

    password = forms.CharField(
        label="Password", strip=False, widget=forms.PasswordInput(attrs={"autocomplete": "current-password"})
    )
