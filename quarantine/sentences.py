"""What the audit says of what was caught."""

from base.audit import sentences
from spool.sentences import counted

_LISTED = {"allow": "allows", "block": "blocks"}

sentences.of_actions(
    {
        "allow-sender": lambda event: f"Allows {event.parameters['sender']}",
        "block-sender": lambda event: f"Blocks {event.parameters['sender']}",
        "unlist-sender": lambda event: f"No longer {_LISTED[event.parameters['was']]} {event.parameters['sender']}",
        "trust": lambda _: "Skips the spam checks",
        "distrust": lambda _: "Checked for spam again",
        "forget greylisting": lambda _: "Forgotten",
        "quarantine-download": counted("downloaded"),
        "quarantine-export": counted("exported"),
        "request release": lambda _: "Release requested",
        "scan-again": counted("to be checked again"),
    }
)
