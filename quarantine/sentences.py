"""What the audit says of what was caught."""

from base.audit import sentences
from spool.sentences import counted

sentences.of_actions(
    {
        "trust": lambda _: "Skips the spam checks",
        "distrust": lambda _: "Checked for spam again",
        "forget greylisting": lambda _: "Forgotten",
        "quarantine-download": counted("downloaded"),
        "quarantine-export": counted("exported"),
        "request release": lambda _: "Release requested",
        "scan-again": counted("to be checked again"),
    }
)
