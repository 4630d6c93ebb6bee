"""Passkeys and security keys (WebAuthn Level 3): adding one, and signing in with it. Verified by fido2.

A ceremony has two halves: what the browser is asked is kept in the session, once, and its answer is held against that.
A passkey that verified its owner (a finger, a PIN) is two factors in one, and signs in without a name or password; one
that is a second factor after the password need not.
"""

from __future__ import annotations

import base64
import json
import logging
from collections.abc import Mapping, Sequence
from typing import Any

from cryptography.exceptions import InvalidSignature
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from fido2.server import Fido2Server
from fido2.webauthn import (
    AttestedCredentialData,
    AuthenticationResponse,
    PublicKeyCredentialRpEntity,
    PublicKeyCredentialUserEntity,
    RegistrationResponse,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from accounts.actor import Actor
from accounts.models import FactorKind, SecondFactor, User
from accounts.sign_in import factors
from accounts.sign_in.errors import Refused, require_owner

log = logging.getLogger(__name__)

_STATE_KEY = "mailspool_passkey"
# What an answer may have; an attestation of a chain of certificates has some thousands of letters.
LONGEST_ANSWER = 65_536
NOT_TAKEN = _("The passkey was not taken; try again.")


def begin_adding(request: HttpRequest, user: User) -> dict[str, Any]:
    """What the browser is asked to make, as JSON takes it (WebAuthn 5.4, `PublicKeyCredentialCreationOptionsJSON`)."""
    options, state = _server(request).register_begin(
        PublicKeyCredentialUserEntity(id=handle_of(user), name=user.email, display_name=user.name or user.email),
        credentials=_credentials(_rows(user)),
        resident_key_requirement=ResidentKeyRequirement.PREFERRED,
        user_verification=UserVerificationRequirement.PREFERRED,
    )
    request.session[_STATE_KEY] = {"for": "add", "user": user.pk, **_plain(state)}
    return dict(options.public_key)


def add(actor: Actor, user: User, request: HttpRequest, answer: str, name: str) -> SecondFactor:
    """Add what the browser has made. Raises NotAllowed for all but the owner, and Refused."""
    require_owner(actor, user)
    state = _taken_state(request, "add")
    if state is None or state["user"] != user.pk:
        raise Refused(NOT_TAKEN)
    try:
        made = _server(request).register_complete(state, RegistrationResponse.from_dict(_parsed(answer)))
    except (ValueError, KeyError, TypeError, InvalidSignature) as error:
        log.info("a passkey of %s was not taken: %s", user.email, error)
        raise Refused(NOT_TAKEN) from error
    credential = made.credential_data
    if credential is None or len(credential.credential_id) > 1023:
        raise Refused(NOT_TAKEN)
    factor = SecondFactor(
        user=user,
        kind=FactorKind.PASSKEY,
        name=factors.named(user, name, FactorKind.PASSKEY),
        credential_id=_text(credential.credential_id),
        material=_text(bytes(credential)),
        counter=made.counter,
        created=timezone.now(),
    )
    if SecondFactor.objects.filter(credential_id=factor.credential_id).exists():
        raise Refused(_("This passkey is known already."))
    factors.add(actor, factor)
    return factor


def begin_asking(request: HttpRequest, user: User | None = None, *, after_password: bool = False) -> dict[str, Any]:
    """What the browser is asked to sign (`PublicKeyCredentialRequestOptionsJSON`).

    For a user, with one of theirs, without a finger or PIN right `after_password`; without a user by whoever has a
    passkey for here, verified.
    """
    needs_verification = UserVerificationRequirement.REQUIRED if user is None else UserVerificationRequirement.PREFERRED
    if after_password:
        needs_verification = UserVerificationRequirement.DISCOURAGED
    credentials = None if user is None else _credentials(_rows(user))
    options, state = _server(request).authenticate_begin(credentials, needs_verification)
    request.session[_STATE_KEY] = {"for": "ask", "user": user.pk if user is not None else None, **_plain(state)}
    return dict(options.public_key)


def signed(request: HttpRequest, answer: str, user: User | None = None) -> SecondFactor | None:
    """The passkey that has signed what was asked of this user, or of anybody; None for none. It is noted as used."""
    state = _taken_state(request, "ask")
    if state is None or state["user"] != (user.pk if user is not None else None):
        return None
    try:
        response = AuthenticationResponse.from_dict(_parsed(answer))
        rows = SecondFactor.objects.filter(kind=FactorKind.PASSKEY, credential_id=_text(response.raw_id))
        factor = (rows.filter(user=user) if user is not None else rows).select_related("user__domain").first()
        if factor is None:
            return None
        _server(request).authenticate_complete(state, _credentials([factor]), response)
    except (ValueError, KeyError, TypeError, InvalidSignature) as error:
        log.info("a passkey was not accepted: %s", error)
        return None
    handle = response.response.user_handle
    if handle is not None and handle != handle_of(factor.user):
        return None
    counter = response.response.authenticator_data.counter
    # 6.1.1: of two keys with the same secret one is behind. Passkeys that are synchronised don't count at all.
    if (counter or factor.counter) and counter <= factor.counter:
        log.warning("the passkey %s of %s counts backwards: it may have been copied", factor.name, factor.user.email)
        return None
    SecondFactor.objects.filter(pk=factor.pk).update(counter=counter, last_used=timezone.now())
    return factor


def id_in(answer: str) -> str:
    """The name that an answer gives its passkey, for counting; no longer than that needs, and empty for none."""
    try:
        return str(_parsed(answer).get("id", ""))[:40]
    except ValueError:
        return ""


def handle_of(user: User) -> bytes:
    """What a passkey knows its owner by: no address (14.6.1), and the same for all of one person's."""
    return f"mailspool-{user.pk}".encode()


def are_possible(request: HttpRequest) -> bool:
    """Whether browsers have passkeys for this host: it has a name, and is reached by https or is this machine."""
    host = _host(request)
    is_address = ":" in host or host.replace(".", "").isdecimal()
    return not is_address and (request.is_secure() or host == "localhost" or host.endswith(".localhost"))


def _server(request: HttpRequest) -> Fido2Server:
    """Passkeys belong to the host by whose name the console is reached."""
    origin = f"{request.scheme}://{request.get_host()}"
    entity = PublicKeyCredentialRpEntity(name="Mailspool", id=_host(request))
    return Fido2Server(entity, verify_origin=lambda given: given == origin)


def _host(request: HttpRequest) -> str:
    host = request.get_host()
    return host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]


def _rows(user: User) -> list[SecondFactor]:
    return [factor for factor in factors.of(user) if factor.kind == FactorKind.PASSKEY]


def _credentials(rows: Sequence[SecondFactor]) -> list[AttestedCredentialData]:
    return [AttestedCredentialData(_octets(row.material)) for row in rows]


def _taken_state(request: HttpRequest, purpose: str) -> dict[str, Any] | None:
    """What was asked; nobody answers it twice."""
    state: dict[str, Any] | None = request.session.pop(_STATE_KEY, None)
    return state if state is not None and state["for"] == purpose else None


def _plain(state: Mapping[str, Any]) -> dict[str, Any]:
    return {"challenge": state["challenge"], "user_verification": state["user_verification"] or None}


def _parsed(answer: str) -> dict[str, Any]:
    if len(answer) > LONGEST_ANSWER:
        raise ValueError("the answer is too long")
    parsed = json.loads(answer)
    if not isinstance(parsed, dict):
        raise ValueError("the answer is no object")
    return parsed


def _text(octets: bytes) -> str:
    return base64.urlsafe_b64encode(octets).decode().rstrip("=")


def _octets(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
