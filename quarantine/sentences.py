"""What the audit says of what was caught."""

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy

from base.audit import sentences
from spool.sentences import counted

_UNLISTED = {"allow": _lazy("No longer allows %(sender)s"), "block": _lazy("No longer blocks %(sender)s")}

sentences.of_actions(
    {
        "allow-sender": lambda event: _("Allows %(sender)s") % event.parameters,
        "block-sender": lambda event: _("Blocks %(sender)s") % event.parameters,
        "unlist-sender": lambda event: _UNLISTED[event.parameters["was"]] % event.parameters,
        "trust": lambda event: _("Skips the spam checks"),
        "distrust": lambda event: _("Checked for spam again"),
        "forget greylisting": lambda event: _("Forgotten"),
        "quarantine-download": counted("downloaded"),
        "quarantine-export": counted("exported"),
        "request release": lambda event: _("Release requested"),
        "scan-again": counted(_lazy("to be checked again")),
    }
)
