"""What becomes of inbound spam, recipient by recipient: the user's choice before the domain's before the server's."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace

from accounts import directory
from accounts.directory import LocalAddress, LocalDomain, LocalUser
from accounts.models.spam import SpamAction, Wishes, is_off
from quarantine.models.antispam import AntispamSettings
from quarantine.spam.score import Judgement, Level, headers_of, unchecked_header
from spool.message.envelope import EnvelopeRecipient, LeasedEntry, LeasedRecipient, Treatment
from spool.message.summary import storable
from spool.models.recipient import Kind

# Those of a recipient, in the order in which they are heard.
Choices = Mapping[str, Sequence[Wishes]]


def chooser_of(recipient: LeasedRecipient | EnvelopeRecipient) -> str:
    """The address of ours whose choice counts: of what goes elsewhere, the alias that leads there."""
    return recipient.address if recipient.kind is Kind.LOCAL else recipient.original


def choices_of(addresses: Iterable[str], settings: AntispamSettings) -> Choices:
    """What is chosen for each address of `chooser_of`. Delivery asks the directory about the same: no query more."""
    if not (settings.users_choose or settings.domains_choose):
        return {}
    found = directory.resolve_many(address for address in addresses if address)
    named = {one.domain for one in found.values() if one is not None} if settings.domains_choose else set()
    domains: Mapping[str, LocalDomain | None] = directory.local_domains(named) if named else {}
    return {
        address: heard(one, domains.get(one.domain), settings) if one is not None else ()
        for address, one in found.items()
    }


def heard(found: LocalAddress, domain: LocalDomain | None, settings: AntispamSettings) -> Sequence[Wishes]:
    """What counts for one address, the first before the next."""
    own = [found.spam] if settings.users_choose and isinstance(found, LocalUser) else []
    return [*own, domain.spam] if settings.domains_choose and domain is not None else own


def action_for(level: Level, settings: AntispamSettings, choices: Sequence[Wishes] = ()) -> SpamAction:
    """What becomes of an inbound message for one recipient."""
    if level is Level.NONE:
        return SpamAction.NONE
    if is_off(choices):
        return SpamAction.NONE
    chosen = next((wish for one in choices if (wish := getattr(one, level.value))), "")
    return SpamAction(chosen or getattr(settings, f"{level.value}_action"))


def treat(
    entry: LeasedEntry,
    received: Sequence[LeasedRecipient],
    judgement: Judgement,
    settings: AntispamSettings,
    choices: Choices,
    allowed: Collection[int] = (),
) -> bool:
    """Tell delivery what to do with the entry for those recipients; True when it is to be deleted: nobody wants it.

    Where only some want it deleted, the others still get it, and so it can't be put back for those. `allowed` are the
    recipients who allow its sender: to them it is no spam.
    """
    pardoned = replace(judgement, level=Level.NONE, trusted=True)
    actions = {
        one.id: None if one.id in allowed else action_for(judgement.level, settings, choices.get(chooser_of(one), ()))
        for one in received
    }
    treatments = {
        action: _treatment(SpamAction.NONE, pardoned, settings)
        if action is None
        else _treatment(action, judgement, settings)
        for action in set(actions.values())
    }
    if len(treatments) > 1 or len(received) < len(entry.recipients):
        entry.treatments = {number: treatments[action] for number, action in actions.items()}
        return False
    for action, treatment in treatments.items():
        if action is SpamAction.DELETE:
            return True
        entry.treatment = treatment
    return False


def _treatment(action: SpamAction, judgement: Judgement, settings: AntispamSettings) -> Treatment:
    if action is SpamAction.DELETE:
        return Treatment(deleted=f"Deleted as spam: {storable(judgement.why, 255)}")
    marked = action in (SpamAction.HEADERS, SpamAction.JUNK)
    return Treatment(
        headers_of(judgement, settings, marked=marked) + unchecked_header(judgement, settings),
        settings.subject_prefix if marked else "",
        junk=action is SpamAction.JUNK,
    )
