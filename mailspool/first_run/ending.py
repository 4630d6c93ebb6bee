"""What somebody does about the first steps: a test message, and putting the list away."""

from __future__ import annotations

from django.db import transaction
from django.utils import timezone

from accounts.actor import Actor
from accounts.addresses import InvalidAddress, normalise_address
from base.action import record
from base.actions.action import Refused
from mailspool.first_run import steps
from spool.addressing import RefusedRecipient
from spool.alerts import own_mail
from spool.flow.intake import IntakeError
from spool.models import Installation

_TEXT = "This message was sent from the first steps of a new Mailspool. It has arrived: delivery works.\n"


def send_test(actor: Actor, address: str) -> None:
    """Send a test message, and look out for it. Raises NotAllowed, and Refused with the reason."""
    actor.require_administration()
    try:
        name = own_mail.send(normalise_address(address), "Test message", _TEXT, timezone.now())
    except InvalidAddress as error:
        raise Refused(f"{error}.") from error
    except (RefusedRecipient, IntakeError) as error:
        raise Refused(error.reply) from error
    with transaction.atomic():
        _of(test_message=name)
        record(actor, "send test message", address)


def put_away(actor: Actor) -> None:
    """Show it on the Overview no more. Raises NotAllowed."""
    actor.require_administration()
    with transaction.atomic():
        _of(first_run_over=timezone.now())
        record(actor, "end first run", "the first steps")
    steps.forget()


def finish() -> None:
    """All is done: nobody has to put it away."""
    _of(first_run_over=timezone.now())
    steps.forget()


def _of(**values: object) -> None:
    row, _ = Installation.objects.get_or_create(pk=1)
    Installation.objects.filter(pk=row.pk).update(**values)
