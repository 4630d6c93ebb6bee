"""New recipients as an administrator writes them."""

from __future__ import annotations

from collections.abc import Sequence

from django.utils.translation import gettext as _

from spool.actions.verb import Refused
from spool.addressing import RefusedRecipient, accept
from spool.message.envelope import EnvelopeRecipient

MOST = 100


def parse_recipients(text: str | Sequence[str]) -> list[EnvelopeRecipient]:
    """What addresses, separated by commas or spaces, stand for. Raises Refused."""
    words = text.replace(",", " ").replace(";", " ").split() if isinstance(text, str) else list(text)
    if not words:
        raise Refused(_("Give at least one recipient."))
    if len(words) > MOST:
        raise Refused(_("At most %(most)s recipients.") % {"most": MOST})
    found: dict[str, EnvelopeRecipient] = {}
    for word in words:
        try:
            for recipient in accept(str(word)):
                found[recipient.address] = recipient
        except RefusedRecipient as error:
            raise Refused(f"{word}: {error.reply}") from error
    return list(found.values())
