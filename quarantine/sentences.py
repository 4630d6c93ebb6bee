"""What the audit says of what was caught."""

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy

from base.audit import sentences
from quarantine.filters import ItemFilter
from spool.sentences import counted, in_words

_UNLISTED = {"allow": _lazy("No longer allows %(sender)s"), "block": _lazy("No longer blocks %(sender)s")}

sentences.of_titles(
    {
        "allow-sender": _lazy("Allow sender"),
        "block-sender": _lazy("Block sender"),
        "unlist-sender": _lazy("Take sender off the list"),
        "trust": _lazy("Trust sender"),
        "distrust": _lazy("Trust sender no more"),
        "forget greylisting": _lazy("Forget greylisting"),
        "quarantine-download": _lazy("Download"),
        "quarantine-export": _lazy("Export"),
        "request release": _lazy("Request release"),
        "scan-again": _lazy("Check again"),
    }
)
sentences.of_filters({"quarantine-export": in_words(ItemFilter)})
sentences.of_actions(
    {
        "allow-sender": lambda event: _("Allows %(sender)s") % event.parameters,
        "block-sender": lambda event: _("Blocks %(sender)s") % event.parameters,
        "unlist-sender": lambda event: _UNLISTED[event.parameters["was"]] % event.parameters,
        "trust": lambda event: _("Skips the spam checks"),
        "distrust": lambda event: _("Checked for spam again"),
        "forget greylisting": lambda event: _("Forgotten"),
        "quarantine-download": counted(_lazy("downloaded")),
        "quarantine-export": counted(_lazy("exported")),
        "request release": lambda event: _("Release requested"),
        "scan-again": counted(_lazy("to be checked again")),
    }
)
