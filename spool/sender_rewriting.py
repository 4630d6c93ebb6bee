"""The reverse-path of what is passed on: an address of ours that leads back to whoever wrote (SRS).

A host asks whether we may send in the name of the reverse-path's domain (SPF, RFC 7208 2.4): for a stranger's message,
which an alias or a mailbox here sends on, we may not. So it leaves with a reverse-path in the domain of that alias or
mailbox, and a bounce that comes back to it goes on to the sender. The forms are those of the SRS paper, by srslib:
SRS0 names the sender, SRS1 the first of several hosts that pass a message on. Where that is too long for a local part
(RFC 5321 4.5.3.1.1) or holds what needs quoting, an SRS0 address names the message instead, and its sender is found
in spool or trace.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Final

import srslib

from base.sealed import secret_for
from spool.files.store import SUFFIX
from spool.models.entry import Entry
from spool.models.trace import Trace

# Bounces come within days, what is retried there within a week or two.
VALID_DAYS = 21
_LONGEST_LOCAL_PART = 64
# Of base64, compared without regard to case: about 21 bits. Whoever finds one may have null-sender mail, with all that
# checks and limits say of a stranger's, sent on to one address.
_HASH_LETTERS = 4
# In the place of the sender's domain: the local part is a message's id. No domain of the DNS is a single label.
_BY_MESSAGE: Final = "message"

_ATOMS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*", re.ASCII)
# srslib compares as much of the hash as it is given: how much that is, is for us to say.
_REWRITTEN = re.compile(rf"SRS[01][-+=][A-Za-z0-9+/]{{{_HASH_LETTERS}}}=.+", re.ASCII | re.IGNORECASE)


class NotOurs(Exception):
    """No reverse-path of ours, one that is too old, or one whose message is forgotten."""


def rewritten(sender: str, domain: str, file_name: str) -> str:
    """The reverse-path in `domain` for the message `file_name` of `sender`, an address with a domain."""
    address: str = _scheme().forward(sender, domain)
    local_part = address.rpartition("@")[0]
    if len(local_part) <= _LONGEST_LOCAL_PART and _ATOMS.fullmatch(local_part):
        return address
    by_message: str = _scheme().generate_srs0_address(_BY_MESSAGE, file_name.removesuffix(SUFFIX), domain)
    return by_message


def is_rewritten(address: str) -> bool:
    """Whether `address` has the form of a reverse-path that we have rewritten."""
    return _REWRITTEN.match(address) is not None


def sender_of(address: str) -> str:
    """The address that a bounce to the rewritten `address` is for. Raises NotOurs."""
    if not is_rewritten(address):
        raise NotOurs("this is no address to which a message was sent back")
    try:
        sender: str = _scheme().reverse(address)
    except srslib.InvalidTimestampError as error:
        raise NotOurs(f"the message was sent on more than {VALID_DAYS} days ago") from error
    except (srslib.Error, ValueError) as error:
        raise NotOurs("this server did not send the message") from error
    local_part, _, domain = sender.rpartition("@")
    return _sender_of_message(local_part.lower()) if domain.lower() == _BY_MESSAGE else sender


def _sender_of_message(queue_id: str) -> str:
    """Raises NotOurs."""
    name = f"{queue_id}{SUFFIX}"
    for model in (Entry, Trace):
        sender = model.objects.filter(file_name=name).values_list("sender", flat=True).first()
        if sender:
            return sender
    raise NotOurs("this server has forgotten the message")


@cache
def _scheme() -> srslib.SRS:
    return srslib.SRS(secret_for("reverse-paths"), validity_days=VALID_DAYS, hash_length=_HASH_LETTERS)
