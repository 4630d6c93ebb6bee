"""The type of a text for people that may be put into a language only when it is shown (`gettext_lazy`)."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

    Text = StrOrPromise
else:
    Text = str
