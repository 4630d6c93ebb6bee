"""Authenticator apps: time-based one-time passwords (RFC 6238), six digits, 30 seconds. Each code counts once (5.2)."""

from __future__ import annotations

from datetime import datetime

import pyotp
import segno
from django.utils import timezone
from django.utils.crypto import constant_time_compare
from django.utils.translation import gettext as _

from accounts.actor import Actor
from accounts.models import FactorKind, SecondFactor, User
from accounts.sign_in import factors
from accounts.sign_in.errors import Refused, require_owner
from base.sealed import CannotUnseal, seal, unseal

STEP_SECONDS = 30
# Clocks of phones are off by that many steps at most, one way or the other.
STEPS_OFF = 1


def new_secret() -> str:
    """160 random bits, base32."""
    return pyotp.random_base32()


def uri(user: User, secret: str, issuer: str) -> str:
    """What the app reads: `otpauth://…` (Key URI Format)."""
    return pyotp.TOTP(secret).provisioning_uri(name=user.email, issuer_name=issuer)


def picture(text: str) -> str:
    """The same to be photographed: an SVG image without a size, in the colour of the text around it."""
    code = segno.make_qr(text, error="m")
    return str(code.svg_inline(omitsize=True, border=2, dark="#000", light="#fff", lineclass=None, svgclass="me-qr"))


def enrol(actor: Actor, user: User, secret: str, code: str, name: str) -> SecondFactor:
    """Add an app that has shown that it knows the secret. Raises NotAllowed for all but the owner, and Refused."""
    require_owner(actor, user)
    step = _step_of(secret, code, timezone.now())
    if step is None:
        raise Refused(_("That is not the code that the app shows now. Is the phone's clock right?"))
    factor = SecondFactor(
        user=user,
        kind=FactorKind.TOTP,
        name=factors.named(user, name, FactorKind.TOTP),
        material=seal(secret),
        counter=step,
        created=timezone.now(),
    )
    factors.add(actor, factor)
    return factor


def verify(user: User, code: str) -> bool:
    """Whether it is the code of one of the user's apps now. It is used up by that, also where two try at once."""
    now = timezone.now()
    for factor in SecondFactor.objects.filter(user=user, kind=FactorKind.TOTP):
        try:
            step = _step_of(unseal(factor.material), code, now)
        except CannotUnseal:
            continue
        unused = SecondFactor.objects.filter(pk=factor.pk, counter__lt=step) if step is not None else None
        if unused is not None and unused.update(counter=step, last_used=now):
            return True
    return False


def _step_of(secret: str, code: str, now: datetime) -> int | None:
    """The time step whose code it is."""
    digits = "".join(code.split())
    if not (len(digits) == 6 and digits.isascii() and digits.isdecimal()):
        return None
    current = int(now.timestamp()) // STEP_SECONDS
    generator = pyotp.HOTP(secret)
    for step in range(current - STEPS_OFF, current + STEPS_OFF + 1):
        if constant_time_compare(generator.at(step), digits):
            return step
    return None
