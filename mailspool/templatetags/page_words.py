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
    """As JSON: times (times.js), what a page says whose session has ended (session.js), and what msSay says."""
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
            # copy.js
            "copied": _("Copied"),
            "press_to_copy": _("Press Ctrl+C"),
            # search.js
            "nothing_found": _("Nothing is called “%(text)s”. Words of a subject are searched on the page Spool."),
            "results": _("Results: %(number)s"),
            # selection.js
            "selected": _("%(number)s selected"),
            "all_selected": _("All %(number)s that match are selected"),
            "all_uncounted_selected": _("All that match are selected (%(number)s messages)"),
            "take_all": _("Select all %(number)s that match"),
            "take_all_uncounted": _("Select all that match (%(number)s messages)"),
            # live.js
            "live": _("Live · %(time)s"),
            "paused": _("Paused"),
            "pause": _("Pause"),
            "resume": _("Resume"),
            "dismiss": _("Dismiss"),
            "not_done": _("The server could not do this (HTTP %(status)s). Look at the list before you try again."),
            "not_reached": _("The server was not reached. Look at the list before you try again."),
            "session_over": _("Signed out"),
            "not_answered": _("Not answered (HTTP %(status)s); trying again"),
            "trying_again": _("Not reached; trying again"),
        }
    )
