"""What the face offers to do with whatever is named (base.actions.registry)."""

from mailspool.dns_records.actions import CHECK_RECORDS, PUBLISH_RECORDS, SHOW_RECORDS, target_named
from mailspool.incident.false_alarm import FALSE_ALARM
from mailspool.incident.look_into import LOOK_INTO
from mailspool.incident.stop import STOP
from mailspool.jobs.actions import FORGET, RETRY, all_of_its_kind, job_named, jobs_named

ACTIONS = (LOOK_INTO, STOP, FALSE_ALARM, RETRY, FORGET, SHOW_RECORDS, CHECK_RECORDS, PUBLISH_RECORDS)
KINDS = {"job": job_named, "jobs": jobs_named, "dns": target_named}
ALSO = (all_of_its_kind,)
