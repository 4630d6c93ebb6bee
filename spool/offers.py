"""What can be done to things of the spool that are no messages, in the order of their menus (base.actions.registry)."""

from __future__ import annotations

from spool.actions import destinations, dkim, machines, suppression

KINDS = {
    "dkim": dkim.key_named,
    "destination": destinations.destination_named,
    "machine": machines.machine_named,
    "suppressed": suppression.suppressed_named,
}
ACTIONS = (
    dkim.CHECK_KEY,
    dkim.PUBLISH_KEY,
    dkim.RETIRE_KEY,
    dkim.REMOVE_KEY,
    dkim.MAKE_KEY,
    destinations.SLOW,
    destinations.SUSPEND,
    destinations.RESUME,
    destinations.RETRY,
    destinations.FORGET,
    machines.DRAIN,
    machines.RESUME,
    machines.FORGET,
    suppression.SUPPRESS,
    suppression.UNSUPPRESS,
)
