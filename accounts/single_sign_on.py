"""Signing in at an OpenID provider (OpenID Connect Core 1.0, authorization code with PKCE), by Authlib.

The page Signing in of the console says which provider. Whoever comes from there is the account that came by the same
`sub` before, or else the one whose address the provider has verified; nobody gets an account by it.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from time import monotonic
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts import actions, history
from accounts.actor import SYSTEM, Actor
from accounts.addresses import key_of
from accounts.models import ExternalIdentity, Role, SignInSettings, Status, User
from accounts.sign_in.errors import Refused
from accounts.sign_in.roles import role_of
from base.sealed import CannotUnseal, unseal

log = logging.getLogger(__name__)

TIMEOUT_SECONDS = 10
# How long what the provider says of itself is not asked for again.
KEPT_SECONDS = 3600.0
# Signatures that a stranger who knows the client's secret can't make, and not "none".
_ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
_clients: dict[tuple[str, ...], tuple[float, Any]] = {}


class NotSignedIn(Exception):
    """The provider, or what it said, lets nobody in. `who` is the address that it named, if any; the text is for the
    log alone, since it may tell whether there is such an account."""

    def __init__(self, why: str, who: str = "") -> None:
        super().__init__(why)
        self.who = who


@dataclass(frozen=True, slots=True)
class Claims:
    """What the provider says of whoever signed in there."""

    issuer: str
    subject: str
    email: str
    is_verified: bool
    all: Mapping[str, Any]


def begin(request: HttpRequest, back: str, *, anew: bool = False) -> HttpResponse:
    """Send the browser to the provider; it comes back to the URL `back`. With `anew` it asks who that is, even of
    someone it knows. Raises NotSignedIn."""
    with _failures():
        more = {"prompt": "login", "max_age": 0} if anew else {}
        answer: HttpResponse = _client().authorize_redirect(request, back, **more)
        return answer


def claims_of(request: HttpRequest) -> Claims:
    """What the browser brought back, checked: state, nonce, signature, issuer, audience, times. Raises NotSignedIn."""
    settings = SignInSettings.current()
    with _failures():
        client = _client()
        expected = {
            "iss": {"essential": True, "value": settings.oidc_issuer},
            "aud": {"essential": True, "value": settings.oidc_client_id},
        }
        token = client.authorize_access_token(request, claims_options=expected)
        if "userinfo" not in token:
            raise NotSignedIn("the provider sent no ID token")
        found: dict[str, Any] = dict(token["userinfo"])
        wanted = {"email", "email_verified", settings.oidc_role_claim.partition(".")[0]} - {""}
        if wanted - set(found) and client.server_metadata.get("userinfo_endpoint"):
            # Core 5.4: that is where claims are when there is an access token; many put them into both.
            told = dict(client.userinfo(token=token))
            if told.get("sub") == found["sub"]:
                found = {**told, **found}
    email = found.get("email")
    return Claims(
        issuer=str(found["iss"]),
        subject=str(found["sub"])[:255],
        email=key_of(email.strip())[:254] if isinstance(email, str) else "",
        # Some write it as a text.
        is_verified=found.get("email_verified") in (True, "true"),
        all=found,
    )


def owner_of(claims: Claims) -> User:
    """The account, with the role that the claim gives it. Raises NotSignedIn."""
    identity = ExternalIdentity.objects.filter(issuer=claims.issuer, subject=claims.subject).first()
    if identity is not None:
        ExternalIdentity.objects.filter(pk=identity.pk).update(last_used=timezone.now())
        user = _user(pk=identity.user_id)
    else:
        if not claims.email or not claims.is_verified:
            raise NotSignedIn("the provider has not verified the e-mail address", claims.email)
        user = _user(email=claims.email)
        if user is not None and user.is_active:
            _link(user, claims)
    if user is None or not user.is_active:
        raise NotSignedIn("there is no such account, or it is disabled", claims.email)
    return _with_role(user, claims)


def unlink(actor: Actor, user: User, pk: int) -> str:
    """Forget who somebody is at the provider; says so. Raises NotAllowed, and Refused when it is gone."""
    actor.require_user(user)
    with transaction.atomic():
        row = ExternalIdentity.objects.select_for_update().filter(user=user, pk=pk).first()
        if row is None:
            raise Refused("It was removed already.")
        row.delete()
        history.record(actor, "single sign-on", user.email, user=user, parameters={"unlinked": str(row)})
    return _("The account is no longer linked to %(issuer)s.") % {"issuer": row.issuer}


def forget() -> None:
    """Ask the provider anew what it says of itself."""
    _clients.clear()


def _link(user: User, claims: Claims) -> None:
    with transaction.atomic():
        row = ExternalIdentity.objects.create(
            user=user,
            issuer=claims.issuer,
            subject=claims.subject,
            created=timezone.now(),
            last_used=timezone.now(),
        )
        history.record(Actor.of(user), "single sign-on", user.email, user=user, parameters={"linked": str(row)})


def _with_role(user: User, claims: Claims) -> User:
    settings = SignInSettings.current()
    role = role_of(claims.all, settings.oidc_role_claim, settings.role_of_value)
    if role is None or role == user.role:
        return user
    if user.is_system_administrator and not _has_others(user):
        log.warning("%s stays a system administrator, whatever the provider says: there is no other one", user.email)
        return user
    try:
        actions.change(user, actor=SYSTEM, role=role)
    except (ValidationError, actions.Refused) as error:
        raise NotSignedIn(f"the role {role} can't be given: {error}", user.email) from error
    return _user(pk=user.pk) or user


def _has_others(user: User) -> bool:
    administrators = User.objects.filter(role=Role.SYSTEM_ADMINISTRATOR, status=Status.ENABLED)
    return administrators.exclude(pk=user.pk).exists()


def _user(**by: Any) -> User | None:
    return User.objects.select_related("domain").filter(**by).first()


def _client() -> Any:
    """Authlib's client, with what the provider says of itself. Raises NotSignedIn, and what `_failures` knows."""
    settings = SignInSettings.current()
    if not settings.has_single_sign_on:
        raise NotSignedIn("single sign-on is not set up")
    key = (settings.oidc_issuer, settings.oidc_client_id, settings.sealed_oidc_secret, settings.oidc_scopes)
    until, client = _clients.get(key, (0.0, None))
    if monotonic() < until:
        return client
    client = _new_client(settings)
    _clients.clear()
    _clients[key] = (monotonic() + KEPT_SECONDS, client)
    return client


def _new_client(settings: SignInSettings) -> Any:
    # Here: it takes longer to load than all else of a page, and few processes need it.
    from authlib.integrations.django_client import OAuth

    try:
        secret = unseal(settings.sealed_oidc_secret) if settings.sealed_oidc_secret else None
    except CannotUnseal as error:
        raise NotSignedIn(f"the client secret: {error}") from error
    client = OAuth().register(
        "single_sign_on",
        client_id=settings.oidc_client_id,
        client_secret=secret,
        server_metadata_url=f"{settings.oidc_issuer.rstrip('/')}/.well-known/openid-configuration",
        client_kwargs={
            "scope": settings.oidc_scopes,
            "code_challenge_method": "S256",
            "default_timeout": TIMEOUT_SECONDS,
            **({} if secret else {"token_endpoint_auth_method": "none"}),
        },
    )
    metadata = client.load_server_metadata()
    if metadata.get("issuer") != settings.oidc_issuer:
        # Discovery 4.3: or else one provider could speak for another.
        raise NotSignedIn(f"the provider calls itself {metadata.get('issuer')}")
    offered = metadata.get("id_token_signing_alg_values_supported") or ["RS256"]
    metadata["id_token_signing_alg_values_supported"] = [name for name in offered if name in _ALGORITHMS]
    return client


@contextmanager
def _failures() -> Iterator[None]:
    """Around what talks to the provider: whatever goes wrong there is NotSignedIn."""
    from authlib.common.errors import AuthlibBaseError
    from joserfc.errors import JoseError
    from requests import RequestException

    try:
        yield
    except (AuthlibBaseError, JoseError, RequestException, ValueError, KeyError, TypeError, RuntimeError) as error:
        raise NotSignedIn(f"{type(error).__name__}: {error}") from error
