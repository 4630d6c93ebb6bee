"""Values of accounts as people read them."""

from __future__ import annotations

from django import template

from accounts.models import Status
from base import time_elements

register = template.Library()
_TONES = {Status.ENABLED: "good", Status.DISABLED: "bad", Status.RECEIVING: "waiting"}


@register.filter
def account_tone(status: str) -> str:
    return _TONES.get(Status(status), "quiet")


register.filter("ago", time_elements.relative)
register.filter("moment_of", time_elements.moment)
