"""Data of the quarantine, one module per subject."""

from accounts.models.spam import SpamAction
from quarantine.models.antispam import AntispamSettings, DigestFor, DigestMark, TrustedSender
from quarantine.models.antivirus import AntivirusSettings, WhenOversize, WhenUnanswered
from quarantine.models.check import Check, CheckKind
from quarantine.models.count import CheckCount
from quarantine.models.greylist import GreylistClient, Greylisted
from quarantine.models.item import Item, ItemAddress, ItemKind, ItemState, Pardon
from quarantine.models.listed import ListedSender, Listing
from quarantine.models.request import ReleaseNotice
from quarantine.models.scanned import Scanned
from quarantine.models.size import QuarantineSize

__all__ = [
    "AntispamSettings",
    "AntivirusSettings",
    "Check",
    "CheckCount",
    "CheckKind",
    "DigestFor",
    "DigestMark",
    "GreylistClient",
    "Greylisted",
    "Item",
    "ItemAddress",
    "ItemKind",
    "ItemState",
    "ListedSender",
    "Listing",
    "Pardon",
    "QuarantineSize",
    "ReleaseNotice",
    "Scanned",
    "SpamAction",
    "TrustedSender",
    "WhenOversize",
    "WhenUnanswered",
]
