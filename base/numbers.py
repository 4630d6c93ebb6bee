"""Numbers as people read them, in the language that is active."""

from __future__ import annotations

from django.utils.formats import number_format


def grouped(number: int) -> str:
    """`1,600` in English, `1.600` in German."""
    return number_format(number, use_l10n=True, force_grouping=True)


def decimal(number: float, places: int) -> str:
    """`12.5` in English, `12,5` in German; thousands are grouped."""
    # number_format cuts off what is beyond the places.
    return number_format(round(number, places), places, use_l10n=True, force_grouping=True)
