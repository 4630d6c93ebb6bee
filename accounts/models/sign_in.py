"""What people sign in with besides their password, and what is asked of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Self
from urllib.parse import urlsplit

from django.core.exceptions import ValidationError
from django.db import models
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from accounts.models.users import Role, User
from base.one_row import FRESH_SECONDS, OneRow, Section
from base.short_cache import ShortCache

LONGEST_NAME = 60
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


class FactorKind(models.TextChoices):
    """What a second factor is."""

    TOTP = "totp", _("Authenticator app")
    PASSKEY = "passkey", _("Passkey")


class SecondFactor(models.Model):
    """An authenticator app (RFC 6238) or a passkey (WebAuthn) of one person.

    `material` is the app's sealed secret (base.sealed), or the passkey's public key with what belongs to it (WebAuthn
    6.5.1, base64). `counter` is the last time step whose code was used, or the passkey's signature counter.
    """

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="second_factors")
    kind = models.CharField(max_length=7, choices=FactorKind)
    name = models.CharField(max_length=LONGEST_NAME)
    # Empty for an app, of which many have none: null, which no other null is equal to.
    credential_id = models.CharField(max_length=1400, null=True, unique=True)  # noqa: DJ001
    material = models.TextField()
    counter = models.BigIntegerField(default=0)
    created = models.DateTimeField()
    last_used = models.DateTimeField(null=True)

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} “{self.name}”"


class RecoveryCode(models.Model):
    """A code that stands for a lost second factor, once. They are 80 random bits: a plain SHA-256 does not give them
    away."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="recovery_codes")
    digest = models.CharField(max_length=64)
    used = models.DateTimeField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["user", "digest"], name="one_recovery_code")]

    def __str__(self) -> str:
        return f"Recovery code of {self.user_id}"


class AppPassword(models.Model):
    """A password for one mail program, made here and shown once.

    It is found by its first group, `selector`. The rest are 100 random bits, so a plain SHA-256 does not give it away,
    and Dovecot can check it too (docs/dovecot.md). One with `ended` lets nobody in: the account was contained.
    """

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="app_passwords")
    name = models.CharField(max_length=LONGEST_NAME)
    selector = models.CharField(max_length=4)
    digest = models.CharField(max_length=64)
    created = models.DateTimeField()
    last_used = models.DateTimeField(null=True)
    last_ip = models.CharField(max_length=45, blank=True, default="")
    ended = models.DateTimeField(null=True)

    class Meta:
        ordering = ["id"]
        constraints = [models.UniqueConstraint(fields=["user", "selector"], name="one_app_password")]

    def __str__(self) -> str:
        return gettext("Application password “%(name)s”") % {"name": self.name}


class ExternalIdentity(models.Model):
    """Who somebody is to an OpenID provider: from the first sign-in on this counts, and no longer the e-mail address
    (OpenID Connect Core 5.7)."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="external_identities")
    issuer = models.CharField(max_length=300)
    subject = models.CharField(max_length=255)
    created = models.DateTimeField()
    last_used = models.DateTimeField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["issuer", "subject"], name="one_external_identity")]

    def __str__(self) -> str:
        return f"{self.subject} at {self.issuer}"


class SignInSettings(OneRow):
    """The one row about signing in. Roles are written as in the database (`admin`, `domain_admin`, …)."""

    second_factor_roles = models.CharField(
        _("second factor required for"),
        max_length=200,
        blank=True,
        default="",
        help_text=_("Who has none is led to set one up, and can do nothing else until then."),
    )
    helpers_read_content = models.BooleanField(
        _("help desk and read only see the content of messages"),
        default=False,
        db_default=False,
        help_text=_("Off: they see the envelope, the header and what became of a message, not what stands in it."),
    )
    mail_by_password = models.BooleanField(
        _("account password in mail programs"),
        default=True,
        help_text=_("Off: whoever has a second factor needs an application password for SMTP."),
    )
    oidc_issuer = models.CharField(
        _("issuer"),
        max_length=300,
        blank=True,
        default="",
        help_text=_(
            "As https://login.example.org/realms/main: what is before /.well-known/openid-configuration."
            " Empty: no single sign-on."
        ),
    )
    oidc_client_id = models.CharField(_("client ID"), max_length=200, blank=True, default="")
    sealed_oidc_secret = models.TextField(_("sealed client secret"), blank=True, default="", editable=False)
    oidc_label = models.CharField(_("name on the button"), max_length=40, default="Single sign-on")
    oidc_scopes = models.CharField(_("scopes"), max_length=200, default="openid email profile")
    oidc_role_claim = models.CharField(
        _("claim for roles"),
        max_length=100,
        blank=True,
        default="",
        help_text=_("As groups, or realm_access.roles for one inside another. Empty: roles are as set here."),
    )
    oidc_roles = models.TextField(
        _("roles by the claim's values"),
        blank=True,
        default="",
        help_text=_(
            "One to a line, as “mail-admins = admin”; roles are admin, help_desk, read_only,"
            " domain_admin and user. The first that fits counts; “* = user” for everybody else. Where none fits, the role stays."
        ),
    )
    oidc_is_second_factor = models.BooleanField(
        _("counts as a second factor"),
        default=False,
        help_text=_("On, if the provider asks for a second factor itself: nobody is asked for another one here."),
    )

    sections: ClassVar[tuple[Section, ...]] = (
        Section(_("Second factor and passwords"), ("second_factor_roles", "mail_by_password")),
        Section(
            _("Single sign-on (OpenID Connect)"),
            ("oidc_issuer", "oidc_client_id", "secret", "oidc_label", "oidc_scopes", "oidc_is_second_factor"),
            _(
                "People keep their accounts here: whoever comes from the provider is the account whose e-mail address the provider has verified. At the provider, allow the redirect to https://HOST/me/login/provider/back/."
            ),
        ),
        Section(_("Help desk and read only"), ("helpers_read_content",)),
        Section(_("Roles from the provider"), ("oidc_role_claim", "oidc_roles")),
    )

    class Meta:
        verbose_name = verbose_name_plural = _("signing in")

    def __str__(self) -> str:
        return gettext("Signing in")

    @property
    def required_roles(self) -> frozenset[str]:
        return frozenset(_words(self.second_factor_roles))

    @property
    def has_single_sign_on(self) -> bool:
        return bool(self.oidc_issuer and self.oidc_client_id)

    @property
    def role_of_value(self) -> dict[str, str]:
        """Roles by the values of the claim, in their order. Raises ValueError, with the line that is wrong."""
        return _roles(self.oidc_roles)

    @classmethod
    def _cache(cls) -> ShortCache[Self]:
        # Asked for by the login page: where nobody has set anything it is not worth a row.
        return OneRow._kept.setdefault(
            cls, ShortCache(FRESH_SECONDS, lambda: cls.objects.filter(pk=1).first() or cls())
        )

    def clean(self) -> None:
        super().clean()
        errors: Mapping[str, list[str]] = {"second_factor_roles": [], "oidc_issuer": [], "oidc_roles": []}
        unknown = [word for word in _words(self.second_factor_roles) if word not in Role.values]
        if unknown:
            errors["second_factor_roles"].append(
                gettext("There is no role %(unknown)s: %(values)s.")
                % {"unknown": unknown[0], "values": ", ".join(Role.values)}
            )
        self.second_factor_roles = ", ".join(_words(self.second_factor_roles))
        self.oidc_issuer = self.oidc_issuer.strip()
        if self.oidc_issuer and not _is_issuer(self.oidc_issuer):
            errors["oidc_issuer"].append(gettext("It begins with https://, and has neither ? nor #."))
        if self.oidc_issuer and not self.oidc_client_id:
            errors["oidc_issuer"].append(gettext("It needs a client ID."))
        if "openid" not in self.oidc_scopes.split():
            self.oidc_scopes = f"openid {self.oidc_scopes}".strip()
        try:
            _roles(self.oidc_roles)
        except ValueError as error:
            errors["oidc_roles"].append(str(error))
        if any(errors.values()):
            raise ValidationError({name: said for name, said in errors.items() if said})


def _words(text: str) -> list[str]:
    return text.replace(",", " ").split()


def _is_issuer(text: str) -> bool:
    """OpenID Connect Discovery 2; without TLS a provider on this machine alone."""
    try:
        url = urlsplit(text)
        host = url.hostname or ""
    except ValueError:
        return False
    has_more = bool(url.query or url.fragment or "?" in text or "#" in text)
    return bool(host) and not has_more and (url.scheme == "https" or (url.scheme == "http" and host in _LOOPBACK))


def _roles(text: str) -> dict[str, str]:
    roles: dict[str, str] = {}
    for line in filter(None, map(str.strip, text.splitlines())):
        value, equals, role = (part.strip() for part in line.rpartition("="))
        if not equals or not value or role not in Role.values:
            raise ValueError(
                gettext("“%(line)s” is not VALUE = ROLE, with one of %(values)s.")
                % {"line": line[:60], "values": ", ".join(Role.values)}
            )
        roles.setdefault(value, role)
    return roles
