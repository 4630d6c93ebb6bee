"""What the face offers to do with whatever is named (base.actions.registry)."""

from mailspool.incident.false_alarm import FALSE_ALARM
from mailspool.incident.look_into import LOOK_INTO
from mailspool.incident.stop import STOP

ACTIONS = (LOOK_INTO, STOP, FALSE_ALARM)
