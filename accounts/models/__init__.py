"""Data of the accounts app, one module per subject."""

from accounts.models.aliases import Alias, AliasTarget
from accounts.models.containment import Containment
from accounts.models.defaults import Defaults, DomainDefaults, DomainUserDefaults, UserDefaults
from accounts.models.domains import Domain
from accounts.models.history import AccountEvent, Login
from accounts.models.limits import HourlyLimit, Metric, ThrottleAction
from accounts.models.lists import ListMember, MailingList
from accounts.models.sign_in import (
    AppPassword,
    ExternalIdentity,
    FactorKind,
    RecoveryCode,
    SecondFactor,
    SignInSettings,
)
from accounts.models.spam import SpamAction, SpamChoices, SpamFilter
from accounts.models.stamp import DirectoryStamp
from accounts.models.status import Status
from accounts.models.users import STAFF, Role, User
from accounts.models.web_session import WebSession

__all__ = [
    "STAFF",
    "AccountEvent",
    "Alias",
    "AliasTarget",
    "AppPassword",
    "Containment",
    "Defaults",
    "DirectoryStamp",
    "Domain",
    "DomainDefaults",
    "DomainUserDefaults",
    "ExternalIdentity",
    "FactorKind",
    "HourlyLimit",
    "ListMember",
    "Login",
    "MailingList",
    "Metric",
    "RecoveryCode",
    "Role",
    "SecondFactor",
    "SignInSettings",
    "SpamAction",
    "SpamChoices",
    "SpamFilter",
    "Status",
    "ThrottleAction",
    "User",
    "UserDefaults",
    "WebSession",
]
