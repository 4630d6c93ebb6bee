"""What the face offers to do with whatever is named (base.actions.registry)."""

from mailspool.incident.look_into import LOOK_INTO

ACTIONS = (LOOK_INTO,)
