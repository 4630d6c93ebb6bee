"""People who log in, with their e-mail address."""

from __future__ import annotations

import logging
from typing import Any, ClassVar

from django.contrib.auth import hashers
from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.core.exceptions import ValidationError
from django.db import Error as DatabaseError
from django.db import models, transaction
from django.utils.translation import gettext_lazy as _

from accounts.addresses import key_of, normalise_address, normalised_if_valid, validate_address
from accounts.models.domains import Domain
from accounts.models.limits import UserLimits
from accounts.models.sending import SendAsChoice
from accounts.models.spam import SpamChoices
from accounts.models.status import Status
from base.languages import OFFERED

log = logging.getLogger(__name__)


class Role(models.TextChoices):
    """How far a user's hand reaches; in the console that is said by accounts.reach."""

    SYSTEM_ADMINISTRATOR = "admin", _("System administrator")
    HELP_DESK = "help_desk", _("Help desk")
    READ_ONLY = "read_only", _("Read only")
    DOMAIN_ADMINISTRATOR = "domain_admin", _("Domain administrator")
    USER = "user", _("User")


# Who has a place in the console.
STAFF = frozenset({Role.SYSTEM_ADMINISTRATOR, Role.HELP_DESK, Role.READ_ONLY})


class UserManager(BaseUserManager["User"]):
    """Makes users; `create_superuser` is what Django's own command calls."""

    def create_user(self, email: str, password: str | None = None, **fields: Any) -> User:
        user = self.model(email=normalise_address(email), **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str | None = None, **fields: Any) -> User:
        return self.create_user(email, password, role=Role.SYSTEM_ADMINISTRATOR, **fields)

    def get_by_natural_key(self, username: str | None) -> User:
        return self.get(email=key_of((username or "").strip()))


class User(AbstractBaseUser, UserLimits, SpamChoices, SendAsChoice):
    """A login and, in a local domain, a mailbox. Who has a place in the console may be without a domain."""

    email = models.CharField(_("e-mail address"), max_length=254, unique=True, validators=[validate_address])
    domain = models.ForeignKey(Domain, on_delete=models.PROTECT, null=True, blank=True, related_name="users")
    name = models.CharField(_("display name"), max_length=200, blank=True, default="")
    role = models.CharField(_("role"), max_length=12, choices=Role, default=Role.USER)
    status = models.CharField(_("status"), max_length=10, choices=Status, default=Status.ENABLED)
    forward_to = models.TextField(
        _("forward to"),
        blank=True,
        default="",
        help_text=_("Addresses that get a copy of every message, one per line."),
    )
    forward_keeps_copy = models.BooleanField(_("keep a copy when forwarding"), default=True)
    language = models.CharField(
        _("language"),
        max_length=8,
        blank=True,
        default="",
        db_default="",
        choices=[("", _("Automatic")), *OFFERED],
        help_text=_("Of these pages and of mail from this server. Automatic: pages as the browser asks for."),
    )
    created = models.DateTimeField(auto_now_add=True)

    USERNAME_FIELD = "email"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []
    objects: ClassVar[UserManager] = UserManager()

    class Meta:
        ordering = ["email"]

    def __str__(self) -> str:
        return self.email

    @property
    def is_active(self) -> bool:  # type: ignore[override]
        """Whether the user may log in (Django's name for it)."""
        return Status(self.status) is Status.ENABLED and (
            self.domain is None or Status(self.domain.status) is Status.ENABLED
        )

    def check_password(self, raw_password: str | None) -> bool:
        """Whether it is the password. Slow on purpose. One hashed elsewhere, or at another cost, is hashed anew."""
        return hashers.check_password(raw_password, self.password, self._rehash)

    def _rehash(self, raw_password: str) -> None:
        """Replace the hash that was just checked, unless somebody has set a new password meanwhile.

        What can't be written now is written at another login: nobody is kept out for it.
        """
        if not self.is_active:
            return
        checked, renewed = self.password, hashers.make_password(raw_password)
        try:
            with transaction.atomic():
                # No signal: the directory has no passwords, and need not be read anew.
                if User.objects.filter(pk=self.pk, password=checked).update(password=renewed):
                    self.password = renewed
        except DatabaseError as error:
            log.warning("the password of %s could not be hashed anew: %s", self.email, error)

    @property
    def is_system_administrator(self) -> bool:
        return self.role == Role.SYSTEM_ADMINISTRATOR

    @property
    def is_staff(self) -> bool:
        """Whether the console lets the user in (Django's name for it).

        Those who have a place there are nobody's in a domain: its administrators reach none of them.
        """
        return self.role in STAFF

    @property
    def is_superuser(self) -> bool:
        return self.is_system_administrator

    def has_perm(self, permission: str, obj: object = None) -> bool:
        return self.is_active and self.is_system_administrator

    def has_perms(self, permissions: list[str], obj: object = None) -> bool:
        return self.is_active and self.is_system_administrator

    def has_module_perms(self, app_label: str) -> bool:
        return self.is_active and self.is_system_administrator

    @property
    def forward_addresses(self) -> list[str]:
        return [line.strip() for line in self.forward_to.splitlines() if line.strip()]

    def clean(self) -> None:
        super().clean()
        self.email = normalised_if_valid(self.email)
        name = self.email.rpartition("@")[2]
        # An empty or wrong address has been complained about by its field.
        if "@" in self.email and self.domain is not None and self.domain.name != name:
            raise ValidationError(
                {
                    "email": _("%(address)s is not an address in %(domain)s.")
                    % {"address": self.email, "domain": self.domain.name}
                }
            )
        if "@" in self.email and self.domain is None and not self.is_staff:
            raise ValidationError({"email": _("Only who works in the console may be without a domain.")})
        for address in self.forward_addresses:
            try:
                validate_address(address)
            except ValidationError as error:
                raise ValidationError({"forward_to": error.messages}) from error
        if self.email in map(normalised_if_valid, self.forward_addresses):
            message = _("A user can't forward to the own address; “keep a copy” does that.")
            raise ValidationError({"forward_to": message})
