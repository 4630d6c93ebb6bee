"""What the scripts of every page say, in the language of the page."""

from __future__ import annotations

import json

from django import template
from django.utils.translation import gettext as _

from base.time_elements import ago, ahead
from base.times import short_units

register = template.Library()


@register.simple_tag
def page_words() -> str:
    """As JSON: times (times.js), and what a page says whose session has ended (session.js)."""
    return json.dumps(
        {
            "ago": ago(),
            "ahead": ahead(),
            "units": short_units(),
            "show_relative": _("Show how long ago"),
            "show_exact": _("Show exact times"),
            "signed_out": _("You have been signed out"),
            "sign_in": _("Sign in again"),
            "stays": _("Sign in again in a new tab. What you have typed here stays, and this page goes on."),
            "somebody_else": _("You are signed in as %(name)s now. This page was opened by somebody else."),
            "reload": _("Reload the page"),
        }
    )
