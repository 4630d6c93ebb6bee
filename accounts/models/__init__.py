"""Data of the accounts app, one module per subject."""

from accounts.models.aliases import Alias, AliasTarget
from accounts.models.defaults import DomainDefaults, UserDefaults
from accounts.models.domains import Domain
from accounts.models.lists import ListMember, MailingList
from accounts.models.stamp import DirectoryStamp
from accounts.models.status import Status
from accounts.models.users import Role, User

__all__ = [
    "Alias",
    "AliasTarget",
    "DirectoryStamp",
    "Domain",
    "DomainDefaults",
    "ListMember",
    "MailingList",
    "Role",
    "Status",
    "User",
    "UserDefaults",
]
